/** `local remove`: stops the programs of one unit and removes their files; fine if the cluster is gone. */
import { existsSync } from "node:fs";
import { changeUnits, longestStop } from "../lib/nodeUnits";
import { defineVerb } from "../lib/verb";
import { withSupervisor } from "./apply";
import { nodeDirectory } from "./directories";
import { nodeShell, readNodeRecord } from "./record";
import { localProgramsSchema } from "./spec";

const OVERHEAD_SECONDS = 120;

export const verb = defineVerb({
  input: localProgramsSchema,
  timeoutSeconds: ({ nodes }) => longestStop(nodes) + OVERHEAD_SECONDS,
  run: async ({ cluster, unit, nodes }, context) => {
    await Promise.all(
      nodes.map(async ({ rank }) => {
        const directory = nodeDirectory(cluster, rank);
        if (!existsSync(directory)) return;
        const shell = nodeShell(directory, readNodeRecord(cluster, rank));
        // With a supervisor: a program may run without it, and only supervisor stops it properly.
        await withSupervisor(cluster, rank, context, () =>
          changeUnits(shell, { remove: { unit } }, () => directory, context),
        );
      }),
    );
    context.progress.line(`${unit} is stopped and removed`);
  },
});
