/** What becomes of open streams, and of requests that follow at once, when programs are killed. */
import { existsSync, readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { expect } from "vitest";
import { type Amount, type Endpoint, type StreamedAnswer, sendStreams } from "../dev/benchmarks/streams";
import { kill } from "../lib/processes";
import { eventually } from "./eventually";

const STREAMS = 200;
/** Enough that a stream stays open for seconds after its first token. */
const TOKENS = 400;
/** Sent right after the kill, before Dynamo has noticed it. */
const LATE = { requests: 50, clients: 10, answerTokens: 16 };

export interface Counted {
  readonly whole: number;
  readonly broken: readonly StreamedAnswer[];
}

export interface Loss {
  /** The streams that were open. */
  readonly open: Counted;
  /** The requests that followed. */
  readonly late: Counted;
}

export function counted(answers: readonly StreamedAnswer[]): Counted {
  const broken = answers.filter(({ isWhole }) => !isWhole);
  return { whole: answers.length - broken.length, broken };
}

/**
 * Ends processes once all streams are open, and prints the counts.
 * @param what Their description.
 * @param end Default: SIGKILL.
 * @param onLate Called when a request that followed has its first token. Default: nothing.
 */
export async function lose(
  endpoint: Endpoint,
  what: string,
  pids: readonly number[],
  end: (pid: number) => void = kill,
  onLate: () => void = () => undefined,
): Promise<Loss> {
  // Process 0 would be the test's own group.
  expect(pids.filter((pid) => pid <= 0)).toEqual([]);
  let begun = 0;
  const amount: Amount = {
    requests: STREAMS,
    clients: STREAMS,
    answerTokens: TOKENS,
    onFirst: () => begun++,
  };
  const streams = sendStreams(endpoint, amount);
  await eventually(() => begun === STREAMS, 60);
  for (const pid of pids) end(pid);
  const late = counted(await sendStreams(endpoint, { ...LATE, onFirst: onLate }));
  const open = counted(await streams);
  process.stdout.write(
    `Lost ${what}: ${open.whole} of ${STREAMS} open streams, ${late.whole} of ${LATE.requests} later requests ended whole\n`,
  );
  return { open, late };
}

/** The loss of nothing. */
export const ALL: Loss = { open: { whole: STREAMS, broken: [] }, late: { whole: LATE.requests, broken: [] } };

/**
 * In a frontend's log, of a stream that has lost the race for a connection. Dynamo lets one of all requests
 * to an address connect at a time. Where that fails, one other tries, and who has not been that one within
 * five tries is given up, not moved on: https://github.com/ai-dynamo/dynamo/pull/12927
 */
const RACED = /Cannot recreate stream.*No healthy TCP connection to \S+ after \d+ connect retries/;
/** The streams that one worker of four had. */
const MOST_RACED = STREAMS / 4;

/** What a frontend says of streams that it could not go on with. */
const GIVEN_UP = /Cannot recreate stream|limit exhausted|failing request/;

/** How many lines there are in logs, if there are such files, that match. */
export function linesIn(logs: readonly string[], pattern: RegExp): number {
  return matchesIn(logs, pattern).length;
}

/** The same lines. Supervisor begins a new file when one is full, and keeps two. */
function matchesIn(logs: readonly string[], pattern: RegExp): string[] {
  const files = logs.flatMap((log) => [`${log}.2`, `${log}.1`, log]).filter((file) => existsSync(file));
  const lines = files.flatMap((file) => readFileSync(file, "utf8").split("\n"));
  return lines.map(stripVTControlCharacters).filter((line) => pattern.test(line));
}

/**
 * Ends several workers at once. Their streams may be sent to each other's address in the same moment, before
 * it is known that they are all dead, and some may then lose the race for a connection ({@link RACED}). That
 * no other stream and no later request is lost, whatever the cause.
 * @param logs Of the frontends.
 */
export async function expectOnlyRacedLost(logs: readonly string[], end: () => Promise<Loss>): Promise<void> {
  const before = linesIn(logs, RACED);
  const { open, late } = await end();
  expect(late).toEqual(ALL.late);
  const raced = () => linesIn(logs, RACED) - before;
  await expect
    .poll(raced, { timeout: 10_000 })
    .toBe(open.broken.length)
    .catch((error: unknown) => {
      for (const { problem } of open.broken.slice(0, 3))
        process.stdout.write(`A broken stream ended with: ${problem?.slice(-500)}\n`);
      process.stdout.write(`The frontends: ${matchesIn(logs, GIVEN_UP).slice(-10).join("\n")}\n`);
      throw error;
    });
  expect(open.broken.length).toBeLessThanOrEqual(MOST_RACED);
  // None of them looks complete to its client.
  for (const { problem } of open.broken) expect(problem).toContain('"code":503');
}

/** That the streams of a lost frontend broke after they had begun, and no other request was lost. */
export function expectOwnBroken({ open, late }: Loss): void {
  expect(late).toEqual(ALL.late);
  expect(open.whole).toBeGreaterThan(0);
  // What had begun cannot begin again elsewhere. No stream ends as if it were whole.
  for (const { status, firstMs } of open.broken) {
    expect(status).toBe(200);
    expect(firstMs).not.toBeNaN();
  }
}
