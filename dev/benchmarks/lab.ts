/**
 * Time of a deployment on SkyPilot, compared with plain SkyPilot and the same recipe: on the lab, one after
 * the other.
 */

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { planStack } from "../../cli/plannedStack";
import { UsageProblem } from "../../cli/pulumi/problem";
import { portHolder } from "../../lib/processes";
import { Progress } from "../../lib/progress";
import { programsOf } from "../../plan/types";
import { CLUSTER_SECRET } from "../../sky/taskSecrets";
import { packageRoot } from "../../toolchain/index";
import { SKY_ENVIRONMENT } from "../../toolchain/labLayout";
import { SLURM_KIND } from "../lab/kinds";
import { borrowLab } from "../lab/session";
import { installedSky } from "../lab/tools";
import { type Change, LAB_STACK, LabProject } from "./labProject";
import { type StreamedAnswer, sendStreams } from "./streams";
import { median, timed } from "./timing";

const CLUSTER = "dynamo-sky-benchmark";
const ANSWER_SECONDS = 300;
const PAUSE_MS = 250;

/** Streams at any time during a change. */
const LOAD = { requests: Number.POSITIVE_INFINITY, clients: 50, answerTokens: 32 };

export interface LabTimes {
  readonly rows: readonly {
    readonly what: string;
    readonly seconds: readonly number[];
    /** In seconds, or in what it says; none if there is no goal. */
    readonly goal?: string;
  }[];
  /** Of the medians of `up` and the plain launch. */
  readonly ratio: number;
  /** Streams sent during changes. */
  readonly streams: number;
  /** Status and response of each that did not end whole. */
  readonly lost: readonly string[];
}

/**
 * Measures on the lab with exclusive access: starts it if it is not running, and stops it afterwards.
 *
 * @param repeats Number of launches of each kind; the kinds alternate, so that other load affects both
 * equally.
 * @throws UsageProblem if something else uses one of the ports, UserError if the lab is not available.
 */
export async function labTimes(repeats: number): Promise<LabTimes> {
  requireFreePorts();
  return borrowLab(SLURM_KIND, "measuring on the lab", new Progress(), () => measure(repeats));
}

function requireFreePorts(): void {
  const { plan } = planStack(LAB_STACK, packageRoot());
  const programs = programsOf(plan);
  const taken = programs.flatMap(({ name, ports }) =>
    Object.values(ports).flatMap((port) => {
      const holder = portHolder("127.0.0.1", port);
      return holder === undefined ? [] : [`  ${port} (${name}): process ${holder.pid}, ${holder.command}`];
    }),
  );
  if (taken.length === 0) return;
  throw new UsageProblem(
    `Ports of stack ${LAB_STACK} are taken:\n${taken.join("\n")}\nEnd these, then run this again.`,
  );
}

/** Rows of the table, in its order, and the goal of each. */
const emptyRows = () => ({
  bare: row("bare `sky launch` of the recipe, to the first answer"),
  up: row("`pulumi up` of the same with gateway and TLS, to the first answer", "1.15 × bare"),
  noop: row("no-op `up`", "4"),
  preview: row("`preview`", "4"),
  mode: row("router mode, under load", "10"),
  more: row("one more decode worker, under load", "15"),
  fewer: row("one decode worker fewer, under load"),
  destroy: row("`destroy`"),
  down: row("bare `sky down`"),
});
type Rows = ReturnType<typeof emptyRows>;

function row(what: string, goal?: string) {
  const seconds: number[] = [];
  return { what, seconds, ...(goal === undefined ? {} : { goal }) };
}

async function measure(repeats: number): Promise<LabTimes> {
  const rows = emptyRows();
  const answers: StreamedAnswer[] = [];
  const project = new LabProject();
  const bare = async (): Promise<void> => {
    rows.bare.seconds.push(await bareLaunch(project));
    rows.down.seconds.push(await sky("down", "-y", CLUSTER));
  };
  const ours = async () => answers.push(...(await life(project, rows)));
  try {
    // The first launch on a machine downloads packages: it is not counted.
    await bareLaunch(project);
    await sky("down", "-y", CLUSTER);
    for (let run = 0; run < repeats; run++) {
      const inTurn = run % 2 === 0 ? [bare, ours] : [ours, bare];
      for (const work of inTurn) await work();
    }
  } finally {
    // Cleans up after a failure; either may not exist.
    await project.stack("destroy").catch(() => undefined);
    await sky("down", "-y", CLUSTER).catch(() => undefined);
    project.remove();
  }
  const lost = answers.filter(({ isWhole }) => !isWhole);
  return {
    rows: Object.values(rows),
    ratio: median(rows.up.seconds) / median(rows.bare.seconds),
    streams: answers.length,
    lost: lost.map(({ status, problem }) => `${status}: ${problem}`),
  };
}

/** From `up` to `destroy`. @returns Every stream of the load. */
async function life(project: LabProject, rows: Rows): Promise<StreamedAnswer[]> {
  project.configure({});
  rows.up.seconds.push(await project.stack("up"));
  rows.noop.seconds.push(await project.stack("up"));
  rows.preview.seconds.push(await project.stack("preview"));
  let isOver = false;
  const load = sendStreams(await project.endpoint(), { ...LOAD, isOver: () => isOver });
  try {
    const change = async (to: Change): Promise<number> => {
      project.configure(to);
      return project.stack("up");
    };
    rows.mode.seconds.push(await change({ mode: "round-robin" }));
    rows.more.seconds.push(await change({ mode: "round-robin", decodeWorkers: 3 }));
    rows.fewer.seconds.push(await change({ mode: "round-robin", decodeWorkers: 2 }));
  } finally {
    isOver = true;
    await load;
  }
  rows.destroy.seconds.push(await project.stack("destroy"));
  return load;
}

function sky(...args: readonly string[]): Promise<number> {
  return timed(installedSky(), args, { cwd: packageRoot(), env: { ...process.env, ...SKY_ENVIRONMENT } });
}

/** From the command to the first chat response, as done by hand. */
async function bareLaunch(project: LabProject): Promise<number> {
  const { path, plan } = project.recipe();
  const started = performance.now();
  process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
  await sky("launch", "-y", "-d", "-c", CLUSTER, "--secret", CLUSTER_SECRET, path);
  await untilAnswer(`http://127.0.0.1:${plan.endpoint.port}`, plan.model);
  return (performance.now() - started) / 1000;
}

/** @throws Error if no response with tokens arrives within 300 s. */
async function untilAnswer(endpoint: string, model: string): Promise<void> {
  const deadline = performance.now() + ANSWER_SECONDS * 1000;
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Say hello." }], max_tokens: 8 });
  const headers = { "content-type": "application/json" };
  for (;;) {
    const answer = await fetch(`${endpoint}/v1/chat/completions`, { method: "POST", headers, body }).then(
      (response) => response.text(),
      () => "",
    );
    if (/"completion_tokens":\s*[1-9]/.test(answer)) return;
    if (performance.now() > deadline)
      throw new Error(`${endpoint} did not answer within ${ANSWER_SECONDS} s`);
    await sleep(PAUSE_MS);
  }
}
