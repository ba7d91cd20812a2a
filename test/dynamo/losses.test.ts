/**
 * Programs are killed under load, with the KV-aware router: what becomes of 200 open streams, and of requests
 * that arrive while the killed worker is still registered.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Endpoint, sendStreams } from "../../dev/benchmarks/streams";
import { kill, startTime } from "../../lib/processes";
import { API_KEYS } from "../../plan/programs/gateway";
import { ALL, counted, expectOnlyRacedLost, expectOwnBroken, lose } from "../losses";
import { eventually, processOf, TestDeployment } from "./support";

/** Long ones, for two prefill workers. */
const PROMPTS = 40;
const REGISTERED = { discovery: "etcd", events: "nats" } as const;

/** {@link lose} for programs of a deployment. */
function losePrograms(
  deployment: TestDeployment,
  endpoint: Endpoint,
  programs: readonly string[],
  end?: (pid: number) => void,
) {
  const what = `${programs.join(" and ")}${end === undefined ? "" : ", which hangs"}`;
  return lose(
    endpoint,
    what,
    programs.map((program) => processOf(deployment, program)),
    end,
  );
}

/** It goes on to exist and to hold its connections, and answers nothing. */
const stop = (pid: number) => process.kill(pid, "SIGSTOP");

/** Two nodes with two workers each, and two frontends behind the gateway. */
function fourWorkers(more: Readonly<Record<string, unknown>> = {}) {
  const deployment = new TestDeployment(
    {
      access: { gateway: true, requestsPerSecond: 100_000, burst: 1_000_000, connectionsPerKey: 1000 },
      frontend: { replicas: 2 },
      cluster: { nodes: 2, gpusPerNode: 2 },
      pools: [{ role: "aggregated", replicas: 4 }],
      health: { everySeconds: 5 },
      ...more,
    },
    REGISTERED,
  );
  const key = randomBytes(24).toString("hex");
  const known: Endpoint = {
    url: deployment.endpoint,
    model: deployment.plan.model,
    authorization: `Bearer ${key}`,
  };
  const ready = { apiKey: key };
  const ofNode = (rank: number) =>
    (deployment.cluster.nodes[rank]?.programs ?? []).flatMap(({ role, name }) =>
      role === "aggregated" ? [name] : [],
    );
  beforeAll(() => {
    deployment.secrets = { [API_KEYS]: `default:${key}` };
    return deployment.up(ready);
  });
  afterAll(() => deployment.close());
  return { deployment, known, ready, ofNode };
}

describe("four workers on two nodes, two frontends behind the gateway", () => {
  const { deployment, known, ready, ofNode } = fourWorkers();

  test("a worker dies: every request ends whole", async () => {
    expect(await losePrograms(deployment, known, ofNode(1).slice(0, 1))).toEqual(ALL);
    await deployment.machine.must("ready", deployment.readySpec(ready));
  });

  test("all workers of a node die: no request is lost but by Dynamo's race for a connection", async () => {
    expect(ofNode(1)).toHaveLength(2);
    const logs = ["frontend-0", "frontend-1"].flatMap((name) => deployment.logs[name] ?? []);
    await expectOnlyRacedLost(logs, () => losePrograms(deployment, known, ofNode(1)));
    await deployment.machine.must("ready", deployment.readySpec(ready));
  });

  test("a worker hangs: it is started again, and every request ends whole", async () => {
    const [victim = ""] = ofNode(1);
    const before = processOf(deployment, victim);
    expect(await losePrograms(deployment, known, [victim], stop)).toEqual(ALL);
    // Its lease in etcd may lapse first: its requests then move on before the supervisor ends it.
    await eventually(() => startTime(before) === undefined, 120);
    await deployment.machine.must("ready", deployment.readySpec(ready));
  });

  test("a frontend dies: its own streams break, and no other request is lost", async () => {
    expectOwnBroken(await losePrograms(deployment, known, ["frontend-0"]));
    await deployment.machine.must("ready", deployment.readySpec(ready));
  });

  test("a frontend hangs: it is started again, and requests that it held go to the other one", async () => {
    const before = processOf(deployment, "frontend-1");
    expectOwnBroken(await losePrograms(deployment, known, ["frontend-1"], stop));
    expect(startTime(before)).toBeUndefined();
    await deployment.machine.must("ready", deployment.readySpec(ready));
  });
});

describe("the same with requests by NATS", () => {
  const { deployment, known, ready, ofNode } = fourWorkers({ controlPlane: { requestPlane: "nats" } });

  test("all workers of a node die: every request ends whole", async () => {
    expect(await losePrograms(deployment, known, ofNode(1))).toEqual(ALL);
    await deployment.machine.must("ready", deployment.readySpec(ready));
  });
});

describe("two prefill and two decode workers", () => {
  const deployment = new TestDeployment(
    {
      cluster: { nodes: 1, gpusPerNode: 4 },
      pools: [
        // A tenth of its speed, to be killed with prompts in it.
        { role: "prefill", replicas: 2, engineArgs: ["--speedup-ratio", "0.1"] },
        { role: "decode", replicas: 2 },
      ],
    },
    REGISTERED,
  );
  const known: Endpoint = { url: deployment.endpoint, model: deployment.plan.model };
  beforeAll(() => deployment.up());
  afterAll(() => deployment.close());

  test.each([["decode-0"], ["prefill-0"]])("%s dies: every request ends whole", async (victim) => {
    expect(await losePrograms(deployment, known, [victim])).toEqual(ALL);
    await deployment.machine.must("ready", deployment.readySpec());
  });

  test("a prefill worker dies with prompts in it: each is sent to the other one", async () => {
    const before = await migrations(deployment);
    let [sent, begun] = [0, 0];
    const streams = sendStreams(known, {
      requests: PROMPTS,
      clients: PROMPTS,
      answerTokens: 16,
      // Each with a beginning of its own, since what a worker has in its cache takes no time.
      prompt: () => `${++sent}${" word".repeat(1000)}`,
      onFirst: () => begun++,
    });
    await eventually(() => begun > 0, 60);
    kill(processOf(deployment, "prefill-1"));
    expect(counted(await streams)).toEqual({ whole: PROMPTS, broken: [] });
    expect((await migrations(deployment)) - before).toBeGreaterThan(1);
  });
});

/** Requests that the frontend has sent to another worker. */
async function migrations({ endpoint }: TestDeployment): Promise<number> {
  const text = await (await fetch(`${endpoint}/metrics`)).text();
  const counts = text.matchAll(/^dynamo_frontend_model_migration_total\{.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
