/** How the units of this machine's clusters are changed one after the other. */
import { join } from "node:path";
import { UnitRollout } from "../lib/unitRollout";
import { rolloutSchema } from "../plan/node/schema";
import { proofRequest, type RolloutPlan } from "../plan/rollout";
import { clusterDirectory, nodeDirectory, readIfThere } from "./directories";
import { writeFiles } from "./node";
import { findNodeRecord, nodeShell } from "./record";
import type { LocalPrograms } from "./spec";

const FILE = "rollout.json";
/** What the commands of a pool tell each other, in the directory of the frontends' cluster. */
const DIRECTORY = "rollouts";

/** Keeps how the cluster's units are changed, for the commands that do. */
export function writeRollout(cluster: string, rollout: RolloutPlan | undefined): void {
  writeFiles(clusterDirectory(cluster), { [FILE]: JSON.stringify(rollout ?? null) });
}

function readRollout(cluster: string): RolloutPlan | undefined {
  const text = readIfThere(join(clusterDirectory(cluster), FILE));
  if (text === undefined) return undefined;
  return rolloutSchema.nullable().parse(JSON.parse(text)) ?? undefined;
}

/** The rollout of a unit's pool; undefined if the unit is changed at once. */
export function rolloutOfUnit(input: LocalPrograms): UnitRollout | undefined {
  const rollout = readRollout(input.cluster);
  if (rollout === undefined) return undefined;
  const nodes = {
    directory: join(clusterDirectory(rollout.home), DIRECTORY),
    shellOf: async (cluster: string, rank: number) => {
      const record = findNodeRecord(cluster, rank);
      return record && nodeShell(nodeDirectory(cluster, rank), record);
    },
  };
  return UnitRollout.of(input, { ...rollout, request: proofRequest(rollout) }, nodes);
}
