/** Several workers per GPU: placement, start order, and what does not fit. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { drawPlan } from "../../plan/drawing/text";
import type { DeploymentPlan } from "../../plan/types";
import { type Deployment, planned, problemsOf } from "./planShapes";

const onOneGpu = {
  model: "Qwen/Qwen3-8B",
  cluster: { gpusPerNode: 1, workersPerGpu: 2 },
  pools: [
    { role: "prefill", gpuMemoryFraction: 0.4 },
    { role: "decode", gpuMemoryFraction: 0.6 },
  ],
} as const satisfies Deployment;

const workers = ({ clusters }: DeploymentPlan) =>
  clusters.flatMap(({ nodes }) =>
    nodes.flatMap(({ rank, programs }) =>
      programs.filter(({ gpus }) => gpus.length > 0).map((program) => ({ node: rank, ...program })),
    ),
  );
describe("workers that share a GPU", () => {
  it("have the same device, and start one after the other", () => {
    const [prefill, decode] = workers(planned(onOneGpu));
    expect([prefill?.gpus, decode?.gpus]).toEqual([[0], [0]]);
    expect(prefill?.waitsFor.map(({ name }) => name)).toEqual(["etcd", "nats"]);
    expect(decode?.waitsFor.at(-1)).toEqual({
      name: "prefill-0, which shares its GPU",
      probe: prefill?.health,
      timeoutSeconds: 3600,
    });
  });

  it("are drawn in one cell", () => {
    expect(drawPlan(planned(onOneGpu))).toContain("P0+D0");
  });

  it("are on every GPU some of each role, before any GPU has two of one", () => {
    const two = planned({
      ...onOneGpu,
      cluster: { nodes: 2, gpusPerNode: 2, workersPerGpu: 2 },
      pools: onOneGpu.pools.map((pool) => ({ ...pool, replicas: 4 })),
    });
    const seats = workers(two).map(({ node, gpus, role }) => `${node}:${gpus[0]} ${role}`);
    expect(seats.toSorted()).toEqual(
      ["0:0", "0:1", "1:0", "1:1"].flatMap((gpu) => [`${gpu} decode`, `${gpu} prefill`]),
    );
  });

  it("need as many GPUs on this machine as their shares make", () => {
    const local = { ...onOneGpu, target: "local", engine: "sglang", cluster: { workersPerGpu: 2 } } as const;
    expect(planned(local).clusters[0]?.nodes[0]?.gpus).toBe(1);
  });

  it("are refused where there are too many, or they want more memory than there is", () => {
    expect(
      problemsOf({ ...onOneGpu, pools: onOneGpu.pools.map((pool) => ({ ...pool, replicas: 2 })) }),
    ).toEqual([
      "cluster.workersPerGpu: The pools have 4 workers, and 1 × 1 GPUs with 2 workers each have room for 2. Set it to 4, or lower replicas.",
    ]);
    expect(
      problemsOf({ ...onOneGpu, pools: onOneGpu.pools.map((pool) => ({ ...pool, gpuMemoryFraction: 0.6 })) }),
    ).toEqual([
      "pools.0.gpuMemoryFraction: 0.6 + 0.6 = 1.2 is more than the memory of GPU 0 of node 0, which these workers share (cluster.workersPerGpu). Lower them to 1 together.",
    ]);
  });

  it("are never more than allowed on a GPU, each complete, none of the GPUs unaccounted for", () => {
    const layouts = fc.record({
      nodes: fc.integer({ min: 1, max: 4 }),
      gpusPerNode: fc.integer({ min: 1, max: 8 }),
      workersPerGpu: fc.integer({ min: 2, max: 4 }),
      prefill: fc.integer({ min: 1, max: 12 }),
      decode: fc.integer({ min: 1, max: 12 }),
    });
    let seen = 0;
    fc.assert(
      fc.property(layouts, ({ nodes, gpusPerNode, workersPerGpu, prefill, decode }) => {
        const deployment: Deployment = {
          ...onOneGpu,
          cluster: { nodes, gpusPerNode, workersPerGpu, allowIdleGpus: true },
          pools: [
            { role: "prefill", replicas: prefill, gpuMemoryFraction: 0.25 },
            { role: "decode", replicas: decode, gpuMemoryFraction: 0.25 },
          ],
        };
        const fits = prefill + decode <= nodes * gpusPerNode * workersPerGpu;
        expect(problemsOf(deployment)).toHaveLength(fits ? 0 : 1);
        if (!fits) return;
        seen++;
        const result = planned(deployment);
        const all = workers(result);
        expect(all).toHaveLength(prefill + decode);
        for (const node of result.clusters.flatMap((cluster) => cluster.nodes)) {
          const here = all.filter((worker) => worker.node === node.rank);
          const ports = node.programs.flatMap((program) => Object.values(program.ports));
          expect(new Set(ports).size).toBe(ports.length);
          for (let gpu = 0; gpu < gpusPerNode; gpu++) {
            const on = here.filter(({ gpus }) => gpus.includes(gpu));
            expect(on.length).toBeLessThanOrEqual(workersPerGpu);
            expect(node.idleGpus.includes(gpu)).toBe(on.length === 0);
            // All but the first wait for the previous one.
            expect(on.map(({ waitsFor }) => waitsFor.at(-1)?.name)).toEqual(
              on.map((_, index) => (index === 0 ? "nats" : `${on[index - 1]?.name}, which shares its GPU`)),
            );
          }
        }
      }),
      { numRuns: 200 },
    );
    expect(seen).toBeGreaterThan(40);
  });
});
