/**
 * A deployment that grows and shrinks with its load: NVIDIA's planner decides, `dynamo-sky operate` carries
 * it out on the real Pulumi engine, and every stream comes to its end. Each test continues from the previous
 * one's state.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import type { ConfigInput } from "../../config/schema";
import { type StreamedAnswer, sendStreams } from "../../dev/benchmarks/streams";
import { freePorts, freeRange, type Ports } from "../../dev/freePorts";
import { kill, processesOf } from "../../lib/processes";
import { nodeDirectory } from "../../local/directories";
import { eventually } from "../eventually";
import { commandOf, processesWith } from "../processes";
import { destroyBeside, dynamoSky, TestOperator } from "./operatorHarness";
import { eachGoesOn, leftOf, namespaced, pids, type TestProject, testProject } from "./programHarness";

const STREAMS = 40;
const MOST = 3;

let project: TestProject;
let ports: Ports;
let metricsPort = 0;
let cluster = "";
let operator: TestOperator;
const answers: StreamedAnswer[] = [];

function configure(changes: Partial<ConfigInput> = {}): void {
  project.configure(
    "dev",
    namespaced({
      target: "local",
      model: "Qwen/Qwen3-8B",
      engine: "mocker",
      // Few blocks of the KV cache, so that few streams fill it.
      engineArgs: [...["--speedup-ratio", "0.1", "--num-gpu-blocks-override", "60", "--max-num-seqs", "16"]],
      access: { gateway: true },
      pools: [{ role: "aggregated", minReplicas: 1, maxReplicas: MOST }],
      autoscale: {
        target: "load",
        scaleUpKvPercent: 50,
        scaleDownKvPercent: 10,
        intervalSeconds: 2,
        cooldownSeconds: 1,
        changesPerHour: 100,
      },
      ...ports,
      ...changes,
    } as ConfigInput),
  );
}

const workers = async () =>
  Object.keys(await pids(cluster))
    .filter((name) => name.startsWith("aggregated-"))
    .toSorted();

/** Load until the condition holds; its streams are counted. */
async function underLoad(until: () => boolean | Promise<boolean>): Promise<void> {
  const all = await (await project.open("dev")).outputs({ showSecrets: true });
  let isOver = false;
  const load = sendStreams(
    { url: String(all["endpoint"]), model: "Qwen/Qwen3-8B", authorization: `Bearer ${all["apiKey"]}` },
    { requests: Number.POSITIVE_INFINITY, clients: STREAMS, answerTokens: 24, isOver: () => isOver },
  );
  try {
    await eventually(until, 150_000);
  } finally {
    isOver = true;
    answers.push(...(await load));
  }
}

/** The engine's operations on this project. */
const engines = (kind = "(up|preview|refresh)") =>
  processesWith("DYNAMO_SKY_STATE", project.state).filter((pid) =>
    new RegExp(`\\bpulumi ${kind} `).test(commandOf(pid)),
  );

const scaled = () =>
  operator.actions.filter(({ kind }) => kind === "scale").map(({ replicas }) => replicas.aggregated);

beforeAll(async () => {
  project = testProject("autoscale");
  ports = await freePorts();
  metricsPort = await freeRange(1);
  const options = ["--every", "1", "--drift-every", "2", "--metrics-port", String(metricsPort)];
  operator = new TestOperator(project, options);
});
afterAll(() => {
  operator.kill();
  project.remove();
});
eachGoesOn(() => project.lines);

const LONG = { timeout: 400_000 };

it("begins with the fewest", LONG, async () => {
  configure();
  const drift = dynamoSky(project, "drift");
  expect(drift, drift.stderr).toMatchObject({ status: 2, stdout: expect.stringContaining("to create") });
  await (await project.open("dev")).up();
  const all = await (await project.open("dev")).outputs();
  [cluster = ""] = deployedOf(all).topology.map((entry) => entry.cluster);
  expect(all["replicas"]).toEqual({ aggregated: 1 });
  expect(await workers()).toEqual(["aggregated-0"]);
});

it("grows under load, to its bound and not beyond it", LONG, async () => {
  operator.start();
  await underLoad(() => scaled().at(-1) === MOST);
  expect(scaled()).toEqual([2, 3]);
  expect(await workers()).toEqual(["aggregated-0", "aggregated-1", "aggregated-2"]);
});

