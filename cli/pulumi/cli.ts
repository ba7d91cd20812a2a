import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { z } from "zod";
import { CommandFailed, run } from "../../lib/run";
import { isPassphraseProblem, passphraseHelp } from "./passphrase";
import { OperationFailed, UsageProblem } from "./problem";
import { type Project, shortName } from "./project";

const commandSeconds = 120;

/** Arguments of CLI calls for one stack. */
export interface Cli {
  readonly command: string;
  readonly project: Project;
  readonly stack: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The error lines of the CLI's output, without their `error:` prefixes. */
export function cliProblem(output: string): string {
  const lines = output.split("\n").map((line) => line.trimEnd());
  const start = lines.findIndex((line) => /^(\s*error:|stderr: error:)/.test(line));
  const relevant = start < 0 ? lines : lines.slice(start);
  return relevant
    .join("\n")
    .replace(/^\s*(stderr: )?error: /gm, "")
    .trim();
}

/**
 * Runs a CLI command for the stack and returns its standard output. @throws OperationFailed with the CLI's
 * message.
 */
export async function runCli(
  cli: Cli,
  args: readonly string[],
  cwd = cli.project.directory,
): Promise<string> {
  try {
    const { stdout } = await run(cli.command, [...args, "--stack", cli.stack, "--non-interactive"], {
      cwd,
      env: cli.env,
      timeoutSeconds: commandSeconds,
    });
    return stdout;
  } catch (error) {
    if (error instanceof CommandFailed && isPassphraseProblem(error.output))
      throw new UsageProblem(passphraseHelp(cli.stack));
    if (error instanceof CommandFailed && error.exitCode !== undefined)
      throw new OperationFailed(cliProblem(error.output));
    throw error;
  }
}

/**
 * Creates the stack in the backend. `stack init` writes the salt of the stack's secrets into its file, which
 * would dirty the repository; the state has the salt too, so it can run in a scratch directory.
 * @param keepsFile Whether the project's file must not change.
 */
export async function initStack(cli: Cli, keepsFile: boolean): Promise<void> {
  const init = ["stack", "init", "--no-select"];
  if (!keepsFile) {
    await runCli(cli, init);
    return;
  }
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-stack-"));
  try {
    await copyFile(cli.project.file, join(scratch, basename(cli.project.file)));
    await runCli(cli, init, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const stackListSchema = z.array(z.object({ name: z.string() }));

/** Names of the project's stacks in the backend, sorted; in Pulumi Cloud without their owner. */
export async function stackNames(cli: Cli): Promise<string[]> {
  const args = ["stack", "ls", "--json", "--project", cli.project.name];
  const stacks = stackListSchema.parse(JSON.parse(await runCli(cli, args)));
  return stacks.map(({ name }) => shortName(name)).sort();
}

const historySchema = z.array(
  z.object({ kind: z.string(), startTime: z.string(), message: z.string().default("") }),
);

/** An operation that has ended. */
export interface PastOperation {
  /** `update`, `destroy`, `refresh` … */
  readonly kind: string;
  readonly started: Date;
  /** What it was given by `--message`; in a git repository else the commit's. */
  readonly message: string;
}

/** The last operations of the stack, the newest first. */
export async function historyOf(cli: Cli, count: number): Promise<PastOperation[]> {
  const args = ["stack", "history", "--json", "--page-size", String(count)];
  const past = historySchema.parse(JSON.parse((await runCli(cli, args)) || "[]"));
  return past.map(({ kind, startTime, message }) => ({ kind, message, started: new Date(startTime) }));
}

/** Tags of the stack. */
export async function tagsOf(cli: Cli): Promise<Readonly<Record<string, string>>> {
  return z
    .record(z.string(), z.string())
    .parse(JSON.parse(await runCli(cli, ["stack", "tag", "ls", "--json"])));
}
