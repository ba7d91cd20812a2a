/** SkyPilot's prices, from SkyPilot itself, with a catalog that the test writes. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACCELERATORS } from "../../cli/size/accelerators";
import { machinePrices } from "../../cli/size/prices";
import type { ConfigInput } from "../../plan/config";
import { sizeOptions } from "../unit/sizeAsked";
import { skyAnswer } from "./skyAnswer";
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
const cost = (input: Partial<ConfigInput>) => catalog.cost({ ...MULTI, ...input });

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

  it("is that of machines within `sky.maxHourlyCost`, of those that one region has for so much", async () => {
    expect(await cost({ sky: { infra: ["aws", "gcp"], maxHourlyCost: 90 } })).toMatchObject({
      dollarsPerHour: 176.5,
      mostDollarsPerHour: 176.5,
    });
    expect(await cost({ sky: { infra: "aws", maxHourlyCost: 100 } })).toMatchObject({
      dollarsPerHour: 196.64,
      mostDollarsPerHour: 235.96,
    });
    const [none] = (await cost({ sky: { infra: "aws", maxHourlyCost: 90 } })).clusters;
    expect(none).toMatchObject({ dollarsPerHour: null, infra: null });
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

  it("is there for every accelerator that `size` offers, on demand and spot, and for no other name", async () => {
    const accelerator = Object.keys(ACCELERATORS);
    const options = sizeOptions({ accelerator, infra: ["aws"], gpus: "8" });
    const { of, missing } = await machinePrices(options, (configs) =>
      Promise.all(configs.map((config) => catalog.cost(config))),
    );
    for (const name of accelerator)
      for (const isSpot of [false, true]) {
        const { dollarsPerHour, note } = of({ accelerator: name, gpusPerNode: 8, isSpot });
        expect(dollarsPerHour, `${name}: ${note}`).toBeGreaterThan(1);
        expect(missing(name)).toBeUndefined();
      }
    // Its own names, of which one is only in its published catalogs.
    const own = await skyAnswer<readonly string[]>("skyGpus.py", {}, catalog.home);
    expect(accelerator.filter((name) => !own.includes(name))).toEqual(["B300"]);
    const unknown = await cost({ cluster: { nodes: 2, accelerator: "H100-SXM9" }, sky: { infra: "aws" } });
    expect(unknown.dollarsPerHour).toBeNull();
  });
});
