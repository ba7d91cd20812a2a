/** Copies the logs of a deployment's nodes to this machine. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writePrivate } from "../../lib/files";
import { tail } from "../../lib/logs";
import { messageOf } from "../../lib/run";
import { causesOf, nextOf, type ProgramFailure, titledOf } from "../../sky/failure";
import { type Deployed, deployedOf } from "../deployment/deployed";
import { reach } from "../deployment/reach";
import { sourcesOf } from "../logs/options";
import { nodesOfSources, readLogs } from "../logs/read";
import { OperationFailed } from "../pulumi/problem";

/** Number of last lines of each program's log: a request writes a few. */
const TAIL = 4000;
const TIMEOUT_SECONDS = 120;

/** Log files by program, for the proof. */
export type LogFiles = Readonly<Record<string, readonly string[]>>;

export interface ReadNodeLogs {
  readonly signal: AbortSignal;
  /** Called with logs that cannot be read. Default: standard error. */
  readonly onProblem?: (message: string) => void;
}

/**
 * Runs work with the logs of all programs; the files are deleted afterwards.
 */
export async function withNodeLogs<T>(
  deployed: Deployed,
  { signal, onProblem = (message) => process.stderr.write(`${message}\n`) }: ReadNodeLogs,
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
      onProblem,
    });
    const files = sources.map(({ name }, index): [string, string[]] => {
      const file = join(directory, `${name}.log`);
      writePrivate(file, (lines[index] ?? []).join("\n"));
      return [name, [file]];
    });
    return work(Object.fromEntries(files));
  } finally {
    place.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Short: the request has failed already, and its time may be over. */
const CAUSES_SECONDS = 60;

/**
 * Sends requests to a running deployment: a failure names the known causes in the programs' logs.
 *
 * @param outputs Of its stack.
 * @throws OperationFailed with the causes and what to do; the error as it was if no log names a known one.
 */
export async function withCauses<T>(
  outputs: Readonly<Record<string, unknown>>,
  requests: () => Promise<T>,
): Promise<T> {
  try {
    return await requests();
  } catch (error) {
    const causes = await knownCauses(outputs).catch(() => []);
    if (causes.length === 0) throw error;
    const lines = causes.flatMap((cause) => [titledOf(cause), nextOf(cause)]);
    throw new OperationFailed([messageOf(error), ...lines].join("\n"));
  }
}

async function knownCauses(outputs: Readonly<Record<string, unknown>>): Promise<ProgramFailure[]> {
  const options = { signal: AbortSignal.timeout(CAUSES_SECONDS * 1000), onProblem: () => undefined };
  return withNodeLogs(deployedOf(outputs), options, (files) =>
    causesOf(
      Object.entries(files).flatMap(([program, paths]) =>
        paths.map((path) => ({ program, lines: tail(path) })),
      ),
    ),
  );
}
