/**
 * `npm run lab -- up|down|status|sky …`: a single-machine Slurm cluster, for real SkyPilot without a cloud.
 * Its nodes, which claim H100 and A100, are all this machine.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { json, verb } from "../cli/command";
import { EXIT, exitCodes, runTool } from "../cli/commandLine";
import { UserError } from "../lib/errors";
import { Progress } from "../lib/progress";
import { LAB, LAB_INFRA, LAB_PARTITIONS, SKY_ENVIRONMENT } from "../toolchain/labLayout";
import { labDaemons } from "./lab/daemons";
import { labDown } from "./lab/down";
import { aloneOnLab, keepLab } from "./lab/session";
import { requireLabMachine, whyNoLab } from "./lab/system";
import { findLabTools, installedSky } from "./lab/tools";
import { labUp } from "./lab/up";

async function up(): Promise<void> {
  requireLabMachine();
  const progress = new Progress();
  const { signal } = stopSignal();
  await aloneOnLab("starting the lab", progress, async () => {
    await labUp(() => findLabTools(progress), progress, signal);
    keepLab();
  });
  progress.line(
    `ready: infra '${LAB_INFRA}', ${nodesInWords()} (the stack lab uses it). 'npm run lab -- down' ends it.`,
  );
}

async function down(): Promise<void> {
  requireLabMachine();
  const progress = new Progress();
  const { signal } = stopSignal();
  await aloneOnLab("taking the lab down", progress, () => labDown(progress, signal));
}

/** `2 nodes with H100:8, 4 nodes with A100:1`. */
function nodesInWords(): string {
  return LAB_PARTITIONS.map(
    ({ nodes, accelerator, gpus }) => `${nodes.length} nodes with ${accelerator}:${gpus}`,
  ).join(", ");
}

/** Why there is no lab. */
function whyNotThere(): string | undefined {
  const reason = whyNoLab();
  if (reason !== undefined) return `The lab cannot run on this machine: ${reason}.`;
  return existsSync(LAB.root) ? undefined : NOT_SET_UP;
}

const NOT_SET_UP = "The lab is not set up; 'npm run lab -- up' does it.";

/** Exit code 0 if everything runs. */
async function status(asJson: boolean): Promise<number> {
  const problem = whyNotThere();
  if (problem !== undefined) {
    process.stdout.write(
      asJson ? `${JSON.stringify({ problem, daemons: [] }, undefined, 2)}\n` : `${problem}\n`,
    );
    return EXIT.failed;
  }
  const daemons: { readonly name: string; readonly runs: boolean; readonly problem: string | null }[] = [];
  for (const daemon of labDaemons(installedSky())) {
    const missing = await daemon.check();
    daemons.push({ name: daemon.name, runs: missing === undefined, problem: missing ?? null });
    if (asJson) continue;
    process.stdout.write(
      `${daemon.name.padEnd(12)} ${missing === undefined ? "runs" : `does not answer: ${missing}`}\n`,
    );
  }
  if (asJson) process.stdout.write(`${JSON.stringify({ problem: null, daemons }, undefined, 2)}\n`);
  return daemons.every(({ runs }) => runs) ? EXIT.ok : EXIT.failed;
}

function sky(args: readonly string[]): number {
  if (!existsSync(LAB.root)) throw new UserError(NOT_SET_UP);
  // Ctrl-C is for the child, and this process outlives it.
  stopSignal();
  const result = spawnSync(installedSky(), args, {
    stdio: "inherit",
    env: { ...process.env, ...SKY_ENVIRONMENT },
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

const lab = verb(
  "npm run lab --",
  "A Slurm cluster on this machine, for real SkyPilot without a cloud.",
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
    "install what is missing, start Slurm, sshd and SkyPilot's API server; does nothing where they run",
  )
  .action(up);
lab
  .command("down")
  .description("end everything that 'up' started and remove everything that it wrote")
  .action(down);
lab
  .command("status")
  .description("what runs")
  .addOption(STATUS_JSON)
  .action(async ({ json: asJson }) => {
    process.exitCode = await status(asJson);
  });
lab
  .command("sky")
  .description("SkyPilot of the lab: npm run lab -- sky status")
  .argument("[words...]", "what its command line takes")
  .helpOption(false)
  .allowUnknownOption()
  .passThroughOptions()
  .action((words) => {
    process.exitCode = sky(words);
  });
runTool(lab);
