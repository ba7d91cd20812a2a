/**
 * `npm test [-- vitest arguments]`: installs the requirements of the chosen tests, then runs them with
 * vitest.
 *
 *     npm test unit, contract, engine, dynamo, pipelines, and the labs where the machine can have them
 *     npm test -- --project unit one kind
 *     npm test -- test/engine/stack.test.ts one file
 *     npm run test:engines the plan's commands, parsed by SGLang's and vLLM's own parsers; installs 18 GB
 *
 * The last line is `N passed, N failed, N skipped`; above it, a line for each test that failed. The exit code
 * is vitest's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Progress } from "../lib/progress";
import { messageOf } from "../lib/run";
import { ensureToolchain, packageRoot, type ToolName } from "../toolchain/index";
import { ensureEngine, INSTALLED_ENGINES } from "./engineEnvironments";
import { KUBERNETES_KIND, type LabKind, SLURM_KIND } from "./lab/kinds";
import { borrowLab } from "./lab/session";
import { whyNoLab, whyNotBothLabs } from "./lab/system";
import { ensurePipelineLinters, locatePipelineLinters } from "./pipelineLinters";
import { ensureTestEnvironment } from "./testEnvironments";
import { type Report, reportIn } from "./testReport";

const needs: Readonly<Record<string, readonly ToolName[]>> = {
  unit: [],
  contract: ["pulumi", "plugins"],
  engine: ["pulumi", "plugins"],
  dynamo: ["pulumi", "plugins", "python", "etcd", "nats-server", "prometheus", "promtool", "model"],
  pipelines: ["pulumi", "plugins", "python", "nginx", "model"],
  lab: ["pulumi", "plugins"],
  kubernetes: ["pulumi", "plugins"],
  engines: [],
};
/** Undefined if the tests of both labs run beside each other. */
const whyNoKubernetes = whyNoLab() ?? whyNotBothLabs();
/**
 * `engines` installs 18 GB: it runs only on request, as `kubernetes` does where the machine is too small for
 * both labs; each with a note about that.
 */
const byDefault = [
  ...["unit", "contract", "engine", "dynamo", "pipelines", "lab"],
  ...(whyNoKubernetes === undefined ? ["kubernetes"] : []),
];
const model = "Qwen/Qwen3-8B";
/** The kinds with a lab. */
const LABS: Readonly<Record<string, LabKind>> = { lab: SLURM_KIND, kubernetes: KUBERNETES_KIND };

/** The kinds of test in the arguments, from `--project` or a path. */
function chosenKinds(args: readonly string[]): string[] {
  const named = Object.keys(needs).filter((kind) =>
    args.some((arg, i) => arg === `--project=${kind}` || (arg === kind && args[i - 1] === "--project")),
  );
  const paths = args.filter((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--project");
  const byPath = Object.keys(needs).filter((kind) => paths.some((path) => path.includes(`test/${kind}/`)));
  if (named.length > 0) return named;
  return byPath.length > 0 ? byPath : byDefault;
}

/**
 * Running processes, and whether this one was stopped: then nothing new is started, but the set-up is undone.
 */
const running = new Set<ChildProcess>();
let isStopped = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    isStopped = true;
    for (const child of running) child.kill(signal);
  });

