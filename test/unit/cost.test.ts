import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DynamoCluster, type DynamoClusterArgs } from "../../components";
import { priceQuestions, type SkyPrices } from "../../components/prices";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { assertAffordable, type ClusterPrice, costLine, costOf, type PriceCandidate } from "../../plan/cost";
import { plan } from "../../plan/plan";
import { runOnMocks } from "./componentsMocks";
import { SERVICES } from "./planShapes";

const MULTI = {
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 2 },
  pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
} as const satisfies Partial<ConfigInput>;

const candidate = (infra: string, dollarsPerHour: number | null): PriceCandidate => ({
  infra,
  instanceType: "p5.48xlarge",
  spot: false,
  dollarsPerHour,
});
const priced = (...candidates: PriceCandidate[]): ClusterPrice => ({ candidates, problem: null });

function cost(input: Partial<ConfigInput>, price?: ClusterPrice) {
  const config = parseConfig({ ...MULTI, ...input });
  return costOf(config, plan(config, SERVICES), () => price);
}

/** The error for a deployment; undefined if it is accepted. */
function refusal(limits: ConfigInput["limits"], price?: ClusterPrice): string | undefined {
  try {
    assertAffordable(parseConfig({ ...MULTI, limits }), cost({}, price));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const TWO = priced(candidate("gcp/us-central1", 176.5), candidate("aws/us-east-1", 196.64));

describe("the cost of a deployment", () => {
  it("is what the cheapest machines cost, and at most what the dearest do", () => {
    expect(cost({}, TWO)).toEqual({
      gpus: 16,
      dollarsPerHour: 176.5,
      mostDollarsPerHour: 196.64,
      clusters: [
        {
          name: "main",
          gpus: 16,
          infra: "gcp/us-central1",
          instanceType: "p5.48xlarge",
          dollarsPerHour: 176.5,
          mostDollarsPerHour: 196.64,
        },
      ],
    });
    expect(costLine(cost({}, TWO))).toBe(
      "cost: 16 GPUs, $176.50 an hour (p5.48xlarge in gcp/us-central1), at most $196.64 where that has no capacity",
    );
  });

  it("of own hardware is 0", () => {
    const own = {
      candidates: [{ ...candidate("slurm/lab", 0), instanceType: "2CPU--4GB--H100:8" }],
      problem: null,
    };
    expect(cost({}, own)).toMatchObject({ dollarsPerHour: 0, mostDollarsPerHour: 0 });
    expect(refusal({ dollarsPerHour: 0 }, own)).toBeUndefined();
  });

  it("on this machine is 0, and SkyPilot is not asked", () => {
    const config = parseConfig({ model: "Qwen/Qwen3-8B", target: "local", limits: { dollarsPerHour: 0 } });
    const none = costOf(config, plan(config, SERVICES), () => {
      throw new Error("SkyPilot was asked");
    });
    expect(none).toMatchObject({ gpus: 1, dollarsPerHour: 0, mostDollarsPerHour: 0 });
    assertAffordable(config, none);
  });

  it("is not known where one price is not, and says which", () => {
    const unknown = cost({}, { candidates: [], problem: "it finds no such machines" });
    expect(unknown).toMatchObject({ dollarsPerHour: null, mostDollarsPerHour: null });
    expect(costLine(unknown)).toBe(
      "cost: 16 GPUs, price not known: SkyPilot says: it finds no such machines",
    );
    expect(costLine(cost({}))).toBe("cost: 16 GPUs, price not known: SkyPilot was not asked");
    const half = cost({}, priced(candidate("aws/us-east-1", 10), candidate("aws/eu-north-1", null)));
    expect(half).toMatchObject({ dollarsPerHour: 10, mostDollarsPerHour: null });
    expect(costLine(half)).toMatch(
      /at most: not known, SkyPilot's catalog has no price of p5.48xlarge in aws\/eu-north-1$/,
    );
  });

  it("adds up over the clusters of a dedicated deployment", () => {
    const pools = [{ role: "aggregated", replicas: 3, tensorParallel: 8 }] as const;
    const config = parseConfig({ model: "Qwen/Qwen3-8B", placement: "dedicated", pools });
    const planned = plan(config, SERVICES);
    const total = costOf(config, planned, ({ name }) =>
      priced(candidate("aws", name === "control" ? 0.1 : 98.32)),
    );
    expect(total).toMatchObject({ gpus: 24, dollarsPerHour: 295.06 });
    // The replicas are equal, so SkyPilot is queried once for all three.
    expect(priceQuestions(config)).toHaveLength(2);
  });
});

describe("the limit on dollars", () => {
  it("counts the dearest machines that SkyPilot may fall back to", () => {
    expect(refusal({ dollarsPerHour: 196.64 }, TWO)).toBeUndefined();
    expect(refusal({ dollarsPerHour: 180 }, TWO)).toBe(
      "dynamo-sky:limits.dollarsPerHour: 180 is less than the $196.64 an hour that this deployment may cost. It is expected to cost $176.50, but SkyPilot may fall back to dearer machines: name the infra that it may use (sky.infra, such as gcp/us-central1). Ask for less (cluster, pools, sky.useSpot), or raise this.",
    );
  });

  it("refuses what has no price, unless told otherwise", () => {
    expect(refusal({ dollarsPerHour: 1000 })).toBe(
      "dynamo-sky:limits.dollarsPerHour: 1000 cannot be checked: SkyPilot was not asked. Nothing is provisioned without a price while there is a limit; set limits.allowUnknownPrice to true to accept that.",
    );
    expect(refusal({ dollarsPerHour: 1000, allowUnknownPrice: true })).toBeUndefined();
    // The known part counts nevertheless.
    const half = priced(candidate("aws/us-east-1", 2000), candidate("aws/eu-north-1", null));
    expect(refusal({ dollarsPerHour: 1000, allowUnknownPrice: true }, half)).toMatch(
      /1000 is less than the \$2000.00/,
    );
  });

  it("never lets a dearer deployment through, and never refuses a cheaper one", () => {
    const price = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(price, { minLength: 1, maxLength: 5 }), price, (prices, limit) => {
        const most = cost(
          {},
          priced(...prices.map((one, index) => candidate(`aws/r${index}`, one))),
        ).mostDollarsPerHour;
        const said = refusal(
          { dollarsPerHour: limit },
          priced(...prices.map((one) => candidate("aws", one))),
        );
        expect(said === undefined).toBe(most !== null && most <= limit);
        expect(Math.abs((most ?? 0) - Math.max(...prices))).toBeLessThanOrEqual(0.0001);
      }),
    );
  });
});

