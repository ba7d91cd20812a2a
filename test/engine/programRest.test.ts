/**
 * Workers that are taken away when nobody asks, and come back for the next request, on the real Pulumi engine
 * with Dynamo's mocker. Each test continues from the previous one's state.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import { CHANGED_SINCE, DECIDED_BY_VARIABLE } from "../../components/operated";
import { WAKING_SECONDS } from "../../config/schedule";
import type { ConfigInput } from "../../config/schema";
import { freePorts } from "../../dev/freePorts";
import { kill } from "../../lib/processes";
import { stateMark } from "../../plan/outputs";
import { eventually } from "../eventually";
import { commandOf, processesWith } from "../processes";
import { destroyBeside, dynamoSky, TestOperator } from "./operatorHarness";
import { eachGoesOn, leftOf, namespaced, pids, type TestProject, testProject } from "./programHarness";

const MODEL = "Qwen/Qwen3-8B";
const WORKERS = ["aggregated-0", "aggregated-1"];

let project: TestProject;
let operator: TestOperator;
let cluster = "";
let authorization = "";
let endpoint = "";
let decidedBy = "";
/** Of all requests. */
const answers: Answer[] = [];

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string;
}

const outputs = async () => (await project.open("dev")).outputs({ showSecrets: true });

async function request(path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${endpoint}/v1/${path}`, {
    headers: { authorization, "content-type": "application/json" },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });
  const answer = {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    text: await response.text(),
  };
  if (body !== undefined) answers.push(answer);
  return answer;
}

const ask = () =>
  request("chat/completions", {
    model: MODEL,
    messages: [{ role: "user", content: "Hello." }],
    max_tokens: 8,
  });

const running = async () => Object.keys(await pids(cluster)).toSorted();
const isAsleep = async () => !(await running()).some((name) => WORKERS.includes(name));

beforeAll(async () => {
  project = testProject("rest");
  project.configure(
    "dev",
    namespaced({
      target: "local",
      model: MODEL,
      engine: "mocker",
      cluster: { nodes: 1, gpusPerNode: 2 },
      pools: [{ role: "aggregated", replicas: WORKERS.length }],
      access: { gateway: true },
      idle: { afterMinutes: WAKING_SECONDS / 60, then: "workers-down" },
      ...(await freePorts()),
    } as ConfigInput),
  );
  operator = new TestOperator(project, ["--every", "1", "--drift-every", "5"]);
});
afterAll(() => {
  operator.kill();
  project.remove();
});
eachGoesOn(() => project.lines);

const LONG = { timeout: 400_000 };

it("is up, and answers", LONG, async () => {
  await (await project.open("dev")).up();
  const up = await outputs();
  [cluster = ""] = deployedOf(up).topology.map((entry) => entry.cluster);
  endpoint = String(up["endpoint"]);
  authorization = `Bearer ${up["apiKey"]}`;
  expect(await ask()).toMatchObject({ status: 200 });
});

it("goes to sleep when nobody asks, and what answers for its workers stays as it is", LONG, async () => {
  const before = await pids(cluster);
  operator.start();
  await eventually(() => operator.did("sleep"), 300_000);
  const kept = Object.fromEntries(Object.entries(before).filter(([name]) => !WORKERS.includes(name)));
  expect(await pids(cluster)).toEqual(kept);
  expect(await outputs()).toMatchObject({ endpoint, workersDown: expect.any(String) });
});

it("is in sync so, and `status` says that it sleeps", LONG, () => {
  const drift = dynamoSky(project, "drift");
  expect(drift, drift.stderr).toMatchObject({ status: 0, stdout: expect.stringMatching(/^dev is in sync/) });
  const status = dynamoSky(project, "status");
  expect(status, status.stderr).toMatchObject({ status: 0 });
  expect(status.stdout).toMatch(/Workers +asleep since .*the next request wakes them/);
});

it("is not woken by who only looks at it", LONG, async () => {
  expect(await request("models")).toMatchObject({ status: 200, text: expect.not.stringContaining(MODEL) });
  expect(await request(`models/${MODEL}/ready`)).toMatchObject({ status: 503 });
  const since = operator.actions.length;
  // It has looked since: each repair and each wake would be told.
  const drift = dynamoSky(project, "drift");
  expect(drift.status, drift.stderr).toBe(0);
  expect(operator.actions.slice(since)).toEqual([]);
});

it("answers the next request with 503, when to come back, and the reason; and wakes", LONG, async () => {
  const first = await ask();
  expect(first).toMatchObject({ status: 503, retryAfter: String(WAKING_SECONDS) });
  expect(JSON.parse(first.text)).toEqual({
    error: {
      message: expect.stringContaining("this request wakes it"),
      type: "server_error",
      param: "model",
      code: "model_not_ready",
    },
  });
  await eventually(async () => (await ask()).status === 200, 300_000);
  await eventually(() => operator.did("wake"), 120_000);
  expect(await running()).toEqual(expect.arrayContaining(WORKERS));
  expect((await outputs())["workersDown"]).toBeUndefined();
});

it("goes to sleep to its end after kill -9 of operator and engine in the middle of it", LONG, async () => {
  operator.actions = [];
  let names = await pids(cluster);
  const engines = () =>
    processesWith("DYNAMO_SKY_STATE", project.state).filter((pid) => /\bpulumi up /.test(commandOf(pid)));
  await eventually(async () => {
    // An update that has begun its work.
    if (engines().length === 0 || WORKERS.every((name) => Object.hasOwn(names, name))) {
      names = await pids(cluster);
      return false;
    }
    return true;
  }, 300_000);
  operator.kill();
  for (const engine of engines()) kill(engine);
  operator.start();
  await eventually(() => operator.did("sleep"), 300_000);
  expect(await isAsleep()).toBe(true);
});
it("is brought up by an update of a person", LONG, async () => {
  await (await project.open("dev")).up();
  expect(await ask()).toMatchObject({ status: 200 });
  expect((await outputs())["workersDown"]).toBeUndefined();
});

it("has lost no request: each had its answer, or was told to come back", () => {
  const others = answers.filter(
    ({ status, retryAfter }) => status !== 200 && !(status === 503 && retryAfter === String(WAKING_SECONDS)),
  );
  expect(others).toEqual([]);
  expect(answers.length).toBeGreaterThan(4);
});

it("ends its operator when it is destroyed, and leaves nothing", LONG, async () => {
  const ended = operator.ended();
  decidedBy = stateMark(await outputs());
  await destroyBeside(project);
  expect(await ended).toBe(0);
  expect(leftOf(cluster)).toEqual({ processes: [], directory: false });
});

it("is not brought up again by an update that was decided before it was destroyed", LONG, async () => {
  const late = (await project.open("dev")).up({ env: { [DECIDED_BY_VARIABLE]: decidedBy } });
  await expect(late).rejects.toThrow(CHANGED_SINCE);
  expect(leftOf(cluster)).toEqual({ processes: [], directory: false });
});
