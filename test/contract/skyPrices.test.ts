/**
 * SkyPilot's prices, from SkyPilot itself: the real one, with a catalog that is written here in the form in which SkyPilot keeps it
 * (https://github.com/skypilot-org/skypilot-catalog), so that neither a cloud account nor the web is needed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { priceQuestions } from "../../components/prices";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { type ClusterPrice, costOf } from "../../plan/cost";
import { plan } from "../../plan/plan";
import { interpreterOf } from "../../sky/interpreter";
import { priceRecords } from "../../sky/records";
import { SkySession } from "../../sky/session";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";

const H100S =
  "\"{'Gpus': [{'Name': 'H100', 'Manufacturer': 'NVIDIA', 'Count': 8.0, 'MemoryInfo': {'SizeInMiB': 81559}}], 'TotalGpuMemoryInMiB': 652472}\"";
const P5 = `p5.48xlarge,H100,8.0,192.0,2048.0,${H100S}`;

/** Instance types as the clouds' catalogs have them; the prices are made up. */
const CATALOG: Readonly<Record<string, readonly string[]>> = {
  "common/accelerators.csv": ["AcceleratorName,Clouds", "H100,\"['aws', 'gcp']\""],
  "aws/images.csv": ["ImageId,Tag,Region"],
  "aws/vms.csv": [
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone,Arch,LocalDiskType,LocalDiskSize,LocalDiskCount",
    `${P5},98.32,29.5,us-east-1,us-east-1a,x86_64,ssd,3840,8`,
    `${P5},98.32,31.25,us-east-1,us-east-1b,x86_64,ssd,3840,8`,
    `${P5},117.98,,eu-north-1,eu-north-1a,x86_64,ssd,3840,8`,
    "m6i.2xlarge,,,8.0,32.0,,0.384,0.15,us-east-1,us-east-1a,x86_64,,,",
  ],
  "gcp/images.csv": ["Tag,Region,ImageId,Description"],
  "gcp/vms.csv": [
    "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice",
    "a3-highgpu-8g,208.0,1872.0,,,,us-central1,us-central1-a,10.0,4.0",
    `,,,H100,8.0,${H100S},us-central1,us-central1-a,78.25,30.0`,
    "n2-standard-8,8.0,32.0,,,,us-central1,us-central1-a,0.388,0.1",
  ],
};

const home = mkdtempSync(join(tmpdir(), "dsky-prices-"));
const stop = new AbortController();
let session: SkySession;

beforeAll(async () => {
  for (const [name, lines] of Object.entries(CATALOG)) {
    const path = join(home, ".sky", "catalogs", "v8", name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${lines.join("\n")}\n`);
  }
  const command = await ensureOwnSkyPilot(["aws", "gcp"], (line) => process.stderr.write(`${line}\n`));
  const env = { HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: "1" };
  session = new SkySession({ command, env }, interpreterOf(command) ?? "", stop.signal);
}, 600_000);
afterAll(() => {
  session.close();
  rmSync(home, { recursive: true, force: true });
});

const MULTI: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 2 },
  pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
};

/** What SkyPilot says that a deployment costs. */
async function cost(input: Partial<ConfigInput>) {
  const config = parseConfig({ ...MULTI, ...input });
  const questions = priceQuestions(config);
  const tasks = questions.map((question): unknown => JSON.parse(question));
  const { stdout } = await session.ask({ prices: tasks }, 120);
  const prices: readonly ClusterPrice[] = priceRecords.parse(JSON.parse(stdout));
  const planned = plan(config, { discovery: "etcd", events: "nats" });
  // Clusters with GPUs are equal here, and asked about after the one without.
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
