/** SkyPilot's prices, from SkyPilot itself, with a catalog that the test writes. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { priceQuestions } from "../../components/prices";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { costOf } from "../../plan/cost";
import { plan } from "../../plan/plan";
import { SkyCatalog } from "./skyCatalog";

let catalog: SkyCatalog;

beforeAll(async () => {
  catalog = await SkyCatalog.open();
}, 600_000);
afterAll(() => catalog.close());

const MULTI: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 2 },
  pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
};

/** SkyPilot's cost of a deployment. */
async function cost(input: Partial<ConfigInput>) {
  const config = parseConfig({ ...MULTI, ...input });
  const questions = priceQuestions(config);
  const prices = await catalog.prices(questions);
  const planned = plan(config, { discovery: "etcd", events: "nats" });
  // Clusters with GPUs are equal here, and queried after the one without.
  return costOf(
    config,
    planned,
    ({ accelerator }) => prices[accelerator === undefined ? 0 : prices.length - 1],
  );
}

describe("SkyPilot's own price", () => {
  it("is that of the cheapest region, and of the dearest that a launch may fall back to", async () => {
    expect(await cost({ sky: { infra: "aws" } })).toMatchObject({
      dollarsPerHour: 196.64,
      mostDollarsPerHour: 235.96,
      clusters: [{ infra: "aws/us-east-1", instanceType: "p5.48xlarge" }],
    });
    expect(await cost({ sky: { infra: "aws/us-east-1" } })).toMatchObject({ mostDollarsPerHour: 196.64 });
  });

  it("has the machine and its GPUs where a cloud sells them apart", async () => {
    expect(await cost({ sky: { infra: "gcp" } })).toMatchObject({
      dollarsPerHour: 176.5,
      mostDollarsPerHour: 176.5,
    });
  });

  it("of spot machines differs from zone to zone", async () => {
    const spot = { infra: "aws/us-east-1", useSpot: true };
    expect(await cost({ sky: spot })).toMatchObject({ dollarsPerHour: 59, mostDollarsPerHour: 62.5 });
  });

  it("is not known where the catalog has none, and the reason is told", async () => {
    const [unpriced] = (await cost({ sky: { infra: "aws/eu-north-1", useSpot: true } })).clusters;
    expect(unpriced).toMatchObject({ dollarsPerHour: null, mostDollarsPerHour: null });
    expect(unpriced?.unknown).toBe("SkyPilot says: it finds no such machines");
    const [none] = (await cost({ sky: { infra: "gcp", useSpot: true, instanceType: "n2-standard-8" } }))
      .clusters;
    expect(none?.unknown).toMatch(/^SkyPilot says: /);
  });

  it("adds up over clusters with GPUs and without", async () => {
    const pools = [{ role: "aggregated", replicas: 3, tensorParallel: 8 }] as const;
    const dedicated: Partial<ConfigInput> = { placement: "dedicated", cluster: {}, pools: [...pools] };
    const total = await cost({ ...dedicated, sky: { infra: "aws/us-east-1" } });
    expect(total).toMatchObject({ gpus: 24, dollarsPerHour: 295.344 });
  });
});
