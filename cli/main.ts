/** `dynamo-sky <verb>` for users; Pulumi's command resources run the verbs in `internal/`. */
import { Command } from "@commander-js/extra-typings";
import { optionalPackages, packageVersion } from "../lib/root";
import { HELP_WIDTH } from "./command";
import { EXIT, exitCodeOf } from "./commandLine";
import { VERBS } from "./verbs";

/** The command line with the given verb, or with all of them if none is given. */
function programFor(called: string | undefined): Command {
  const program = new Command("dynamo-sky")
    .description(
      "NVIDIA Dynamo on GPUs that SkyPilot provisions, or on this machine: what `pulumi` itself does not do.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this; after a verb: its options")
    .helpCommand(false)
    // Options after a verb belong to that verb, even if a parent command has an option of the same name.
    .enablePositionalOptions()
    .configureHelp({ helpWidth: HELP_WIDTH })
    .exitOverride();
  const verb = called === undefined ? undefined : VERBS[called];
  if (verb !== undefined) return program.addCommand(verb.load().command as Command);
  for (const [name, { summary }] of Object.entries(VERBS)) program.command(name).summary(summary);
  return program;
}

/** @returns The exit code. */
async function main(argv: readonly string[]): Promise<number> {
  // For drift, 2 means that a stack is not in sync, so a usage error must have another code.
  const wrongUse = argv.includes("drift") ? EXIT.failed : EXIT.usage;
  try {
    await programFor(argv[0]).parseAsync(argv, { from: "user" });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    const missing = missingPackage(error);
    if (missing === undefined) return exitCodeOf(error, wrongUse);
    console.error(
      `'dynamo-sky ${argv[0]}' needs the npm package ${missing}: npm install ${optionalPackages()}`,
    );
    return EXIT.failed;
  }
}

/** Codes of a package that is not there, by `require` and by `import`. */
const NOT_FOUND: ReadonlySet<string> = new Set(["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"]);

/** A package that only one verb needs, and that is therefore not installed with this one. */
function missingPackage(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error && NOT_FOUND.has(String(error.code)))) return undefined;
  return /Cannot find (?:module|package) '((?:@[\w-]+\/)?[\w-]+)/.exec(error.message)?.[1];
}

// The reader of the output may have exited: current work is still completed.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
void main(process.argv.slice(2)).then((code) => process.exit(code));
