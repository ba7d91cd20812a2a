/**
 * The program that Pulumi's command resources run: `dynamo-sky <verb>`, input as JSON on standard input,
 * progress on standard error (during Pulumi's `up` through `lib/progressRelay.ts`), a result (if there is
 * one) as JSON on standard output.
 *
 * Exit codes: 0 success, 1 failure (the last message says what to do), 2 usage error or invalid input.
 */
import "../../lib/bypassProxies";
import { text } from "node:stream/consumers";
import type { z } from "zod";
import { CausedFailure, UserError } from "../../lib/errors";
import { Progress } from "../../lib/progress";
import { findRelay } from "../../lib/progressRelay";
import type { Verb } from "../../lib/verb";
import { alreadyReportedBy } from "./alreadyReported";

// Loaded lazily, since verbs share few dependencies, and a deployment runs dozens of them. `require` and not
// `import()`, which would bypass tsx's CommonJS hook.
const VERBS: Readonly<Record<string, () => { readonly verb: Verb }>> = {
  "local lease": () => require("../../local/lease") as typeof import("../../local/lease"),
  "local release": () => require("../../local/release") as typeof import("../../local/release"),
  "local apply": () => require("../../local/apply") as typeof import("../../local/apply"),
  "local remove": () => require("../../local/remove") as typeof import("../../local/remove"),
  "local observe": () => require("../../local/observe") as typeof import("../../local/observe"),
  "sky lease": () => require("../../sky/lease") as typeof import("../../sky/lease"),
  "sky launch": () => require("../../sky/launch") as typeof import("../../sky/launch"),
  "sky nodes": () => require("../../sky/nodes") as typeof import("../../sky/nodes"),
  "sky apply": () => require("../../sky/apply") as typeof import("../../sky/apply"),
  "sky remove": () => require("../../sky/remove") as typeof import("../../sky/remove"),
  "sky down": () => require("../../sky/down") as typeof import("../../sky/down"),
  "sky observe": () => require("../../sky/observe") as typeof import("../../sky/observe"),
  ready: () => require("./ready") as typeof import("./ready"),
};

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const PARENT_CHECK_MS = 250;
/** How long a verb may take to clean up after it was stopped. */
const STOP_GRACE_MS = 10_000;

async function main(args: readonly string[]): Promise<number> {
  const began = new Date();
  const name = args.join(" ");
  const load = VERBS[name];
  if (load === undefined)
    return tell(
      `'${name}' is none of the commands that Pulumi's resources run (${Object.keys(VERBS).join(", ")}). For people: dynamo-sky --help`,
      EXIT_USAGE,
    );
  const stop = stopSignal();
  const raw = await readInput(name);
  if (raw instanceof UsageError) return tell(raw.message, EXIT_USAGE);
  const relay = findRelay(name, raw);
  // Where progress goes another way, standard error shows it and nothing else: the cause is for the failure.
  const out = relay === undefined ? process.stderr : process.stdout;
  try {
    const { verb } = load();
    const input = parseInput(name, verb, raw);
    const limit = verb.timeoutSeconds(input);
    const timer = setTimeout(
      () => stop.abort(new UserError(`'dynamo-sky ${name}' was stopped after its time limit of ${limit} s.`)),
      limit * 1000,
    );
    timer.unref();
    await verb.run(input, {
      progress: new Progress(relay?.write),
      signal: stop.signal,
      result: (value) => process.stdout.write(`${JSON.stringify(value)}\n`),
    });
    return 0;
  } catch (error) {
    const cause = stop.signal.aborted && !(error instanceof UserError) ? stop.signal.reason : error;
    if (cause instanceof UsageError) return tell(cause.message, EXIT_USAGE, out);
    return tell(explained(cause, began), EXIT_FAILED, out);
  } finally {
    relay?.close();
  }
}

/** Prints the last message. @returns the exit code. */
function tell(message: string, code: number, out: NodeJS.WritableStream = process.stderr): number {
  new Progress((line) => out.write(line)).plain(message);
  return code;
}

function explained(error: unknown, began: Date): string {
  const other =
    error instanceof CausedFailure ? alreadyReportedBy(error.who, error.reason, began) : undefined;
  if (error instanceof CausedFailure && other !== undefined)
    return [`${error.who} failed as ${other} did: ${error.reason}`, error.own ?? []].flat().join("\n");
  if (error instanceof UserError) return error.message;
  // Unexpected, so print the stack trace.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

class UsageError extends Error {}

async function readInput(name: string): Promise<string | UsageError> {
  if (!process.stdin.isTTY) return text(process.stdin);
  return new UsageError(`'dynamo-sky ${name}' reads its input as JSON from standard input.`);
}

function parseInput<S extends z.ZodType>(name: string, verb: Verb<S>, raw: string): z.output<S> {
  const parsed = verb.input.safeParse(jsonIn(name, raw));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `  ${path.join(".") || "input"}: ${message}`,
  );
  throw new UsageError([`The input of 'dynamo-sky ${name}' is not valid:`, ...problems].join("\n"));
}

function jsonIn(name: string, raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    // The parser's own message quotes the input, which may hold secrets.
    throw new UsageError(
      `The standard input of 'dynamo-sky ${name}' is not JSON (${raw.length} characters).`,
    );
  }
}

/** Stops the verb on SIGTERM and SIGINT, and when the parent process has exited. */
function stopSignal(): AbortController {
  const stop = new AbortController();
  const abort = (why: string): void => {
    stop.abort(new UserError(why));
    setTimeout(() => process.exit(EXIT_FAILED), STOP_GRACE_MS).unref();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => abort(`Stopped by ${signal}.`));
  // The reader of the output may have exited too; that must not interrupt the clean-up.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent && !stop.signal.aborted)
      abort("Stopped: the process that started this is gone.");
  }, PARENT_CHECK_MS).unref();
  return stop;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(EXIT_FAILED);
  },
);
