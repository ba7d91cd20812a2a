/** What of a cluster still runs, and what it costs, for messages about failures. */
import { UserError } from "../lib/errors";
import { counted } from "../lib/words";
import type { Sky } from "./cli";

/** A sentence; never fails, since it is part of telling another failure. */
export async function stillRunning(sky: Sky, name: string): Promise<string> {
  try {
    const cluster = await sky.cluster(name);
    if (cluster === undefined) return "Left running: nothing, SkyPilot knows no such cluster.";
    const cost = await sky.hourlyCost(name).catch(() => undefined);
    const price =
      cost === undefined ? "at a price that SkyPilot does not know" : `$${cost.toFixed(2)} an hour`;
    const where = [cluster.cloud, cluster.region].filter(Boolean).join(" ");
    const nodes = cluster.nodes == null ? "unknown nodes" : counted(cluster.nodes, "node");
    return (
      `Left running: ${cluster.name} (${cluster.status}; ${nodes}${where === "" ? "" : ` on ${where}`}; ` +
      `${cluster.resources_str ?? "unknown resources"}), ${price}. Running this again goes on with it, 'pulumi destroy' removes it.`
    );
  } catch {
    return "Left running: unknown, SkyPilot does not answer; 'sky status' shows it once it does.";
  }
}

/** A cluster that is not there any more although it was just launched. */
export function takenDown(cluster: string): UserError {
  return new UserError(`${cluster} was taken down by somebody while it was launched.`);
}
