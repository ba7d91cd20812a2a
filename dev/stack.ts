/**
 * `npm run stack -- <command of pulumi> --stack S [its options]`: the plain Pulumi CLI with all that it
 * needs: the toolchain, a state backend, and the stack itself. See `usage`.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { Command } from "@commander-js/extra-typings";
import { EXIT, exitCodeOf, fromCaller } from "../cli/commandLine";
import { withoutNotices } from "../cli/pulumi/notices";
import { type OpenStack, openStack } from "../cli/pulumi/openStack";
import { preload } from "../cli/pulumi/preload";
import { packageRoot } from "../lib/root";

const usage = `Usage: npm run stack -- <command> --stack NAME [options]

Hands over to the plain Pulumi CLI, with the same arguments, exit codes and signals:
  preview, up, refresh, destroy, import, config, logs, cancel, stack output NAME …   (all of them: npm run stack -- help)
Before that it makes sure of the CLI, its plugins and a language host, of a place for the state where nobody chose one, and, for
preview, up, refresh, destroy and import, of the stack itself. Where there is no terminal nothing is asked: as with --yes.

Its own
  output [NAME]    short for stack output
  export           short for stack export

Options
  --stack, -s NAME   the stack; its configuration is Pulumi.NAME.yaml, here or in examples/stacks
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --json             print the result as JSON, also with most of Pulumi's commands

Exit code: 0 it worked, 1 it failed, 2 the command or the configuration is wrong; of Pulumi's commands, Pulumi's own.`;

/** Commands that work on a stack's resources, and so need an existing stack; true: they run its program. */
const OPERATIONS: ReadonlyMap<string, boolean> = new Map([
  ...(["preview", "pre", "up", "update", "import", "watch"] as const).map((verb) => [verb, true] as const),
  ...(["refresh", "destroy", "down", "dn"] as const).map((verb) => [verb, false] as const),
]);

const DESTROYS: ReadonlySet<string | undefined> = new Set(["destroy", "down", "dn"]);

/** Commands of `pulumi stack` that can do without that word here. */
const SHORT: ReadonlySet<string | undefined> = new Set(["output", "export"]);

/** Commands that only read or write the stack's file. */
const ABOUT_THE_FILE: ReadonlySet<string | undefined> = new Set(["config", "logs"]);

/** The options that this program uses. All others are passed to Pulumi. */
function readCommon(words: readonly string[]) {
  const reader = new Command()
    .option("-s, --stack [name]")
    .option("-C, --cwd [dir]")
    .option("--config-file [file]")
    .option("-h, --help")
    .helpOption(false);
  const { operands, unknown } = reader.parseOptions([...words]);
  const { stack, cwd, configFile, help } = reader.opts();
  const text = (value: string | boolean | undefined) => (typeof value === "string" ? value : undefined);
  return {
    command: [...operands, ...unknown].find((word) => !word.startsWith("-")),
    stack: text(stack),
    cwd: text(cwd),
    configFile: text(configFile),
    wantsHelp: help === true,
  };
}

/** Runs the CLI in place of this process: with its terminal, exit code, and signals. */
async function runPulumi(words: readonly string[]): Promise<number> {
  const { command, stack, cwd, configFile, wantsHelp } = readCommon(words);
  const directory = cwd === undefined ? packageRoot() : fromCaller(cwd);
  const operation = wantsHelp || stack === undefined ? undefined : OPERATIONS.get(command ?? "");
  if (operation !== undefined && stack !== undefined) await preload(stack, directory);
  const opened = await openStack({ projectDir: directory, stack: stack ?? "none" });
  const fileArguments = ABOUT_THE_FILE.has(command) ? opened.fileArguments : [];
  const more = operation === undefined ? fileArguments : await opened.prepare(operation);
  // Pulumi's own --remove deletes the stack's file too, which belongs to the repository.
  const removes = operation !== undefined && words.includes("--remove");
  const args = [
    ...(SHORT.has(command) ? ["stack", ...words] : words.filter((word) => !removes || word !== "--remove")),
    ...(cwd === undefined ? ["--cwd", directory] : []),
    ...(configFile === undefined ? more : []),
  ];
  const destroys = DESTROYS.has(command);
  // On a terminal the screen is Pulumi's own, with its notices.
  const isText = operation !== undefined && !process.stdout.isTTY && !words.includes("--json");
  const code = await run(opened, args, isText);
  if (destroys && !removes && stack !== undefined && code === EXIT.ok)
    console.error(
      `The history of stack ${stack} is kept. The same with --remove removes it too and leaves the stack's file alone, which plain pulumi stack rm would delete.`,
    );
  if (removes && code === EXIT.ok) {
    await opened.remove();
    console.error(`--remove: the stack ${stack} and its history are gone too; its file stays.`);
  }
  if (code !== EXIT.ok && stack !== undefined) {
    const help = opened.wrongPassphrase();
    if (help !== undefined) console.error(help);
  }
  return code;
}

/** @param filters Whether Pulumi's notices of stand-ins are left out. */
function run(
  { toolchain, environment }: OpenStack,
  args: readonly string[],
  filters: boolean,
): Promise<number> {
  const hasTerminal = process.stdin.isTTY === true;
  return new Promise((resolve, reject) => {
    const child = spawn(toolchain.pulumi?.path ?? "pulumi", args, {
      cwd: fromCaller("."),
      env: {
        ...process.env,
        ...environment,
        ...(hasTerminal ? {} : { PULUMI_SKIP_CONFIRMATIONS: "true" }),
      },
      stdio: filters ? ["inherit", "pipe", "pipe"] : "inherit",
      // A terminal sends Ctrl-C to its whole process group; otherwise signals are forwarded to the CLI from
      // here, only once: it takes a second one as "at once".
      detached: !hasTerminal,
    });
    for (const stream of ["stdout", "stderr"] as const) {
      const print = withoutNotices((line) => process[stream].write(`${line}\n`), { keepBlank: true });
      if (child[stream] !== null) createInterface({ input: child[stream] }).on("line", print);
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => {
        if (signal !== "SIGINT" || !hasTerminal) child.kill("SIGINT");
      });
    child.once("error", reject);
    child.once("close", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

const words = process.argv.slice(2);
const { command } = readCommon(words);

async function main(): Promise<number> {
  if (command !== undefined) return runPulumi(words);
  console.log(usage);
  return EXIT.ok;
}

// The reader of the output may have exited, as on a lost connection: current work is still completed.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
main().then(
  (code) => process.exit(code),
  (error: unknown) => process.exit(exitCodeOf(error)),
);
