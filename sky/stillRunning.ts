/** Describes what still runs of a cluster, and its cost, for error messages. */
import { UserError } from "../lib/errors";
import { counted } from "../lib/words";
import type { Sky } from "./cli";

/** A sentence; never fails, since it is part of another error's message. */
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

/** The error for a cluster that has disappeared right after its launch. */
export function takenDown(cluster: string): UserError {
  return new UserError(`${cluster} was taken down by somebody while it was launched.`);
}
