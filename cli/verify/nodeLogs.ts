/** Copies the logs of a deployment's nodes to this machine. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Deployed } from "../deployment/deployed";
import { reach } from "../deployment/reach";
import { sourcesOf } from "../logs/options";
import { nodesOfSources, readLogs } from "../logs/read";

/** Number of last lines of each program's log: a request writes a few. */
const TAIL = 4000;
const TIMEOUT_SECONDS = 120;

/** Log files by program, for the proof. */
export type LogFiles = Readonly<Record<string, readonly string[]>>;

/**
 * Runs work with the logs of all programs; the files are deleted afterwards. Unreadable logs are reported on
 * standard error.
 */
export async function withNodeLogs<T>(
  deployed: Deployed,
  signal: AbortSignal,
  work: (logs: LogFiles) => T,
): Promise<T> {
  const sources = sourcesOf(deployed, { roles: [], programs: [], node: undefined });
  const lines = sources.map((): string[] => []);
  const place = await reach(deployed, signal);
  const directory = mkdtempSync(join(tmpdir(), "dynamo-sky-logs-"));
  try {
    const states = await place.clusters();
    const nodes = nodesOfSources(sources, (source) =>
      states[source.cluster]?.status === "UP" ? place.shell({ ...source, programs: [] }) : undefined,
    );
    await readLogs(nodes, {
      tail: TAIL,
      since: undefined,
      follow: false,
      timeoutSeconds: TIMEOUT_SECONDS,
      signal,
      onLines: (found) => {
        for (const { source, text } of found) lines[source]?.push(text);
      },
      onProblem: (message) => process.stderr.write(`${message}\n`),
    });
    const files = sources.map(({ name }, index): [string, string[]] => {
      const file = join(directory, `${name}.log`);
      writeFileSync(file, (lines[index] ?? []).join("\n"), { mode: 0o600 });
      return [name, [file]];
    });
    return work(Object.fromEntries(files));
  } finally {
    place.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
