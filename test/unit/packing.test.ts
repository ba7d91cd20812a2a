import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PackingPool, pack } from "../../plan/packing";
import { problemsOfIdleGpus } from "../../plan/packingProblems";

const aggregated = (replicas: number, gpusPerReplica: number): PackingPool => ({
  role: "aggregated",
  replicas,
  gpusPerReplica,
});

/** `node:gpus` of every replica, by pool: `["0:0-3", "1:0-3"]`. */
function seats(pools: readonly PackingPool[], nodes: number, gpusPerNode: number): string[] {
  const { packing, problems } = pack(pools, nodes, gpusPerNode);
  if (packing === undefined) return problems.map(({ path, message }) => `${path.join(".")}: ${message}`);
  return packing.placements.map(({ pool, replica, shares }) => {
    const where = shares.map(({ node, gpus }) => `${node}:${gpus[0]}-${gpus.at(-1)}`).join(" ");
    return `${pools[pool]?.role} ${replica} at ${where}`;
  });
}

/** Whether any arrangement exists, by brute force; for a few items. */
function fitsSomehow(sizes: readonly number[], free: readonly number[]): boolean {
  const [size, ...rest] = sizes;
  if (size === undefined) return true;
  return free.some(
    (room, node) =>
      room >= size &&
      free.indexOf(room) === node &&
      fitsSomehow(
        rest,
        free.map((other, index) => (index === node ? other - size : other)),
      ),
  );
}

describe("packing", () => {
  it("puts a share of every role on every node, so that a lost node leaves some of each", () => {
    const pools: PackingPool[] = [
      { role: "prefill", replicas: 2, gpusPerReplica: 4 },
      { role: "decode", replicas: 2, gpusPerReplica: 4 },
    ];
    expect(seats(pools, 2, 8)).toEqual([
      "prefill 0 at 0:0-3",
      "prefill 1 at 1:0-3",
      "decode 0 at 0:4-7",
      "decode 1 at 1:4-7",
    ]);
  });

  it("gives whole neighbouring nodes to a replica that is larger than one", () => {
    expect(seats([aggregated(1, 16), aggregated(2, 4)], 3, 8)).toEqual([
      "aggregated 0 at 0:0-7 1:0-7",
      "aggregated 0 at 2:0-3",
      "aggregated 1 at 2:4-7",
    ]);
  });

  it("finds arrangements that taking the emptiest node each time does not", () => {
    const odd = [aggregated(1, 4), aggregated(2, 2), aggregated(2, 3), aggregated(1, 2)];
    expect(pack(odd, 2, 8).problems).toEqual([]);
  });

  it("packs whenever there is a way, and never otherwise", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 4 }), (wanted, nodes) => {
        const packed = pack(
          wanted.map((size) => aggregated(1, size)),
          nodes,
          8,
        ).packing;
        expect(packed !== undefined).toBe(fitsSomehow(wanted, new Array<number>(nodes).fill(8)));
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    [
      "a size between",
      [aggregated(1, 12)],
      2,
      8,
      "pools.0.tensorParallel: One replica takes 12 GPUs (tensorParallel × dataParallel × pipelineParallel), more than a node's 8 and no whole number of nodes. Allowed: up to 8, or a multiple of 8. Make it 8 or 16, or change cluster.gpusPerNode.",
    ],
    [
      "too many",
      [aggregated(3, 8)],
      2,
      8,
      "cluster.nodes: The pools take 24 GPUs (aggregated 3 × 8), and 2 nodes of 8 have 16. Set it to 3, or lower replicas or parallelism.",
    ],
    [
      "unlucky sizes",
      [aggregated(3, 5)],
      2,
      8,
      "cluster.nodes: The pools take 15 GPUs of 16 (aggregated 3 × 5), but no arrangement of these sizes was found on 2 nodes of 8: a replica cannot be split over parts of nodes. Set it to 3, or lower replicas or parallelism.",
    ],
  ] as const)("says why %s does not fit and what would", (_, pools, nodes, gpusPerNode, message) => {
    expect(seats(pools, nodes, gpusPerNode)).toEqual([message]);
  });

  it("proposes numbers of nodes that suffice", () => {
    const pools = fc.array(
      fc.record({ replicas: fc.integer({ min: 1, max: 5 }), size: fc.constantFrom(1, 2, 3, 5, 8, 16) }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(pools, (wanted) => {
        const asked = wanted.map(({ replicas, size }) => aggregated(replicas, size));
        const [problem] = pack(asked, 1, 8).problems;
        if (problem === undefined) return;
        const proposed = Number(/Set it to (\d+)/.exec(problem.message)?.[1]);
        expect(pack(asked, proposed, 8).packing).toBeDefined();
      }),
    );
  });
});

describe("idle GPUs", () => {
  const idleText = (pools: readonly PackingPool[], nodes: number, gpusPerNode: number) =>
    problemsOfIdleGpus(
      pools,
      { nodes, gpusPerNode },
      pack(pools, nodes, gpusPerNode).packing?.idle ?? [],
    ).map(({ path, message }) => `${path.join(".")}: ${message}`);

  it("are counted by node, with every way out", () => {
    expect(idleText([aggregated(3, 2)], 1, 8)).toEqual([
      "cluster.allowIdleGpus: 2 of 8 GPUs would sit idle (node 0: 2). Set pools[0].replicas to 4, or set cluster.gpusPerNode to 6, or set this to true to accept it.",
    ]);
    expect(idleText([aggregated(1, 8)], 2, 8)).toEqual([
      "cluster.allowIdleGpus: 8 of 16 GPUs would sit idle (node 1: 8). Set pools[0].replicas to 2, or set cluster.nodes to 1, or set this to true to accept it.",
    ]);
  });

  it("are no problem when there are none", () => {
    expect(idleText([aggregated(4, 2)], 1, 8)).toEqual([]);
  });
});
