/**
 * `npm run lab -- up|down|status|sky …`: a single-machine Slurm cluster, or with `--kubernetes` a Kubernetes
 * cluster, for real SkyPilot without a cloud. Their nodes, which claim H100 and A100, are all this machine.
 */
import { spawnSync } from "node:child_process";
import { json, verb } from "../cli/command";
import { EXIT, exitCodes, runTool } from "../cli/commandLine";
import { UserError } from "../lib/errors";
import { Progress } from "../lib/progress";
import { type Lab, skyEnvironmentOf } from "../toolchain/labs";
import { isSetUp, KUBERNETES_KIND, type LabKind, SLURM_KIND } from "./lab/kinds";
import { aloneOnLab, keepLab } from "./lab/session";
import { requireLabMachine, whyNoLab } from "./lab/system";
import { installedSky } from "./lab/tools";

interface Options {
  readonly kubernetes?: true;
}

function kindOf({ kubernetes }: Options): LabKind {
  return kubernetes === true ? KUBERNETES_KIND : SLURM_KIND;
}

/** The option of all commands, as a word after theirs. */
function optionOf({ kind }: Lab): string {
  return kind === "kubernetes" ? " --kubernetes" : "";
}

async function up(options: Options): Promise<void> {
  requireLabMachine();
  const kind = kindOf(options);
  const { lab, nodes, stack } = kind;
  const progress = new Progress();
  const { signal } = stopSignal();
  await aloneOnLab(lab, "starting the lab", progress, async () => {
    await kind.up(progress, signal);
    keepLab(lab);
  });
  progress.line(
    `ready: infra '${lab.infra}', ${nodes} (the stack ${stack} uses it). 'npm run lab -- down${optionOf(lab)}' ends it.`,
  );
}

async function down(options: Options): Promise<void> {
  requireLabMachine();
  const kind = kindOf(options);
  const progress = new Progress();
  const { signal } = stopSignal();
  await aloneOnLab(kind.lab, "taking the lab down", progress, () => kind.down(progress, signal));
}

/** Why there is no lab. */
function whyNotThere(lab: Lab): string | undefined {
  const reason = whyNoLab();
  if (reason !== undefined) return `The lab cannot run on this machine: ${reason}.`;
  return isSetUp(lab) ? undefined : notSetUp(lab);
}

function notSetUp({ up: command }: Lab): string {
  return `The lab is not set up; '${command}' does it.`;
}

/** Exit code 0 if everything runs. */
async function status(kind: LabKind, asJson: boolean): Promise<number> {
  const problem = whyNotThere(kind.lab);
  if (problem !== undefined) {
    process.stdout.write(
      asJson ? `${JSON.stringify({ problem, daemons: [] }, undefined, 2)}\n` : `${problem}\n`,
    );
    return EXIT.failed;
  }
  const daemons: { readonly name: string; readonly runs: boolean; readonly problem: string | null }[] = [];
  const all = kind.daemons();
  const width = Math.max(12, ...all.map(({ name }) => name.length));
  for (const daemon of all) {
    const missing = await daemon.check();
    daemons.push({ name: daemon.name, runs: missing === undefined, problem: missing ?? null });
    if (asJson) continue;
    process.stdout.write(
      `${daemon.name.padEnd(width)} ${missing === undefined ? "runs" : `does not answer: ${missing}`}\n`,
    );
  }
  if (asJson) process.stdout.write(`${JSON.stringify({ problem: null, daemons }, undefined, 2)}\n`);
  return daemons.every(({ runs }) => runs) ? EXIT.ok : EXIT.failed;
}

function sky({ lab }: LabKind, args: readonly string[]): number {
  if (!isSetUp(lab)) throw new UserError(notSetUp(lab));
  // Ctrl-C is for the child, and this process outlives it.
  stopSignal();
  const result = spawnSync(installedSky(lab), args, {
    stdio: "inherit",
    env: { ...process.env, ...skyEnvironmentOf(lab) },
  });
  return result.status ?? EXIT.failed;
}

function stopSignal(): AbortController {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => stop.abort(new UserError(`Stopped by ${signal}.`)));
  }
  return stop;
}

const STATUS_JSON = json("{problem,daemons:[{name,runs,problem}]}; problem says why there is no lab");

const KUBERNETES_WORDS = "the lab's Kubernetes instead of its Slurm";

const lab = verb(
  "npm run lab --",
  "A Slurm cluster on this machine, or with --kubernetes a Kubernetes cluster, for real SkyPilot without a cloud.",
  `Options of status:
  --json   ${STATUS_JSON.description}

${exitCodes({ ok: "it worked, or everything runs", failed: "it failed, or something does not run" }, "the command is wrong")}`,
)
  // What stands behind `sky` is SkyPilot's.
  .enablePositionalOptions()
  .helpCommand(false);
lab
  .command("up")
  .description(
    "install what is missing, start the cluster and SkyPilot's API server; does nothing where they run",
  )
  .option("--kubernetes", KUBERNETES_WORDS)
  .action(up);
lab
  .command("down")
  .description("end everything that 'up' started and remove everything that it wrote")
  .option("--kubernetes", KUBERNETES_WORDS)
  .action(down);
lab
  .command("status")
  .description("what runs")
  .option("--kubernetes", KUBERNETES_WORDS)
  .addOption(STATUS_JSON)
  .action(async (options) => {
    process.exitCode = await status(kindOf(options), options.json);
  });
lab
  .command("sky")
  .description("SkyPilot of the lab: npm run lab -- sky status; npm run lab -- sky --kubernetes status")
  .option("--kubernetes", KUBERNETES_WORDS)
  .argument("[words...]", "what its command line takes")
  .helpOption(false)
  .allowUnknownOption()
  .passThroughOptions()
  .action((words, options) => {
    process.exitCode = sky(kindOf(options), words);
  });
runTool(lab);
