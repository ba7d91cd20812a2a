/** Programs of a stack on the lab are killed under load. */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { RunningDeployment } from "../../cli/deployment/running";
import { registered } from "../../cli/internal/ready";
import { withKey } from "../../dev/benchmarks/streams";
import { callHttp } from "../../lib/http";
import { readyPath } from "../../lib/modelPath";
import { kill } from "../../lib/processes";
import { programLog } from "../../plan/node/paths";
import { type DeploymentPlan, programsOf } from "../../plan/types";
import { ALL, expectOnlyRacedLost, expectOwnBroken, type Loss, linesIn, lose } from "../losses";
import { driver } from "./harness";
import { processOfProgram } from "./processes";
import { nodesDirectory } from "./secrecy";

/** A deployment with its plan. */
export interface Loaded {
  readonly deployment: RunningDeployment;
  readonly plan: DeploymentPlan;
}

/**
 * In nginx's log, of a request that it sends to another frontend: one was gone before it had answered
 * anything.
 */
const ASKED_AGAIN = /while (connecting to|sending request to|reading response header from) upstream/;

const logOnHead = (cluster: string, program: string): string =>
  join(nodesDirectory(cluster) ?? "", "node0", programLog(program));

/** A worker that is killed costs no request. */
export async function expectNoneLost(loaded: Loaded, worker: string): Promise<void> {
  expect(await losePrograms(loaded, [worker])).toEqual(ALL);
  await untilReady(loaded);
}

/** Several that are killed at once cost none but by {@link expectOnlyRacedLost}. */
export async function expectFewLost(
  loaded: Loaded,
  workers: readonly string[],
  cluster: string,
): Promise<void> {
  const logs = programsOf(loaded.plan)
    .filter(({ role }) => role === "frontend")
    .map(({ name }) => logOnHead(cluster, name));
  await expectOnlyRacedLost(logs, () => losePrograms(loaded, workers));
  await untilReady(loaded);
}

/**
 * A frontend that is killed costs its own streams and no other request: the gateway asks the other one. It is
 * not started again before the first later request has its answer: on a busy machine it would be back before
 * that one comes.
 * @param cluster With the gateway's log.
 */
export async function expectOwnLost(loaded: Loaded, frontend: string, cluster: string): Promise<void> {
  const log = logOnHead(cluster, "gateway");
  const before = linesIn([log], ASKED_AGAIN);
  const start = holdStart(cluster, frontend);
  const lost = lose(withKey(loaded.deployment), frontend, [processOfProgram(frontend)], kill, start);
  expectOwnBroken(await lost.finally(start));
  // Supervisor writes down what a program says when it gets to it.
  const again = () => linesIn([log], ASKED_AGAIN) - before;
  await expect.poll(again, { timeout: 10_000 }).toBeGreaterThan(0);
  process.stdout.write(`The gateway has asked the other frontend ${again()} times\n`);
  const { frontendHttp } = programsOf(loaded.plan).find(({ name }) => name === frontend)?.ports ?? {};
  const live = () => statusOf(`http://127.0.0.1:${frontendHttp}/live`);
  await expect.poll(live, { timeout: 60_000, interval: 500 }).toBe(200);
  await untilReady(loaded);
}

/**
 * Keeps a program of the head from being started again, by taking away what `launch.py` reads. (Supervisor
 * must run on: nobody reads what the other programs say while it is stopped, and nginx waits for that.)
 * @returns Lets it start.
 */
function holdStart(cluster: string, program: string): () => void {
  const units = join(nodesDirectory(cluster) ?? "", "node0", "units");
  const file = readdirSync(units)
    .map((unit) => join(units, unit, `${program}.json`))
    .find((path) => existsSync(path));
  if (file === undefined) throw new Error(`${units} has no ${program}.json`);
  const held = `${file}.held`;
  renameSync(file, held);
  return () => {
    if (existsSync(held)) renameSync(held, file);
  };
}

function losePrograms({ deployment }: Loaded, programs: readonly string[]): Promise<Loss> {
  return lose(withKey(deployment), programs.join(" and "), programs.map(processOfProgram));
}

/** Waits until all workers are registered, those that were killed no more, and the model answers. */
async function untilReady({ deployment, plan }: Loaded): Promise<void> {
  const { endpoint, apiKey, fingerprint } = deployment;
  const { model, task, namespace, expectedWorkers } = plan;
  const asked = { model, task, namespace, expectedWorkers, timeoutSeconds: 90 };
  const { code, stderr } = await driver("ready", { endpoint, apiKey, fingerprint, ...asked });
  expect(code, stderr).toBe(0);
  // The gateway asks one of them: the other may know of a worker later.
  for (const { name, ports } of programsOf(plan).filter(({ role }) => role === "frontend"))
    await expect
      .poll(() => known(ports["frontendHttp"] ?? 0, plan), { timeout: 60_000, interval: 500, message: name })
      .toEqual(expectedWorkers);
}

/** The workers that a frontend knows, by role. */
async function known(port: number, { model, namespace }: DeploymentPlan): Promise<unknown> {
  const url = `http://127.0.0.1:${port}/v1/${readyPath(model)}`;
  const answer = await callHttp(url, { timeoutMs: 5000, signal: new AbortController().signal });
  return registered(JSON.parse(answer.text), namespace);
}

function statusOf(url: string): Promise<number> {
  const signal = new AbortController().signal;
  return callHttp(url, { timeoutMs: 5000, signal }).then(
    ({ status }) => status,
    () => 0,
  );
}
