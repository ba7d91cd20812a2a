/**
 * `bin/dynamo-sky verify` on real deployments: it succeeds for the KV-aware router, and fails for a
 * round-robin one.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judge, type PrefixGroup, type Verdict } from "../../cli/verify/judge";
import { promptWorkers, sendPrefixes } from "../../cli/verify/send";
import { type ProgramPlan, WORKER_ROLES } from "../../plan/types";
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

/** The mocker in place of an engine that chooses its own block size, unknown to the plan. */
const choosing =
  (pageSize: string | undefined) =>
  (program: ProgramPlan): ProgramPlan => ({
    ...program,
    command: program.command.map((argument, at) =>
      program.command[at - 1] === "--block-size" ? (pageSize ?? argument) : argument,
    ),
  });

const DEPLOYMENTS: readonly {
  readonly mode: string;
  readonly pools: readonly object[];
  readonly workers: number;
  readonly cacheAware: boolean;
  readonly pageSize?: string;
}[] = [
  { mode: "kv", pools: disaggregated, workers: 2, cacheAware: true },
  { mode: "kv", pools: aggregated, workers: 3, cacheAware: true },
  // An unusual size: the frontend must use the one that the workers register.
  { mode: "kv", pools: aggregated, workers: 3, cacheAware: true, pageSize: "8" },
  { mode: "round-robin", pools: disaggregated, workers: 2, cacheAware: false },
  { mode: "random", pools: aggregated, workers: 3, cacheAware: false },
];

describe.each(DEPLOYMENTS)(
  "router mode $mode with $workers workers for prompts, blocks of $pageSize",
  (one) => {
    const { mode, pools, workers, cacheAware, pageSize } = one;
    const deployment = new TestDeployment(
      { router: { mode }, pools, cluster: { nodes: 2 } },
      { discovery: "etcd", events: "nats" },
      choosing(pageSize),
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

    test("has workers that say they are healthy, and nothing that Dynamo calls deprecated", async () => {
      const workers = deployment.cluster.nodes.flatMap(({ rank, programs }) =>
        programs
          .filter(({ role }) => WORKER_ROLES.some((worker) => worker === role))
          .map(({ name, ports }) => ({ name, url: `http://${deployment.address(rank)}:${ports["system"]}` })),
      );
      expect(workers.length).toBeGreaterThanOrEqual(3);
      for (const { name, url } of workers) {
        const answer = await fetch(`${url}/health`);
        expect(await answer.json()).toMatchObject({ status: "ready", endpoints: { generate: "ready" } });
        for (const log of deployment.logs[name] ?? []) {
          const text = readFileSync(log, "utf8");
          expect(text).toContain("dynamo");
          expect(text.split("\n").filter((line) => /deprecated/i.test(line))).toEqual([]);
        }
      }
    });

    test("counts the blocks that were cached", () => {
      const found = verified.groups.flatMap(({ requests }) => requests.slice(1));
      for (const { cachedBlocks, countsCache } of found) {
        expect(countsCache).toBe(cacheAware);
        if (cacheAware) expect(cachedBlocks).toBeGreaterThan(20);
      }
    });
  },
);