it("stays as large at an update by hand", LONG, async () => {
  operator.kill();
  // An operation that it has begun comes to its end without it; until then the stack is locked.
  await eventually(() => engines().length === 0, 60_000);
  const before = await pids(cluster);
  const { replicas } = await (await project.open("dev")).outputs();
  await (await project.open("dev")).up();
  expect((await (await project.open("dev")).outputs())["replicas"]).toEqual(replicas);
  expect(await pids(cluster)).toEqual(before);
});

it("shrinks when the load is over", LONG, async () => {
  operator.actions = [];
  operator.start();
  await eventually(() => scaled().at(-1) === 1, 150_000);
  expect(await workers()).toEqual(["aggregated-0"]);
});

it("repairs what is lost, by itself", LONG, async () => {
  operator.actions = [];
  const planner = (await pids(cluster))["planner"] ?? 0;
  const [node] = processesOf(nodeDirectory(cluster, 0)).filter(({ command }) =>
    command.includes("supervisord"),
  );
  kill(planner);
  kill(node?.pid ?? 0);
  await eventually(() => operator.did("repair"), 150_000);
  expect(operator.actions[0]?.text).toMatch(/^autoscale-dev-main-\w+: node 0 does not run/);
  expect(await workers()).toEqual(["aggregated-0"]);
  await underLoad(() => scaled().at(-1) === 2);
  // Its planner decides again, too.
  await eventually(() => scaled().at(-1) === 1, 150_000);
});

it("goes on after kill -9 of operator and engine in the middle of a change", LONG, async () => {
  operator.actions = [];
  await underLoad(async () => {
    // An update that has begun its work.
    if (engines("up").length === 0 || (await workers()).length === 1) return false;
    operator.kill();
    for (const engine of engines()) kill(engine);
    return true;
  });
  operator.start();
  await eventually(() => scaled().at(-1) === 1, 200_000);
  expect(await workers()).toEqual(["aggregated-0"]);
});

it("has lost no stream", () => {
  process.stderr.write(`${answers.length} streams\n`);
  expect(answers.filter(({ isWhole }) => !isWhole).slice(0, 5)).toEqual([]);
  expect(answers.length).toBeGreaterThan(STREAMS);
});

it("tells Prometheus what it did", LONG, async () => {
  const page = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  // With its next look.
  await eventually(async () =>
    (await page()).includes('dynamo_sky_operator_replicas{role="aggregated",stack="dev"} 1'),
  );
  expect(await page()).toContain('dynamo_sky_operator_actions_total{kind="scale",stack="dev"}');
});

it(
  "is taken down when nobody asks, and comes back with its name and its key by an update",
  LONG,
  async () => {
    const before = await (await project.open("dev")).outputs({ showSecrets: true });
    configure({ idle: { afterMinutes: 0.05 } });
    await eventually(() => operator.did("sleep"), 150_000);
    expect(leftOf(cluster)).toEqual({ processes: [], directory: false });
    const asleep = await (await project.open("dev")).outputs({ showSecrets: true });
    expect(asleep).toMatchObject({ asleep: expect.any(String), replicas: { aggregated: 1 } });
    expect(asleep["endpoint"]).toBeUndefined();
    configure();
    // Nobody has to do anything.
    const drift = dynamoSky(project, "drift");
    expect(drift, drift.stderr).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^dev is in sync/),
    });
    await (await project.open("dev")).up();
    const after = await (await project.open("dev")).outputs({ showSecrets: true });
    expect(deployedOf(after).topology.map((entry) => entry.cluster)).toEqual([cluster]);
    expect(after["apiKey"]).toBe(before["apiKey"]);
    expect(await workers()).toEqual(["aggregated-0"]);
  },
);

it("ends its operator when it is destroyed, and leaves nothing", LONG, async () => {
  const ended = operator.ended();
  await destroyBeside(project);
  expect(await ended).toBe(0);
  expect(operator.actions.at(-1)).toMatchObject({ kind: "stopped", text: "dev was destroyed" });
  expect(leftOf(cluster)).toEqual({ processes: [], directory: false });
});
