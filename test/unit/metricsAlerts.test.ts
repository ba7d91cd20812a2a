/** Which alerts and series a deployment has. */
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../plan/config";
import { alertsOf, expression } from "../../plan/metrics/alerts";
import { SERIES, type Series, whyAbsent } from "../../plan/metrics/series";
import { plan } from "../../plan/plan";
import { GUARDED, ON, planned } from "./metricsPlans";
import { type Deployment, SHAPES } from "./planShapes";

const alerts = (input: Deployment) => {
  const { config, made } = planned(input);
  return alertsOf(config, made);
};
const names = (input: Deployment) => [...new Set(alerts(input).map(({ name }) => name))];

describe("alerts", () => {
  test("are those that the deployment can have", () => {
    expect(names(GUARDED)).toMatchInlineSnapshot(`
      [
        "DynamoNoWorkers",
        "DynamoWorkersMissing",
        "DynamoFrontendDown",
        "DynamoSlowFirstToken",
        "DynamoSlowTokens",
        "DynamoQueueGrowing",
        "DynamoErrors",
        "DynamoStuck",
        "DynamoKvCacheFull",
        "DynamoKvEventsDropped",
        "DynamoProgramRestarting",
        "DynamoProgramDown",
        "DynamoNodeSilent",
        "DynamoEtcdDown",
        "DynamoEtcdFilling",
        "DynamoNatsDown",
        "DynamoNatsSlowConsumer",
        "DynamoGatewayDown",
      ]
    `);
    const few = {
      ...SHAPES.dev,
      controlPlane: { discovery: "file" },
      router: { mode: "round-robin" },
    } as const;
    expect(
      alertsOf(parseConfig(few), plan(parseConfig(few), { discovery: "file", events: "zmq" })).map(
        ({ name }) => name,
      ),
    ).toMatchInlineSnapshot(`
      [
        "DynamoNoWorkers",
        "DynamoNoWorkers",
        "DynamoWorkersMissing",
        "DynamoFrontendDown",
        "DynamoSlowFirstToken",
        "DynamoSlowTokens",
        "DynamoQueueGrowing",
        "DynamoErrors",
        "DynamoStuck",
      ]
    `);
  });

  test("of a role with one replica say no more than that it is gone", () => {
    const about = alerts(SHAPES.dev).filter(
      ({ name }) => name.startsWith("DynamoWorker") || name === "DynamoNoWorkers",
    );
    expect(about.map(({ name, labels, limit }) => [name, labels["role"], limit])).toEqual([
      ["DynamoNoWorkers", "prefill", 0],
      ["DynamoNoWorkers", "decode", 0],
      ["DynamoWorkersMissing", "decode", 2],
    ]);
  });

  test("begin where the configuration says", () => {
    const limits = {
      ttftSeconds: 0.5,
      itlSeconds: 0.02,
      kvCacheFill: 0.8,
      waitingRequests: 7,
      errorShare: 0.2,
      restarts: 9,
    };
    const set = alerts({ ...SHAPES.dev, metrics: { prometheus: true, limits } });
    const limitOf = (name: string) => set.find((alert) => alert.name === name)?.limit;
    expect(
      ["SlowFirstToken", "SlowTokens", "KvCacheFull", "QueueGrowing", "Errors", "ProgramRestarting"].map(
        (name) => limitOf(`Dynamo${name}`),
      ),
    ).toEqual([0.5, 0.02, 0.8, 7, 0.2, 9]);
  });

  test("look at a real engine's own cache, and at the router's count of the mocker's", () => {
    const value = (input: Deployment) =>
      alerts(input).find(({ name }) => name === "DynamoKvCacheFull")?.value;
    expect(value(SHAPES.multi)).toContain("dynamo_component_gpu_cache_usage_percent");
    expect(value(SHAPES.dev)).toContain("dynamo_frontend_worker_active_decode_blocks");
    expect(value({ ...SHAPES.dev, router: { mode: "random" } })).toBeUndefined();
  });

  test("rest on series that the deployment has", () => {
    for (const input of Object.values(SHAPES)) {
      const { config, made } = planned({ ...input, ...ON });
      for (const { series } of alertsOf(config, made)) {
        expect(series.map((one) => whyAbsent(one, made))).toEqual(series.map(() => undefined));
      }
    }
  });

  test("say what is compared with what", () => {
    expect(expression({ value: "a", op: ">=", limit: 3 })).toBe("a >= 3");
  });
});

describe("series", () => {
  const all: readonly Series[] = Object.values(SERIES);

  test("have one name each", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  test("that need a GPU say so", () => {
    const { made } = planned(GUARDED);
    const reasons = all.flatMap((one) => whyAbsent(one, made) ?? []);
    expect([...new Set(reasons)]).toMatchInlineSnapshot(`
      [
        "needs a GPU: only with engine sglang, vllm, trtllm",
        "needs a GPU: only with engine sglang",
        "needs a GPU: only with engine vllm",
        "needs a GPU: only with engine trtllm",
      ]
    `);
  });
});
