/** The logs of a deployment on SkyPilot, fetched to where they can be read. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { Progress, printable } from "../../driver/progress";
import { Sky } from "../../sky/cli";
import { linesByProgram } from "../../sky/jobLog";

/** Lines of the end of a cluster's log: each request leaves a few dozen. */
const LINES = "4000";
const LOG_SECONDS = 180;

/** Output `topology` of a stack, as far as it is needed. */
const topologySchema = z.array(
  z.object({
    cluster: z.string(),
    nodes: z.array(z.object({ rank: z.number(), programs: z.array(z.object({ name: z.string() })) })),
  }),
);
export type Topology = z.output<typeof topologySchema>;

/** @throws ZodError when it is no topology. */
export function topologyFrom(output: unknown): Topology {
  return topologySchema.parse(output);
}

/** Log files by program, as the tools read them. */
export type LogFiles = Readonly<Record<string, readonly string[]>>;

/**
 * Lets work read the logs of a deployment's clusters, which are gone afterwards.
 *
 * @param infra As in the configuration: it decides which SkyPilot is asked.
 */
export async function withSkyLogs<T>(
  topology: Topology,
  infra: readonly string[],
  work: (logs: LogFiles) => T,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "dynamo-sky-logs-"));
  const { signal } = new AbortController();
  const sky = await Sky.find(infra, { progress: new Progress(), signal, result: () => undefined });
  try {
    const parts = await Promise.all(topology.map((cluster) => fetchLogs(sky, cluster)));
    const lines = Object.entries(Object.assign({}, ...parts) as Record<string, readonly string[]>);
    const files = lines.map(([program, text]): [string, string[]] => {
      const file = join(directory, `${program}.log`);
      writeFileSync(file, text.join("\n"), { mode: 0o600 });
      return [program, [file]];
    });
    return work(Object.fromEntries(files));
  } finally {
    sky.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function fetchLogs(sky: Sky, { cluster, nodes }: Topology[number]) {
  const args = ["logs", "--no-follow", "--tail", LINES, cluster];
  // Its exit code is that of the job.
  const { stdout } = await sky.run(args, { timeoutSeconds: LOG_SECONDS });
  const alone = nodes.flatMap(({ rank, programs: [only, ...others] }): [number, string][] =>
    only === undefined || others.length > 0 ? [] : [[rank, only.name]],
  );
  return linesByProgram(printable(stdout), new Map(alone));
}