function runVitest(
  args: readonly string[],
  report: string,
  isLab: boolean,
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const vitest = join(packageRoot(), "node_modules", "vitest", "vitest.mjs");
  // The lab's tests take a minute each, so each one's result is printed when it is done.
  const reporters = [
    isLab ? "--reporter=verbose" : "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ];
  const child = spawn(process.execPath, [vitest, "run", ...reporters, ...args], {
    cwd: packageRoot(),
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  running.add(child);
  return new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  }).finally(() => running.delete(child));
}

/** Result of a run of vitest. */
interface Run extends Report {
  readonly code: number;
}

const NOTHING: Report = { counts: [0, 0, 0], failures: [] };

/** Caches of tools in the directory for temporary files. */
const CACHES = /^(tsx-\d+|node-compile-cache)$/;

/** What tests have left in their directory for temporary files, told. */
function reportLeftovers(temporary: string): boolean {
  const leftovers = readdirSync(temporary).filter((name) => !CACHES.test(name));
  if (leftovers.length > 0)
    console.error(`The tests have left files in their directory for temporary ones: ${leftovers.join(", ")}`);
  return leftovers.length > 0;
}

/**
 * Runs kinds of test in one vitest process, with a directory of its own for temporary files that has to be
 * empty afterwards. Not in the lab, whose processes outlive a run and have their own.
 */
async function runKinds(kinds: readonly string[], args: readonly string[]): Promise<Run> {
  if (isStopped) return { code: 1, ...NOTHING };
  // Short, since nodes have sockets below it.
  const directory = mkdtempSync(join(tmpdir(), "dsky-"));
  const report = join(directory, "report.json");
  const temporary = join(directory, "tmp");
  mkdirSync(temporary);
  try {
    const projects = kinds.flatMap((kind) => ["--project", kind]);
    const isLab = kinds.some((kind) => kind in LABS);
    const code = await runVitest([...projects, ...args], report, isLab, isLab ? {} : { TMPDIR: temporary });
    return { code: reportLeftovers(temporary) ? code || 1 : code, ...reportIn(report, packageRoot()) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The arguments without the names of kinds, which are added to each run. */
function withoutKinds(args: readonly string[]): string[] {
  return args.filter((arg, i) => !arg.startsWith("--project") && args[i - 1] !== "--project");
}

/** The lab's tests have exclusive access to the lab, and leave the machine as it was. */
function runLab(kind: string, lab: LabKind, args: readonly string[]): Promise<Run> {
  const work = () => runKinds([kind], args);
  return whyNoLab() === undefined ? borrowLab(lab, "testing on the lab", new Progress(), work) : work();
}

/**
 * Waits for all runs, so that none is left running when another cannot be set up; that one counts as failed,
 * with its reason.
 */
async function ended(runs: readonly Promise<readonly Run[]>[]): Promise<Run[]> {
  const results = await Promise.allSettled(runs);
  return results.flatMap((result): readonly Run[] => {
    if (result.status === "fulfilled") return result.value;
    console.error(messageOf(result.reason));
    return [{ code: 1, ...NOTHING }];
  });
}

/** Runs groups of kinds one after the other. */
async function inTurn(groups: readonly (readonly string[])[], args: readonly string[]): Promise<Run[]> {
  const runs: Run[] = [];
  for (const group of groups) runs.push(await runKinds(group, args));
  return runs;
}

/** Names of skipped tests, with reasons. */
function leftOut(kinds: readonly string[]): string[] {
  const reason = kinds.some((kind) => kind in LABS) ? whyNoLab() : undefined;
  return [
    ...(reason === undefined
      ? []
      : [`Not run: the tests with real SkyPilot (test/lab). The lab cannot run on this machine: ${reason}.`]),
    ...(kinds.includes("pipelines") && locatePipelineLinters().actionlint === undefined
      ? ["Not run: actionlint on the GitHub workflows. There is no Go to build it with."]
      : []),
    ...(kinds === byDefault ? ["Not run: the engines' own parsers (npm run test:engines, 18 GB)."] : []),
    ...(kinds === byDefault && whyNoKubernetes !== undefined
      ? [
          `Not run: real SkyPilot on a real Kubernetes: ${whyNoKubernetes} (npm test -- --project kubernetes runs it alone; builds it, 7 minutes the first time).`,
        ]
      : []),
  ];
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
  if (kinds.includes("pipelines")) await ensurePipelineLinters((line) => process.stderr.write(`${line}\n`));
  if (kinds.includes("dynamo"))
    await ensureTestEnvironment("openmpi", (line) => process.stderr.write(`${line}\n`));
  if (kinds.includes("engines"))
    for (const engine of INSTALLED_ENGINES)
      await ensureEngine(engine, (line) => process.stderr.write(`${line}\n`));
  const rest = withoutKinds(args);
  const others = kinds.filter((kind) => !(kind in LABS));
  // With names of files, one run looks for them in all kinds.
  const groups = rest.length > 0 ? [others] : [["unit"], others.filter((kind) => kind !== "unit")];
  // The lab's tests mostly wait for SkyPilot and Slurm: the others run in parallel.
  const begun = [
    inTurn(
      groups.map((group) => group.filter((kind) => others.includes(kind))).filter(({ length }) => length > 0),
      rest,
    ),
    ...Object.entries(LABS)
      .filter(([kind]) => kinds.includes(kind))
      .map(([kind, lab]) => runLab(kind, lab, rest).then((run) => [run])),
  ];
  const runs = await ended(begun);
  process.exitCode = runs.find(({ code }) => code !== 0)?.code ?? 0;
  for (const line of runs.flatMap(({ failures }) => failures)) console.log(`Failed: ${line}`);
  for (const line of leftOut(kinds)) console.log(line);
  const [passed, failed, skipped] = runs
    .map(({ counts }) => counts)
    .reduce((a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]], [0, 0, 0]);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
