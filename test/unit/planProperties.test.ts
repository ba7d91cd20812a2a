import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gpusPerReplica } from "../../config/pools";
import { ConfigError } from "../../config/problems";
import { configSchema } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { type PlanFacts, plan } from "../../plan/plan";
import type { DeploymentPlan, NodePlan, ProgramPlan } from "../../plan/types";
import { type Deployment, likelyDeployment, randomDeployment, SERVICES } from "./planShapes";

interface Planned {
  readonly config: ReturnType<typeof parseConfig>;
  readonly plan: DeploymentPlan;
}

/** The plan, or the problems if there is none. */
function tryPlan(input: Deployment, facts: PlanFacts = SERVICES): Planned | ConfigError {
  try {
    const config = parseConfig(input);
    return { config, plan: plan(config, facts) };
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** Runs a check on every random deployment that can be planned; many of them can. */
function forEveryPlan(check: (planned: Planned) => void): void {
  let planned = 0;
  fc.assert(
    fc.property(likelyDeployment, (input) => {
      const result = tryPlan(input);
      if (result instanceof ConfigError) return;
      planned++;
      check(result);
    }),
    { numRuns: 600 },
  );
  expect(planned).toBeGreaterThan(100);
}

const nodesOf = ({ plan: { clusters } }: Planned): NodePlan[] => clusters.flatMap((cluster) => cluster.nodes);
const isWorker = ({ role }: ProgramPlan) => role === "aggregated" || role === "prefill" || role === "decode";
const workersOf = (planned: Planned): ProgramPlan[] =>
  nodesOf(planned).flatMap((node) => node.programs.filter(isWorker));

describe("every plan", () => {
  it("gives each GPU to one program at most, and names the others as idle", () => {
    forEveryPlan((planned) => {
      for (const node of nodesOf(planned)) {
        const given = node.programs.flatMap((program) => program.gpus);
        const all = [...given, ...node.idleGpus].sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: node.gpus }, (_, gpu) => gpu));
      }
    });
  });

  it("leaves no GPU idle unless that is allowed", () => {
    forEveryPlan((planned) => {
      if (planned.config.cluster.allowIdleGpus) return;
      for (const node of nodesOf(planned)) expect(node.idleGpus).toEqual([]);
    });
  });

  it("places every replica of every pool completely, its ranks on nodes of their own in one cluster", () => {
    forEveryPlan((planned) => {
      const wanted = planned.config.pools.flatMap((pool) =>
        Array.from({ length: pool.replicas }, () => `${pool.role} ${gpusPerReplica(pool)}`),
      );
      const placed = planned.plan.clusters.flatMap(({ nodes }) => {
        const replicas = new Map<string, { gpus: number; ranks: number[]; nodes: number[] }>();
        for (const node of nodes) {
          for (const program of node.programs.filter(isWorker)) {
            const key = `${program.role} ${program.replica}`;
            const seen = replicas.get(key) ?? { gpus: 0, ranks: [], nodes: [] };
            seen.gpus += program.gpus.length;
            seen.ranks.push(program.rank);
            seen.nodes.push(node.rank);
            replicas.set(key, seen);
          }
        }
        return [...replicas].map(([key, { gpus, ranks, nodes: at }]) => {
          expect(ranks).toEqual(ranks.map((_, rank) => rank));
          expect(at).toEqual(at.map((_, index) => (at[0] ?? 0) + index));
          return `${key.split(" ")[0]} ${gpus}`;
        });
      });
      expect(placed.sort()).toEqual(wanted.sort());
    });
  });

  it("uses no port and no program name twice on a node", () => {
    forEveryPlan((planned) => {
      for (const { programs } of nodesOf(planned)) {
        const ports = programs.flatMap((program) => Object.values(program.ports));
        expect(new Set(ports).size).toBe(ports.length);
        expect(Math.max(0, ...ports)).toBeLessThanOrEqual(65_535);
        expect(new Set(programs.map(({ name }) => name)).size).toBe(programs.length);
      }
    });
  });

  it("numbers the replicas of a role through and expects as many workers as serve", () => {
    forEveryPlan((planned) => {
      for (const role of ["aggregated", "prefill", "decode"] as const) {
        const workers = workersOf(planned).filter((program) => program.role === role);
        const numbers = [...new Set(workers.map(({ replica }) => replica))].sort((a, b) => a - b);
        expect(numbers).toEqual(numbers.map((_, index) => index));
        const serving = workers.filter(
          ({ env, rank }) =>
            env["DYN_RUNTIME_USE_ENDPOINT_HEALTH_STATUS"] !== undefined &&
            (planned.config.engine !== "mocker" || rank === 0),
        );
        expect(planned.plan.expectedWorkers[role]).toBe(serving.length);
      }
    });
  });

  it("says the same planes and the same namespace to every Dynamo process", () => {
    forEveryPlan((planned) => {
      const dynamo = nodesOf(planned)
        .flatMap(({ programs }) => programs)
        .filter(({ env }) => env["DYN_NAMESPACE"] !== undefined);
      const seen = dynamo.map(({ env }) =>
        ["DYN_NAMESPACE", "DYN_DISCOVERY_BACKEND", "DYN_EVENT_PLANE", "DYN_REQUEST_PLANE"].map(
          (name) => env[name],
        ),
      );
      expect(new Set(seen.map((values) => values.join())).size).toBe(1);
    });
  });

  it("has only text without placeholders that nobody fills in", () => {
    const known =
      /\{\{(HEAD_IP|CONTROL_IP|RANK_IP_\d+|NODE_IP|NODE_DIR|CLUSTER_DIR|MODELS|GPUS|NODE_INTERFACE|SECRET\.\w+)\}\}/g;
    // In the gateway's responses, which have OpenAI's format.
    const answered = /\\"param\\":null/g;
    forEveryPlan((planned) => {
      expect(JSON.stringify(planned.plan).replace(known, "").replace(answered, "")).not.toMatch(
        /\{\{|undefined|NaN|null/,
      );
    });
  });

  it("on one node of SkyPilot has no address that others reach but the gateway's", () => {
    const onOneNode = likelyDeployment.map(
      (input): Deployment => ({
        ...input,
        target: "sky",
        placement: "shared",
        cluster: { nodes: 1, gpusPerNode: 8, allowIdleGpus: true },
        access: { gateway: true },
        metrics: { prometheus: true },
      }),
    );
    let planned = 0;
    fc.assert(
      fc.property(onOneNode, (input) => {
        const result = tryPlan(input);
        if (result instanceof ConfigError) return;
        planned++;
        const [gateway, ...others] = nodesOf(result)
          .flatMap(({ programs }) => programs)
          .toSorted((a, b) => Number(b.role === "gateway") - Number(a.role === "gateway"));
        expect(JSON.stringify(gateway)).toMatch(/"--listen","0\.0\.0\.0:8000"/);
        expect(JSON.stringify(others)).not.toMatch(/0\.0\.0\.0|_IP\}\}/);
      }),
      { numRuns: 1000 },
    );
    expect(planned).toBeGreaterThan(20);
  });

  it("is the same, byte for byte, for the same configuration", () => {
    fc.assert(
      fc.property(fc.oneof(likelyDeployment, randomDeployment), (input) => {
        const [one, two] = [tryPlan(input), tryPlan(structuredClone(input))].map((result) =>
          result instanceof ConfigError ? result.message : JSON.stringify(result.plan),
        );
        expect(one).toBe(two);
      }),
    );
  });
});

describe("a deployment that cannot be planned", () => {
  it("names a configuration key in each problem, and says what to do", () => {
    const keys = Object.keys(configSchema.shape);
    let refused = 0;
    fc.assert(
      fc.property(randomDeployment, (input) => {
        const result = tryPlan(input);
        if (!(result instanceof ConfigError)) return;
        refused++;
        for (const { path, message } of result.problems) {
          expect(keys).toContain(path[0]);
          expect(message).toMatch(/Set |set |Use |Make |Remove |Allowed: |Write |Choose |Lower /);
        }
      }),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
