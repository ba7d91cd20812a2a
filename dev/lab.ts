/**
 * `npm run lab -- up|down|status|sky …`: a Slurm cluster in a box, for real SkyPilot without a cloud. Its nodes, which
 * claim H100 and A100, are all this machine.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { EXIT, exitCodes } from "../cli/commandLine";
import { UserError } from "../lib/errors";
import { Progress } from "../lib/progress";
import { LAB, LAB_INFRA, LAB_PARTITIONS, SKY_ENVIRONMENT } from "../toolchain/labLayout";
import { labDaemons } from "./lab/daemons";
import { labDown } from "./lab/down";
import { aloneOnLab, keepLab } from "./lab/session";
import { requireLabMachine, whyNoLab } from "./lab/system";
import { findLabTools, installedSky } from "./lab/tools";
import { labUp } from "./lab/up";

const USAGE = `Usage: npm run lab -- VERB

  up       install what is missing, start Slurm, sshd and SkyPilot's API server; does nothing where they run
  down     end everything that 'up' started and remove everything that it wrote
  status   what runs
  sky …    SkyPilot of the lab: npm run lab -- sky status

Options
  --json   status: print JSON: {problem,daemons:[{name,runs,problem}]}; problem says why there is no lab

${exitCodes({ ok: "it worked, or everything runs", failed: "it failed, or something does not run" }, "the command is wrong")}`;

async function main([verb = "", ...rest]: readonly string[]): Promise<number> {
  const progress = new Progress();
  const { signal } = stopSignal();
  switch (verb) {
    case "up":
      requireLabMachine();
      await aloneOnLab("starting the lab", progress, async () => {
        await labUp(() => findLabTools(progress), progress, signal);
        keepLab();
      });
      progress.line(
        `ready: infra '${LAB_INFRA}', ${nodesInWords()} (the stack lab uses it). 'npm run lab -- down' ends it.`,
      );
      return 0;
    case "down":
      requireLabMachine();
      await aloneOnLab("taking the lab down", progress, () => labDown(progress, signal));
      return 0;
    case "status":
      return status(rest.includes("--json"));
    case "sky":
      return sky(rest);
    case "--help":
    case "-h":
      process.stdout.write(`${USAGE}\n`);
      return EXIT.ok;
    default:
      process.stderr.write(`${USAGE}\n`);
      return EXIT.usage;
  }
}

/** `2 nodes with H100:8, 4 nodes with A100:1`. */
function nodesInWords(): string {
  return LAB_PARTITIONS.map(
    ({ nodes, accelerator, gpus }) => `${nodes.length} nodes with ${accelerator}:${gpus}`,
  ).join(", ");
}

/** Why there is no lab to look at. */
function whyNotThere(): string | undefined {
  const reason = whyNoLab();
  if (reason !== undefined) return `The lab cannot run on this machine: ${reason}.`;
  return existsSync(LAB.root) ? undefined : NOT_SET_UP;
}

const NOT_SET_UP = "The lab is not set up; 'npm run lab -- up' does it.";

/** Exit code 0 when everything runs. */
async function status(json: boolean): Promise<number> {
  const problem = whyNotThere();
  if (problem !== undefined) {
    process.stdout.write(
      json ? `${JSON.stringify({ problem, daemons: [] }, undefined, 2)}\n` : `${problem}\n`,
    );
    return EXIT.failed;
  }
  const daemons: { readonly name: string; readonly runs: boolean; readonly problem: string | null }[] = [];
  for (const daemon of labDaemons(installedSky())) {
    const missing = await daemon.check();
    daemons.push({ name: daemon.name, runs: missing === undefined, problem: missing ?? null });
    if (json) continue;
    process.stdout.write(
      `${daemon.name.padEnd(12)} ${missing === undefined ? "runs" : `does not answer: ${missing}`}\n`,
    );
  }
  if (json) process.stdout.write(`${JSON.stringify({ problem: null, daemons }, undefined, 2)}\n`);
  return daemons.every(({ runs }) => runs) ? EXIT.ok : EXIT.failed;
}

function sky(args: readonly string[]): number {
  if (!existsSync(LAB.root)) throw new UserError(NOT_SET_UP);
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

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const text =
      error instanceof UserError ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = EXIT.failed;
  },
);
