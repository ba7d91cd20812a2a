/**
 * `bin/dynamo-sky metrics --check` with a stand-in for Prometheus; test/dynamo and test/lab use a real one.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asJson, asText, checkMetrics, isComplete, type MetricsCheck } from "../../cli/metrics/check";
import { targetStates } from "../../cli/metrics/targets";
import { scrapeTargets } from "../../plan/metrics/targets";
import { GUARDED, planned } from "./metricsPlans";

const { config, made, cluster } = planned(GUARDED);
const targets = scrapeTargets(cluster);
const labelsOf = (program: string, more: object = {}) => {
  const job = program.startsWith("decode") ? "dynamo-worker" : program;
  return { job, cluster: "main", node: "0", program, ...more };
};
const up = (program: string, more?: object) => ({
  health: "up",
  lastError: "",
  labels: labelsOf(program, more),
});
const activeTargets = [
  up("etcd"),
  { ...up("decode-0"), health: "down", lastError: "connection refused" },
  up("decode-1", { deployment: "another" }),
  { ...up("prometheus"), health: "unknown" },
];

const server = createServer(({ url = "" }, response) => {
  const answer = url.startsWith("/api/v1/targets")
    ? { data: { activeTargets } }
    : { status: "success", data: { result: [{ metric: {}, value: [0, "NaN"] }] } };
  response.end(JSON.stringify(answer));
});
let prometheus = "";
let found: MetricsCheck;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  prometheus = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  found = await checkMetrics(
    prometheus,
    { stack: "dev", config, plan: made, targets },
    new AbortController().signal,
  );
});
afterAll(() => server.close());

describe("targets", () => {
  test("are up, down for a reason, or not scraped; those of another deployment do not count", () => {
    const problems = Object.fromEntries(found.targets.map(({ program, problem }) => [program, problem]));
    expect(problems).toMatchObject({
      etcd: null,
      "decode-0": "connection refused",
      "decode-1": "not scraped",
      prometheus: "unknown: not scraped yet",
    });
    expect(isComplete(found)).toBe(false);
  });

  test("of a labelled deployment are its own", async () => {
    const states = await targetStates(prometheus, targets, "another");
    expect(states.find(({ program }) => program === "decode-1")).toMatchObject({ problem: null });
  });
});

describe("what is shown", () => {
  test("for a person: each target and query, what is missing, and what needs a GPU", () => {
    const lines = asText(found);
    expect(lines.find((line) => line.includes("decode-0 on node 0"))).toMatch(
      /^dynamo-worker: decode-0 on node 0 of main +connection refused$/,
    );
    expect(lines.find((line) => line.startsWith("DynamoStuck"))).toMatch(/ nothing yet$/);
    expect(lines).toContain(`1 of ${targets.length} targets are up.`);
    expect(lines).toContain(`${found.answers.length} of ${found.answers.length} queries have an answer.`);
    expect(lines.at(-1)).toMatch(/^Not asked, needs a GPU: only with engine trtllm: trtllm_/);
  });

  test("for a program: NaN is null, and every question is there", () => {
    const told: {
      readonly questions: readonly { readonly values: readonly unknown[]; readonly error: unknown }[];
      readonly answered: number;
    } = JSON.parse(JSON.stringify(asJson(found)));
    expect(told.answered).toBe(told.questions.length);
    expect(told.questions.every(({ values, error }) => values[0] === null && error === null)).toBe(true);
  });
});

test("a Prometheus that does not answer is named", async () => {
  await expect(targetStates("http://127.0.0.1:9", targets, "dev")).rejects.toThrow(
    "No Prometheus answers at http://127.0.0.1:9.",
  );
});
