/** `npm run verify` on real deployments: it says yes of the KV-aware router, and no of one that takes the workers in turn. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judge, type PrefixGroup, type Verdict } from "../../tools/verify/judge";
import { promptWorkers, sendPrefixes } from "../../tools/verify/send";
import { TestDeployment } from "./support";

const disaggregated = [
  { role: "prefill", replicas: 2 },
  { role: "decode", replicas: 2 },
];
const aggregated = [{ role: "aggregated", replicas: 3 }];

interface Verified {
  readonly groups: readonly PrefixGroup[];
  readonly verdict: Verdict;
}

async function verify(deployment: TestDeployment): Promise<Verified> {
  const target = {
    endpoint: deployment.endpoint,
    model: deployment.plan.model,
    logs: deployment.logs,
  };
  const groups = await sendPrefixes(target, { prefixes: 6, followUps: 2 });
  return { groups, verdict: judge(groups, (await promptWorkers(target)) ?? 0) };
}

describe.each([
  { mode: "kv", pools: disaggregated, workers: 2, cacheAware: true },
  { mode: "kv", pools: aggregated, workers: 3, cacheAware: true },
  { mode: "round-robin", pools: disaggregated, workers: 2, cacheAware: false },
  { mode: "random", pools: aggregated, workers: 3, cacheAware: false },
])("router mode $mode with $workers workers for prompts", ({ mode, pools, workers, cacheAware }) => {
  const deployment = new TestDeployment(
    { router: { mode }, pools, cluster: { nodes: 2 } },
    { discovery: "etcd", events: "nats" },
  );
  let verified: Verified;
  beforeAll(async () => {
    await deployment.up();
    verified = await verify(deployment);
  });
  afterAll(() => deployment.close());

  test(`is ${cacheAware ? "" : "not "}cache-aware`, () => {
    expect(verified.verdict, verified.verdict.reason).toMatchObject({ cacheAware, workers, followUps: 12 });
  });

  test("names the program that had each prompt, and the one that wrote each answer", () => {
    const requests = verified.groups.flatMap((group) => group.requests);
    const isDisaggregated = pools === disaggregated;
    expect(requests).toHaveLength(18);
    for (const { prefillProgram, decodeProgram } of requests) {
      expect(prefillProgram).toMatch(isDisaggregated ? /^prefill-[01]$/ : /^aggregated-[0-2]$/);
      expect(decodeProgram).toMatch(isDisaggregated ? /^decode-[01]$/ : /^aggregated-[0-2]$/);
    }
    expect(verified.verdict.disaggregated).toBe(isDisaggregated);
  });

  test("counts the blocks that were cached", () => {
    const found = verified.groups.flatMap(({ requests }) => requests.slice(1));
    for (const { cachedBlocks, countsCache } of found) {
      expect(countsCache).toBe(cacheAware);
      if (cacheAware) expect(cachedBlocks).toBeGreaterThan(20);
    }
  });
});
