/**
 * The real SkyPilot with a catalog that is written here in the form in which SkyPilot keeps it
 * (https://github.com/skypilot-org/skypilot-catalog), so that neither a cloud account nor the web is needed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { answersTo, costAt, priceQuestions } from "../../components/prices";
import type { DeploymentConfig } from "../../config/deployment";
import { type ConfigInput, parseConfig } from "../../plan/config";
import type { ClusterPrice, DeploymentCost } from "../../plan/cost";
import type { HubAnswer, HubQuestion } from "../../plan/hub";
import { plan } from "../../plan/plan";
import { interpreterOf } from "../../sky/interpreter";
import { priceRecords } from "../../sky/records";
import { SkySession } from "../../sky/session";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";

function gpus(name: string, count: number): string {
  const gpu = `{'Name': '${name}', 'Manufacturer': 'NVIDIA', 'Count': ${count}.0, 'MemoryInfo': {'SizeInMiB': 81559}}`;
  return `"{'Gpus': [${gpu}], 'TotalGpuMemoryInMiB': ${81559 * count}}"`;
}
const P5 = `p5.48xlarge,H100,8.0,192.0,2048.0,${gpus("H100", 8)}`;
const machine = (type: string, name: string, count: number, cpus: number, memory: number) =>
  `${type},${name},${count}.0,${cpus}.0,${memory}.0,${gpus(name, count)}`;

/**
 * Machines with eight GPUs, by the names that SkyPilot gives those in its catalog of AWS:
 * https://github.com/skypilot-org/skypilot-catalog/blob/d4d53f0e1e9df6bcab64b96fe032ebbe43a4f0ce/catalogs/v8/common/accelerators.csv
 */
const NODES_OF_AWS: readonly (readonly [type: string, accelerator: string])[] = [
  ["p5en.48xlarge", "H200"],
  ["p6-b200.48xlarge", "B200"],
  ["p6-b300.48xlarge", "B300"],
  ["p4de.24xlarge", "A100-80GB"],
  ["g6e.48xlarge", "L40S"],
  // Not in that copy yet; SkyPilot's own program writes it so: sky/catalog/data_fetchers/fetch_aws.py.
  ["g7e.48xlarge", "RTXPRO6000"],
];

/** Instance types as the clouds' catalogs have them; the prices are made up. */
const CATALOG: Readonly<Record<string, readonly string[]>> = {
  "common/accelerators.csv": [
    "AcceleratorName,Clouds",
    "H100,\"['aws', 'gcp']\"",
    "A10G,\"['aws']\"",
    "A100,\"['aws', 'gcp']\"",
    "L4,\"['gcp']\"",
    ...NODES_OF_AWS.map(([, name]) => `${name},"['aws']"`),
  ],
  "aws/images.csv": ["ImageId,Tag,Region"],
  "aws/vms.csv": [
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone,Arch,LocalDiskType,LocalDiskSize,LocalDiskCount",
    `${P5},98.32,29.5,us-east-1,us-east-1a,x86_64,ssd,3840,8`,
    `${P5},98.32,31.25,us-east-1,us-east-1b,x86_64,ssd,3840,8`,
    `${P5},117.98,,eu-north-1,eu-north-1a,x86_64,ssd,3840,8`,
    `${machine("g5.xlarge", "A10G", 1, 4, 16)},1.0,0.4,us-east-1,us-east-1a,x86_64,ssd,250,1`,
    `${machine("g5.12xlarge", "A10G", 4, 48, 192)},5.7,2.0,us-east-1,us-east-1a,x86_64,ssd,3800,1`,
    `${machine("p4d.24xlarge", "A100", 8, 96, 1152)},32.8,,us-east-1,us-east-1a,x86_64,ssd,1000,8`,
    ...NODES_OF_AWS.map(
      ([type, name]) =>
        `${machine(type, name, 8, 192, 1024)},50.0,20.0,us-east-1,us-east-1a,x86_64,ssd,3800,8`,
    ),
    "m6i.2xlarge,,,8.0,32.0,,0.384,0.15,us-east-1,us-east-1a,x86_64,,,",
  ],
  "gcp/images.csv": ["Tag,Region,ImageId,Description"],
  "gcp/vms.csv": [
    "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice",
    "a3-highgpu-8g,208.0,1872.0,,,,us-central1,us-central1-a,10.0,4.0",
    `,,,H100,8.0,${gpus("H100", 8)},us-central1,us-central1-a,78.25,30.0`,
    "g2-standard-8,8.0,32.0,,,,us-central1,us-central1-a,0.4,0.1",
    `,,,L4,1.0,${gpus("L4", 1)},us-central1,us-central1-a,0.5,0.2`,
    "n2-standard-8,8.0,32.0,,,,us-central1,us-central1-a,0.388,0.1",
  ],
};

export class SkyCatalog {
  private constructor(
    readonly home: string,
    private readonly session: SkySession,
  ) {}

  /** @param env More of SkyPilot's environment. Default: none, its API server is this machine's. */
  static async open(env: Readonly<Record<string, string>> = {}): Promise<SkyCatalog> {
    const home = mkdtempSync(join(tmpdir(), "dsky-prices-"));
    for (const [name, lines] of Object.entries(CATALOG)) {
      const path = join(home, ".sky", "catalogs", "v8", name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${lines.join("\n")}\n`);
    }
    const command = await ensureOwnSkyPilot(["aws", "gcp"], (line) => process.stderr.write(`${line}\n`));
    const all = { HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: "1", ...env };
    const stop = new AbortController();
    return new SkyCatalog(
      home,
      new SkySession({ command, env: all }, interpreterOf(command) ?? "", stop.signal),
    );
  }

  /** What a deployment costs by it, also where no launch could succeed. */
  async cost(input: ConfigInput | DeploymentConfig): Promise<DeploymentCost> {
    const config = parseConfig(input);
    const questions = priceQuestions(config);
    const prices = answersTo(questions, await this.prices(questions));
    return costAt(config, plan(config, { discovery: "etcd", events: "nats" }), prices);
  }

  /** @param questions As `priceQuestions` makes them. */
  async prices(questions: readonly string[]): Promise<readonly ClusterPrice[]> {
    const tasks = questions.map((question): unknown => JSON.parse(question));
    const { stdout } = await this.session.ask({ prices: tasks }, 120);
    return priceRecords.parse(JSON.parse(stdout)).prices;
  }

  /** What the hub says of some models, which needs no catalog. */
  async models(hub: HubQuestion & { readonly token?: string }): Promise<readonly HubAnswer[]> {
    const { stdout, stderr } = await this.session.ask({ prices: [], hub }, 120);
    return priceRecords.parse(JSON.parse(stdout || stderr)).models;
  }

  close(): void {
    this.session.close();
    rmSync(this.home, { recursive: true, force: true });
  }
}
