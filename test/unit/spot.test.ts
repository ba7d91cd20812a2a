/** Spot instances by pool: what is refused, which replicas have them, what is asked, what it costs. */
import { describe, expect, it } from "vitest";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { assertAffordable, type ClusterPrice, costLine, costOf } from "../../plan/cost";
import { clusterTitle } from "../../plan/drawing/words";
import { inventoryOf } from "../../plan/inventory";
import { plan } from "../../plan/plan";
import { taskIdentity } from "../../sky/task";
import { type BadInput, messageOf } from "./configMessages";
import { SERVICES } from "./planShapes";

type Pool = NonNullable<ConfigInput["pools"]>[number];

const several = (pools: readonly Pool[], changes: Partial<ConfigInput> = {}) => ({
  model: "Qwen/Qwen3-8B",
  placement: "dedicated" as const,
  pools: [...pools],
  sky: { infra: "aws" },
  ...changes,
});
const pool = (spot: Pool["spot"], changes: Partial<Pool> = {}): Pool => ({
  role: "aggregated",
  replicas: 3,
  tensorParallel: 8,
  spot,
  ...changes,
});

const ON_ONE_CLUSTER =
  "with placement shared all pools are on one cluster, with the control plane. Set placement to dedicated; or sky.useSpot, for the whole cluster.";
const BAD: readonly BadInput[] = [
  [
    "where pools share a cluster",
    {
      placement: "shared",
      pools: [{ role: "aggregated", spot: { use: true, onDemandBase: 1, fallback: true } }],
    },
    [
      `dynamo-sky:pools[0].spot.use: true cannot be kept: ${ON_ONE_CLUSTER}`,
      `dynamo-sky:pools[0].spot.onDemandBase: 1 cannot be kept: ${ON_ONE_CLUSTER}`,
      `dynamo-sky:pools[0].spot.fallback: true cannot be kept: ${ON_ONE_CLUSTER}`,
    ],
  ],
  [
    "on this machine",
    { target: "local", pools: [{ role: "aggregated", spot: { use: true } }] },
    ["dynamo-sky:pools[0].spot.use: true cannot be kept: with target local nothing is rented. Remove it."],
  ],
  [
    "of a pool on demand, and with nothing left of another",
    several([
      pool({ onDemandBase: 1, fallback: true }, { role: "prefill" }),
      pool({ use: true, onDemandBase: 3 }, { role: "decode" }),
    ]),
    [
      "dynamo-sky:pools[0].spot.onDemandBase: 1 has no effect on a pool that is on demand. Set spot.use to true, or remove it.",
      "dynamo-sky:pools[0].spot.fallback: true has no effect on a pool that is on demand. Set spot.use to true, or remove it.",
      "dynamo-sky:pools[1].spot.onDemandBase: 3 leaves no replica on spot instances: there are at most 3. Allowed: 0 to 2; or set spot.use to false.",
    ],
  ],
  [
    "on Slurm, beside other mistakes",
    several([pool({ use: true, onDemandBase: 9 })], { sky: { infra: ["aws", "slurm/hpc"] } }),
    [
      "dynamo-sky:pools[0].spot.onDemandBase: 9 leaves no replica on spot instances: there are at most 3. Allowed: 0 to 2; or set spot.use to false.",
      'dynamo-sky:pools[0].spot.use: asks "slurm/hpc" for spot instances, which SkyPilot cannot do on Slurm. Set it to false, or take slurm/hpc out of sky.infra.',
    ],
  ],
];

describe("a pool's spot instances", () => {
  it.each(BAD)("are refused %s", (_title, input, messages) => {
    expect(
      messageOf(input)
        .split("\n")
        .filter((line) => line.includes("dynamo-sky:")),
    ).toEqual(messages.map((message) => expect.stringContaining(message)));
  });

  it("may be as many as the pool may ever have, above its base", () => {
    const scaled = pool({ use: true, onDemandBase: 3 }, { replicas: 1, maxReplicas: 4 });
    expect(() => parseConfig(several([scaled]))).not.toThrow();
  });
});

function clustersOf(input: Partial<ConfigInput>) {
  const config = parseConfig(input);
  const planned = plan(config, SERVICES);
  const asked = planned.clusters.map((cluster) => {
    const { resources } = taskIdentity({ cluster, config }) as { resources: Record<string, unknown> };
    const { any_of, ordered, use_spot } = resources;
    return [clusterTitle(cluster), { any_of, ordered, use_spot }] as const;
  });
  return { config, planned, asked: new Map(asked) };
}
const NONE = { any_of: undefined, ordered: undefined, use_spot: undefined };