describe("the limit on GPUs", () => {
  it.each(["sky", "local"] as const)("is checked by the plan, target %s", (target) => {
    const config = (gpus: number) => parseConfig({ ...MULTI, target, limits: { gpus } });
    expect(() => plan(config(16), SERVICES)).not.toThrow();
    expect(() => plan(config(15), SERVICES)).toThrow(
      "dynamo-sky:limits.gpus: 15 is less than the 16 GPUs that this deployment takes (2 nodes). Ask for fewer (cluster, pools), or raise this to 16.",
    );
  });

  it("counts GPUs that sit idle", () => {
    const cluster = { nodes: 2, allowIdleGpus: true };
    const config = parseConfig({ model: "Qwen/Qwen3-8B", cluster, limits: { gpus: 8 } });
    expect(() => plan(config, SERVICES)).toThrow("8 is less than the 16 GPUs");
  });
});

describe("DynamoCluster", () => {
  const args = (limits: ConfigInput["limits"], prices?: SkyPrices): DynamoClusterArgs => ({
    ...MULTI,
    ...(limits === undefined ? {} : { limits }),
    observedSky: { at: "2027-01-01T00:00:00Z", clusters: {}, ...(prices === undefined ? {} : { prices }) },
  });
  const questions = priceQuestions(parseConfig(MULTI));
  const prices = new Map(questions.map((question) => [question, TWO]));

  it("tells the cost, which only policies read: no command runs again because of it", async () => {
    const { result, resources } = await runOnMocks(
      "preview",
      () => new DynamoCluster("dynamo", args(undefined, prices)),
    );
    expect(result.cost).toMatchObject({ gpus: 16, dollarsPerHour: 176.5 });
    const telling = resources.filter((resource) => JSON.stringify(resource).includes("176.5"));
    expect(telling.map(({ type }) => type)).toEqual(["dynamo-sky:index:DynamoCluster"]);
  });

  it("refuses what is too dear or has no price before any resource is made", async () => {
    const refused = async (made: DynamoClusterArgs) => {
      const { result, resources } = await runOnMocks("preview", () => {
        try {
          return String(new DynamoCluster("dynamo", made));
        } catch (error) {
          return error;
        }
      });
      expect(resources).toEqual([]);
      expect(result).toBeInstanceOf(pulumi.RunError);
      return String(result);
    };
    expect(await refused(args({ dollarsPerHour: 180 }, prices))).toContain("180 is less than the $196.64");
    expect(await refused(args({ dollarsPerHour: 180 }))).toContain("180 cannot be checked");
    expect(await refused(args({ gpus: 8 }, prices))).toContain("8 is less than the 16 GPUs");
    const misses = [{ infra: "aws", cause: "count", allowed: ["4"], instead: [] }] as const;
    const none: ClusterPrice = { candidates: [], problem: "it finds no such machines", misses };
    expect(await refused(args(undefined, new Map([...prices.keys()].map((key) => [key, none]))))).toContain(
      "dynamo-sky:cluster.gpusPerNode: 8 cannot be had",
    );
    const text =
      "Invalid task YAML: 'yes' is not of type 'boolean'. Check problematic field(s): $.config.gcp.enable_gpu_direct";
    const invalid: ClusterPrice = { candidates: [], problem: text, refused: text };
    expect(
      await refused(args(undefined, new Map([...prices.keys()].map((key) => [key, invalid])))),
    ).toContain(
      "dynamo-sky:sky.config.gcp.enable_gpu_direct: SkyPilot does not take it: 'yes' is not of type 'boolean'. Allowed:",
    );
  });
});
