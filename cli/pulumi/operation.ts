/** Runs an operation of the plain Pulumi CLI, and reads its result from the event log. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Progress } from "../../toolchain/install";
import { type Cli, cliProblem, initStack } from "./cli";
import { eventsIn, type Observed, observedIn } from "./events";
import { withoutNotices } from "./notices";
import { isPassphraseProblem, passphraseHelp } from "./passphrase";
import { type PolicyPackChoice, policyArguments } from "./policyPacks";
import { OperationFailed, UsageProblem } from "./problem";

/** An operation of the engine. */
export type OperationKind = "preview" | "up" | "refresh" | "destroy";

/** Options of an operation. */
export interface OperationOptions {
  /** Cancels the operation: current steps are completed, no new ones are started. */
  readonly signal?: AbortSignal;
  /**
   * Whether the user has cancelled the engine by other means, as a terminal does on Ctrl-C. Default: state of
   * `signal`.
   */
  readonly isCancelled?: () => boolean;
  /** More variables for the program. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** Refused if there is no such stack. Default: it is created. */
  readonly mustExist?: boolean;
  /** What the stack's history says of it. Default: nothing, or the commit's message. */
  readonly message?: string;
  /** Policy packs for `preview` and `up`, absolute directories. Default: none. */
  readonly policyPacks?: readonly PolicyPackChoice[];
}

/** Actual or planned result of an operation. */
export interface OperationResult extends Observed {
  readonly seconds: number;
}

/** Environment of an operation. */
export interface OperationContext {
  readonly cli: Cli;
  /** Configuration file to use instead of the project's `Pulumi.<stack>.yaml`. */
  readonly configFile: string | undefined;
  /** Called with the CLI's output. */
  readonly onProgress: Progress;
}

/** Enables the CLI's `--event-log`; Pulumi's own Automation API sets it too. */
export const EVENT_LOG_ENVIRONMENT = { PULUMI_DEBUG_COMMANDS: "true" } as const;

/** Without a terminal, the CLI drops interrupted creations from the state only if this is set. */
const ARGUMENTS: Readonly<Record<OperationKind, readonly string[]>> = {
  preview: [],
  up: ["--yes", "--skip-preview"],
  refresh: ["--yes", "--skip-preview", "--clear-pending-creates"],
  destroy: ["--yes", "--skip-preview"],
};

/** Runs one operation. @throws UsageProblem for a mistake in the configuration, OperationFailed otherwise. */
export async function runOperation(
  context: OperationContext,
  kind: OperationKind,
  options: OperationOptions,
): Promise<OperationResult> {
  const started = Date.now();
  let ended = await runOnce(context, kind, options);
  if (ended.code !== 0 && !options.mustExist && /no stack named .* found/.test(ended.printed)) {
    await initStack(context.cli, context.configFile !== undefined);
    ended = await runOnce(context, kind, options);
  }
  const seconds = (Date.now() - started) / 1000;
  if (ended.code === 0) return { ...ended.observed, seconds };
  if (isPassphraseProblem(ended.printed)) throw new UsageProblem(passphraseHelp(context.cli.stack));
  throw explained(ended, kind, options, seconds);
}

interface Ended {
  /** As in a shell. */
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
  readonly printed: string;
  readonly observed: Observed;
}

async function runOnce(
  { cli, configFile, onProgress }: OperationContext,
  kind: OperationKind,
  { signal, env = {}, policyPacks = [], message }: OperationOptions,
): Promise<Ended> {
  const scratch = mkdtempSync(join(tmpdir(), "dynamo-sky-events-"));
  const log = join(scratch, "events.jsonl");
  const args = [
    ...[kind, "--stack", cli.stack, "--non-interactive", "--color", "never", "--event-log", log],
    ...["--suppress-outputs", "--suppress-progress", ...ARGUMENTS[kind]],
    ...(configFile === undefined ? [] : ["--config-file", configFile]),
    ...policyArguments(policyPacks),
    ...(message === undefined ? [] : ["--message", message]),
  ];
  const printed: string[] = [];
  const print = withoutNotices(onProgress);
  try {
    const child = spawn(cli.command, args, {
      cwd: cli.project.directory,
      env: { ...process.env, ...cli.env, ...EVENT_LOG_ENVIRONMENT, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // Makes the CLI receive signals once: from a terminal, or from this process.
      detached: !process.stdin.isTTY,
    });
    const cancel = () => child.kill("SIGINT");
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on("line", (line) => {
        printed.push(line);
        print(line);
      });
    const end = await new Promise<Pick<Ended, "code" | "signal">>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, name) =>
        resolve({ code: code ?? 128 + (name === null ? 0 : constants.signals[name]), signal: name }),
      );
    });
    signal?.removeEventListener("abort", cancel);
    const events = existsSync(log) ? eventsIn(readFileSync(log, "utf8")) : [];
    return { ...end, printed: printed.join("\n"), observed: observedIn(events, kind === "preview") };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The error of a failed operation, for users. */
function explained(
  { signal, printed, observed }: Ended,
  kind: OperationKind,
  options: OperationOptions,
  seconds: number,
): Error {
  if (options.signal?.aborted || options.isCancelled?.()) {
    return new OperationFailed(`${kind} was cancelled. What was done is in the state; run it again to go on`);
  }
  if (signal !== null)
    return new OperationFailed(`${kind}: the Pulumi engine was killed by ${signal}. Run it again to go on`);
  if (observed.mistake !== undefined) return new UsageProblem(observed.mistake);
  const { failures } = observed;
  const causes = failures.length > 0 ? failures.join("\n\n") : cliProblem(printed);
  return new OperationFailed(`${kind} failed after ${seconds.toFixed(1)} s\n\n${causes}`, observed);
}
