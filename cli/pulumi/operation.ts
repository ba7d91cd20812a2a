import { basename, dirname } from "node:path";
import {
  LocalWorkspace,
  PulumiCommand,
  type PulumiFn,
  Stack,
  StackNotFoundError,
} from "@pulumi/pulumi/automation";
import { messageOf } from "../../lib/run";
import type { Progress } from "../../toolchain/install";
import { type Cli, cliProblem, initStack } from "./cli";
import { type PolicyPackChoice, policySettings } from "./policyPacks";
import { OperationFailed, UsageProblem } from "./problem";
import { loadProgram, userMistake, type WatchedProgram, watch } from "./program";
import { type Observed, ProgressReport } from "./progress";

/** An operation of the engine. */
export type OperationKind = "preview" | "up" | "refresh" | "destroy";

/** How an operation is run. */
export interface OperationOptions {
  /** Shows the engine's own output instead of a line per resource. Default false. */
  readonly verbose?: boolean;
  /** Cancels the operation: what is being done is ended, nothing new is begun. */
  readonly signal?: AbortSignal;
  /** Whether the user has cancelled the engine otherwise, as a terminal does by Ctrl-C. Default: as `signal` says. */
  readonly isCancelled?: () => boolean;
  /** Policy packs that `preview` and `up` have to satisfy, absolute directories. Default: none. */
  readonly policyPacks?: readonly PolicyPackChoice[];
}

/** What an operation did, or would do. */
export interface OperationResult extends Observed {
  readonly seconds: number;
}

/** What an operation works on. */
export interface OperationContext {
  readonly cli: Cli;
  /** File that is read instead of the project's `Pulumi.<stack>.yaml`. */
  readonly configFile: string | undefined;
  readonly program: PulumiFn | undefined;
  readonly onProgress: Progress;
}

async function pulumiCommand(path: string): Promise<PulumiCommand> {
  const directory = dirname(path);
  // The API wants the directory above `bin`; a CLI that lies elsewhere is one that was found on PATH.
  return PulumiCommand.get(basename(directory) === "bin" ? { root: dirname(directory) } : {});
}

/**
 * The API's stack, without the CLI calls that it would make beside each operation and that take a third of a second
 * each: selecting the stack (every operation names it), and reading outputs and history back (the events have told).
 */
async function automationStack(context: OperationContext, program: PulumiFn): Promise<Stack> {
  const { cli } = context;
  const workspace = await LocalWorkspace.create({
    workDir: cli.project.directory,
    program,
    envVars: { ...cli.env },
    pulumiCommand: await pulumiCommand(cli.command),
  });
  workspace.selectStack = async () => undefined;
  workspace.stackOutputs = async () => ({});
  const stack = await Stack.select(cli.stack, workspace);
  stack.history = async () => [];
  return stack;
}

/** Runs one operation to its end. @throws UsageProblem for a mistake in the configuration, OperationFailed for the rest. */
export async function runOperation(
  context: OperationContext,
  kind: OperationKind,
  options: OperationOptions,
): Promise<OperationResult> {
  const program = watch(context.program ?? loadProgram(context.cli.project.main));
  const report = new ProgressReport(
    kind === "preview",
    options.verbose ? () => undefined : context.onProgress,
  );
  const stack = await automationStack(context, program.run);
  const settings = {
    onEvent: report.onEvent,
    ...(options.verbose ? { onOutput: (text: string) => void process.stderr.write(text) } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
    ...(context.configFile === undefined ? {} : { configFile: context.configFile }),
    suppressOutputs: true,
    color: "never" as const,
  };
  const operate = async () => {
    // Without a terminal, the CLI forgets creations that were interrupted only when told to.
    if (kind === "refresh") await stack.refresh({ ...settings, clearPendingCreates: true });
    else if (kind === "destroy") await stack.destroy(settings);
    else await stack[kind]({ ...settings, ...policySettings(options.policyPacks ?? []) });
  };
  try {
    await operate().catch(async (error: unknown) => {
      if (!(error instanceof StackNotFoundError)) throw error;
      await initStack(context.cli, context.configFile);
      await operate();
    });
  } catch (error) {
    throw explain(error, kind, options, program, report);
  }
  return { ...report.observed(), seconds: report.elapsed() };
}

/** The error for a person, of whatever an operation threw. */
function explain(
  error: unknown,
  kind: OperationKind,
  options: OperationOptions,
  program: WatchedProgram,
  report: ProgressReport,
): Error {
  const thrown = program.thrown();
  const mistake = thrown && userMistake(thrown.error);
  if (mistake !== undefined) return new UsageProblem(mistake);
  if (options.signal?.aborted || options.isCancelled?.()) {
    return new OperationFailed(`${kind} was cancelled. What was done is in the state; run it again to go on`);
  }
  const killed = /Command was killed with (\w+)/.exec(messageOf(error))?.[1];
  if (killed !== undefined) {
    return new OperationFailed(`${kind}: the Pulumi engine was killed by ${killed}. Run it again to go on`);
  }
  const fault = thrown?.error instanceof Error ? (thrown.error.stack ?? thrown.error.message) : undefined;
  const observed = report.observed();
  const { failures } = observed;
  const causes = failures.length > 0 ? failures.join("\n\n") : cliProblem(messageOf(error));
  return new OperationFailed(
    `${kind} failed after ${report.elapsed().toFixed(1)} s\n\n${fault ?? causes}`,
    observed,
  );
}
