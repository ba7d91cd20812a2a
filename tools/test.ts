/**
 * `npm test [-- vitest arguments]`: installs what the chosen tests need, then runs them with vitest.
 *
 *     npm test                              unit, contract, engine and dynamo
 *     npm test -- --project unit            one kind
 *     npm test -- test/engine/stack.test.ts one file
 *     npm run test:engines                  the plan's commands, told to SGLang's and vLLM's own parsers; installs 18 GB
 *
 * The last line is `N passed, N failed, N skipped`. The exit code is vitest's.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureEngine, INSTALLED_ENGINES } from "./engineEnvironments";
import { ensureToolchain, packageRoot, type ToolName } from "./toolchain/index";

const needs: Readonly<Record<string, readonly ToolName[]>> = {
  unit: [],
  contract: ["pulumi", "plugins"],
  engine: ["pulumi", "plugins"],
  dynamo: ["pulumi", "plugins", "python", "etcd", "nats-server", "model"],
  lab: ["pulumi", "plugins"],
  engines: [],
};
/** `engines` installs 18 GB and `lab` stands up a Slurm and takes 15 minutes: each runs only when asked for, and that is said. */
const byDefault = ["unit", "contract", "engine", "dynamo"];
const NOT_RUN =
  "Not run: the lab (npm test -- --project lab), the engines' own parsers (npm run test:engines).";
const model = "Qwen/Qwen3-8B";

/** The kinds of test that the arguments name, by `--project` or by a path. */
function chosenKinds(args: readonly string[]): string[] {
  const named = Object.keys(needs).filter((kind) =>
    args.some((arg, i) => arg === `--project=${kind}` || (arg === kind && args[i - 1] === "--project")),
  );
  const paths = args.filter((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--project");
  const byPath = Object.keys(needs).filter((kind) => paths.some((path) => path.includes(`test/${kind}/`)));
  if (named.length > 0) return named;
  return byPath.length > 0 ? byPath : byDefault;
}

function runVitest(args: readonly string[], report: string): Promise<number> {
  const vitest = join(packageRoot(), "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [vitest, "run", ...reporters, ...args], {
    cwd: packageRoot(),
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** The last line, from vitest's own JSON report. */
function summary(report: string): string {
  const parsed: unknown = JSON.parse(readFileSync(report, "utf8"));
  const counts = parsed as Record<string, unknown>;
  const count = (key: string) => Number(counts[key] ?? 0);
  const skipped = count("numPendingTests") + count("numTodoTests");
  return `${count("numPassedTests")} passed, ${count("numFailedTests")} failed, ${skipped} skipped`;
}

const usage = `Usage: npm test [-- options of vitest]

Installs what the chosen tests need, then runs them. The last line is 'N passed, N failed, N skipped'.

  npm test -- --project unit              one kind: ${Object.keys(needs).join(", ")}
  npm test -- test/engine/stack.test.ts   one file
  npm test -- -t 'some words'             tests of that name; all other options are vitest's too

Exit code: 0 all passed, 1 some failed.`;

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage);
    return;
  }
  const kinds = chosenKinds(args);
  const need = [...new Set(kinds.flatMap((kind) => needs[kind] ?? []))];
  if (need.length > 0) await ensureToolchain({ need, model });
  if (kinds.includes("engines"))
    for (const engine of INSTALLED_ENGINES)
      await ensureEngine(engine, (line) => process.stderr.write(`${line}\n`));
  const projects = args.some((arg) => arg.startsWith("--project"))
    ? []
    : kinds.flatMap((kind) => ["--project", kind]);
  const directory = mkdtempSync(join(tmpdir(), "dynamo-sky-test-"));
  const report = join(directory, "report.json");
  try {
    process.exitCode = await runVitest([...projects, ...args], report);
    if (kinds === byDefault) console.log(NOT_RUN);
    console.log(summary(report));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
