import { existsSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { CommandFailed, run } from "../../lib/run";
import { writeFileAtomically } from "../../toolchain/install";
import { OperationFailed } from "./problem";
import { encryptionSalt, type Project, shortName } from "./project";

const commandSeconds = 120;

/** How the CLI is called for one stack. */
export interface Cli {
  readonly command: string;
  readonly project: Project;
  readonly stack: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The lines of the CLI's output that say what is wrong, without its `error:` marks. */
export function cliProblem(output: string): string {
  const lines = output.split("\n").map((line) => line.trimEnd());
  const start = lines.findIndex((line) => /^(\s*error:|stderr: error:)/.test(line));
  const relevant = start < 0 ? lines : lines.slice(start);
  return relevant
    .join("\n")
    .replace(/^\s*(stderr: )?error: /gm, "")
    .trim();
}

/** Runs a CLI command about the stack and gives its standard output. @throws OperationFailed with the CLI's words. */
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
    if (error instanceof CommandFailed && error.exitCode !== undefined)
      throw new OperationFailed(cliProblem(error.output));
    throw error;
  }
}

/**
 * Makes the stack in the backend. `stack init` writes the salt of the stack's secrets into its file, which would dirty the
 * repository; so it runs in a scratch directory, and the salt goes into the private copy of the file.
 * @param privateFile The copy; undefined to let the CLI write into the project, as it does on its own.
 */
export async function initStack(cli: Cli, privateFile: string | undefined): Promise<void> {
  const init = ["stack", "init", "--no-select"];
  if (privateFile === undefined) {
    await runCli(cli, init);
    return;
  }
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-stack-"));
  try {
    await copyFile(cli.project.file, join(scratch, basename(cli.project.file)));
    await runCli(cli, init, scratch);
    const written = join(scratch, `Pulumi.${shortName(cli.stack)}.yaml`);
    // The copy may be there already, with the configuration: whether a bucket has the stack shows only in an operation.
    const settings = await textIn(privateFile);
    await writeWithSalt(privateFile, settings, encryptionSalt(await textIn(written)));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Brings the private copy of a stack's file up to date: what the repository says, and the salt that the copy has. */
export async function refreshPrivateFile(privateFile: string, repositoryText: string): Promise<void> {
  await writeWithSalt(privateFile, repositoryText, encryptionSalt(await textIn(privateFile)));
}

async function textIn(file: string): Promise<string> {
  return existsSync(file) ? readFile(file, "utf8") : "";
}

async function writeWithSalt(file: string, settings: string, salt: string | undefined): Promise<void> {
  const document = parseDocument(settings);
  if (salt !== undefined) document.set("encryptionsalt", salt);
  await writeFileAtomically(file, document.toString(), 0o600);
}

const stackListSchema = z.array(z.object({ name: z.string() }));

/** Names of the project's stacks in the backend, sorted; in Pulumi Cloud without their owner. */
export async function stackNames(cli: Cli): Promise<string[]> {
  const args = ["stack", "ls", "--json", "--project", cli.project.name];
  const stacks = stackListSchema.parse(JSON.parse(await runCli(cli, args)));
  return stacks.map(({ name }) => shortName(name)).sort();
}

/** Tags of the stack. */
export async function tagsOf(cli: Cli): Promise<Readonly<Record<string, string>>> {
  return z
    .record(z.string(), z.string())
    .parse(JSON.parse(await runCli(cli, ["stack", "tag", "ls", "--json"])));
}