describe("of the replicas of a pool", () => {
  it("the first ones are on demand, the others spot; the control plane is on demand", () => {
    const { asked, config, planned } = clustersOf(several([pool({ use: true, onDemandBase: 1 })]));
    expect(asked).toEqual(
      new Map<string, object>([
        ["cluster control: 1 node × no GPU", NONE],
        ["cluster aggregated-0: 1 node × H100:8", NONE],
        ["cluster aggregated-1: 1 node × H100:8, spot", { ...NONE, use_spot: true }],
        ["cluster aggregated-2: 1 node × H100:8, spot", { ...NONE, use_spot: true }],
      ]),
    );
    const price = { dollarsPerHour: 1, mostDollarsPerHour: 1 };
    expect(inventoryOf(config, planned, price).clusters.map(({ spot }) => spot)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  it("the base counts in each pool of a role", () => {
    const base = pool({ use: true, onDemandBase: 1 }, { replicas: 2 });
    const { asked } = clustersOf(several([base, { ...base, accelerator: "A100" }]));
    expect([...asked.keys()].slice(1)).toEqual([
      "cluster aggregated-0: 1 node × H100:8",
      "cluster aggregated-1: 1 node × H100:8, spot",
      "cluster aggregated-2: 1 node × A100:8",
      "cluster aggregated-3: 1 node × A100:8, spot",
    ]);
  });

  it("those that may fall back are asked of SkyPilot as spot first, then on demand", () => {
    const { asked } = clustersOf(several([pool({ use: true, fallback: true }, { replicas: 1 })]));
    expect(asked.get("cluster aggregated-0: 1 node × H100:8, spot or on demand")).toEqual({
      ...NONE,
      ordered: [{ use_spot: true }, { use_spot: false }],
    });
  });

  it("and of several places as both in each", () => {
    const { asked } = clustersOf(
      several([pool({ use: true, fallback: true }, { replicas: 1 })], { sky: { infra: ["aws", "gcp"] } }),
    );
    expect([...asked.values()][1]?.any_of).toEqual([
      { infra: "aws", use_spot: true },
      { infra: "aws", use_spot: false },
      { infra: "gcp", use_spot: true },
      { infra: "gcp", use_spot: false },
    ]);
  });

  it("a pool that says nothing is as sky.useSpot says, and may say otherwise", () => {
    const sky = { infra: "aws", useSpot: true };
    const pools = [
      pool(undefined, { role: "prefill", replicas: 1 }),
      pool({ use: false }, { role: "decode", replicas: 1 }),
    ];
    expect([...clustersOf(several(pools, { sky })).asked.keys()]).toEqual([
      "cluster control: 1 node × no GPU",
      "cluster prefill-0: 1 node × H100:8, spot",
      "cluster decode-0: 1 node × H100:8",
    ]);
  });

  it("one more or fewer changes the machines of no other", () => {
    const scaled = (replicas: number) =>
      clustersOf(several([pool({ use: true, onDemandBase: 1 }, { replicas, maxReplicas: 4 })]));
    const [few, many] = [scaled(2), scaled(4)];
    for (const [title, resources] of few.asked) expect(many.asked.get(title)).toEqual(resources);
    expect([...many.asked.keys()].slice(-2)).toEqual([
      "cluster aggregated-2: 1 node × H100:8, spot",
      "cluster aggregated-3: 1 node × H100:8, spot",
    ]);
  });
});

describe("the price", () => {
  const at = (dollarsPerHour: number, spot: boolean) => ({
    infra: "aws/us-east-1",
    instanceType: "p5.48xlarge",
    spot,
    dollarsPerHour,
  });
  const PRICES = new Map<string, ClusterPrice>([
    ["", { candidates: [{ ...at(0.4, false), instanceType: "m6i.2xlarge" }], problem: null }],
    ["on demand", { candidates: [at(98, false)], problem: null }],
    ["spot", { candidates: [at(30, true)], problem: null }],
    ["both", { candidates: [at(98, false), at(30, true)], problem: null }],
  ]);
  const costed = (spot: Pool["spot"], dollarsPerHour: number) => {
    const config = parseConfig(several([pool(spot)], { limits: { dollarsPerHour } }));
    const cost = costOf(config, plan(config, SERVICES), ({ accelerator, spot }) =>
      PRICES.get(
        accelerator === undefined ? "" : spot === undefined ? "on demand" : spot.fallback ? "both" : "spot",
      ),
    );
    return { cost, isRefused: () => assertAffordable(config, cost) };
  };

  it("is that on demand for the base, and of spot for the others", () => {
    const { cost, isRefused } = costed({ use: true, onDemandBase: 1 }, 158.4);
    expect(cost).toMatchObject({ dollarsPerHour: 158.4, mostDollarsPerHour: 158.4 });
    expect(cost.clusters.map(({ spot }) => spot)).toEqual([undefined, undefined, true, true]);
    expect(costLine(cost)).toContain("p5.48xlarge in aws/us-east-1, p5.48xlarge spot in aws/us-east-1");
    expect(isRefused).not.toThrow();
  });

  it("may be that on demand for all that may fall back, which is what a limit counts", () => {
    const { cost, isRefused } = costed({ use: true, fallback: true }, 200);
    expect(cost).toMatchObject({ dollarsPerHour: 90.4, mostDollarsPerHour: 294.4 });
    expect(isRefused).toThrow(
      "200 is less than the $294.40 an hour that this deployment may cost. It is expected to cost $90.40, but SkyPilot may fall back to dearer machines: name the infra that it may use (sky.infra, such as aws/us-east-1), or leave none on demand instead of spot (spot.fallback of the pools).",
    );
  });
});
