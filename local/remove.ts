/** `local remove`: stops the programs of one unit and removes their files; fine if the cluster is gone. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "../lib/lock";
import { defineVerb } from "../lib/verb";
import { nodeDirectory } from "./directories";
import { ensureSupervisor } from "./node";
import { readNodeRecord } from "./record";
import { localProgramsSchema } from "./spec";
import { replaceUnitFiles } from "./unit";

const OVERHEAD_SECONDS = 120;

export const verb = defineVerb({
  input: localProgramsSchema,
  timeoutSeconds: ({ nodes }) => {
    const stops = nodes.flatMap(({ programs }) => programs.map(({ stopSeconds }) => stopSeconds));
    return Math.max(0, ...stops) + OVERHEAD_SECONDS;
  },
  run: async ({ cluster, unit, nodes }, context) => {
    await Promise.all(
      nodes.map(async ({ rank, programs }) => {
        const directory = nodeDirectory(cluster, rank);
        if (!existsSync(directory)) return;
        const record = readNodeRecord(cluster, rank);
        const { client, change } = await withLock(join(directory, "lock"), context, async () => {
          // Starts the supervisor if necessary: a program may run without it, and only supervisor stops it
          // properly.
          const client = await ensureSupervisor(cluster, rank, record, context);
          return { client, change: await replaceUnitFiles(client, directory, unit, []) };
        });
        const stopSeconds = Math.max(0, ...programs.map((program) => program.stopSeconds));
        await Promise.all(change.stopped.map((name) => client.remove(name, stopSeconds)));
      }),
    );
    context.progress.line(`${unit} is stopped and removed`);
  },
});
