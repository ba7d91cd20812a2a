/**
 * Machines that no cloud has are refused before anything is provisioned: the real SkyPilot, with a catalog
 * that the test writes.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { affordableCost, answersTo, priceQuestions } from "../../components/prices";
import type { ConfigInput } from "../../config/schema";
import { cacheDir } from "../../lib/dirs";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { toolWords } from "../tools";
import { SkyCatalog } from "./skyCatalog";

let catalog: SkyCatalog;
let elsewhere: SkyCatalog;

beforeAll(async () => {
  catalog = await SkyCatalog.open();
  elsewhere = await SkyCatalog.open({ SKYPILOT_API_SERVER_ENDPOINT: "https://sky.example.com" });
}, 600_000);
afterAll(() => {
  catalog.close();
  elsewhere.close();
});

/** The message with which a deployment is refused; undefined where it is not. */
async function refusal(input: Partial<ConfigInput>, from = catalog): Promise<string | undefined> {
  const config = parseConfig({ model: "Qwen/Qwen3-8B", ...input });
  const planned = plan(config, { discovery: "etcd", events: "nats" });
  const questions = priceQuestions(config);
  const prices = answersTo(questions, await from.prices(questions));
  try {
    affordableCost(config, planned, prices);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function machines(accelerator: string, gpusPerNode: number, sky: ConfigInput["sky"]): Partial<ConfigInput> {
  return {
    cluster: { accelerator, gpusPerNode },
    pools: [{ role: "aggregated", replicas: gpusPerNode }],
    ...(sky === undefined ? {} : { sky }),
  };
}

const dedicated = (more: Partial<ConfigInput>, tensorParallel: number): Partial<ConfigInput> => ({
  placement: "dedicated",
  pools: [{ role: "aggregated", tensorParallel }],
  ...more,
});

const IMPOSSIBLE: readonly (readonly [string, Partial<ConfigInput>, string])[] = [
  [
    "more GPUs than any machine has",
    machines("A10G", 8, { infra: "aws" }),
    "cluster.gpusPerNode: 8 cannot be had: SkyPilot's catalog has no machine with A10G:8 in aws. aws has machines with 1, 4 A10G. Set cluster.gpusPerNode to one of these numbers, or use another accelerator or sky.infra.",
  ],
  [
    "an accelerator that the cloud has not",
    machines("A10G", 4, { infra: "gcp" }),
    'cluster.accelerator: "A10G" cannot be had: SkyPilot\'s catalog has no machine with A10G:4 in gcp. gcp has no A10G, but: H100, L4. Use another accelerator or sky.infra.',
  ],
  [
    "what none of several clouds has",
    machines("A10G", 8, { infra: ["aws", "gcp"] }),
    "cluster.gpusPerNode: 8 cannot be had: SkyPilot's catalog has no machine with A10G:8 in aws, gcp. aws has machines with 1, 4 A10G; gcp has no A10G, but: H100, L4. Set cluster.gpusPerNode to one of these numbers, or use another accelerator or sky.infra.",
  ],
  [
    "fewer GPUs than any machine has, for a replica of its own",
    dedicated({ cluster: { accelerator: "A100" }, sky: { infra: "aws" } }, 2),
    "pools[0].tensorParallel: 2 cannot be had: SkyPilot's catalog has no machine with A100:2 in aws. aws has machines with 8 A100. Use one of these numbers (cluster.gpusPerNode, or what a replica takes), or use another accelerator or sky.infra.",
  ],
  [
    "a pool's accelerator that the cloud has not",
    {
      ...dedicated({ sky: { infra: "gcp" } }, 8),
      pools: [
        { role: "prefill", tensorParallel: 8 },
        { role: "decode", tensorParallel: 8, accelerator: "A100" },
      ],
    },
    'pools[1].accelerator: "A100" cannot be had: SkyPilot\'s catalog has no machine with A100:8 in gcp. gcp has no A100, but: H100, L4. Use another accelerator or sky.infra.',
  ],
  [
    "spot where there is none",
    machines("A100", 8, { infra: "aws", useSpot: true }),
    "sky.useSpot: true cannot be had: SkyPilot's catalog has no machine with A100:8, spot instances in aws. aws has it only on demand. Set sky.useSpot to false.",
  ],
  [
    "spot in a region without",
    machines("H100", 8, { infra: "aws/eu-north-1", useSpot: true }),
    "sky.useSpot: true cannot be had: SkyPilot's catalog has no machine with H100:8, spot instances in aws/eu-north-1. aws/eu-north-1 has it only on demand. Set sky.useSpot to false, or name another region or zone in sky.infra, or none.",
  ],
  [
    "a region without such machines",
    machines("A10G", 4, { infra: "aws/eu-north-1" }),
    'sky.infra: "aws/eu-north-1" cannot be had: SkyPilot\'s catalog has no machine with A10G:4 in aws/eu-north-1. aws/eu-north-1 has none, but: aws/us-east-1. Name another region or zone in sky.infra, or none.',
  ],
  [
    "a region that there is not",
    machines("H100", 8, { infra: "aws/us-eats-1" }),
    'sky.infra: "aws/us-eats-1" cannot be had: SkyPilot\'s catalog has no machine with H100:8 in aws/us-eats-1. There is no aws/us-eats-1, but: aws/us-east-1. Correct sky.infra.',
  ],
  [
    "a region that there is not, beside a cloud that would do: a launch stops at it all the same",
    machines("H100", 8, { infra: ["aws/us-eats-1", "gcp"] }),
    'sky.infra: ["aws/us-eats-1","gcp"] cannot be had: SkyPilot\'s catalog has no machine with H100:8 in aws/us-eats-1, gcp. There is no aws/us-eats-1, but: aws/us-east-1. Correct sky.infra.',
  ],
  [
    "a zone that there is not",
    machines("H100", 8, { infra: "aws/us-east-1/us-east-1f" }),
    'sky.infra: "aws/us-east-1/us-east-1f" cannot be had: SkyPilot\'s catalog has no machine with H100:8 in aws/us-east-1/us-east-1f. There is no aws/us-east-1/us-east-1f, but: aws/us-east-1/us-east-1a, aws/us-east-1/us-east-1b. Correct sky.infra.',
  ],
  [
    "CPUs that no such machine has",
    machines("A10G", 4, { infra: "aws", cpus: "96" }),
    'sky.cpus: "96" cannot be had: SkyPilot\'s catalog has no machine with A10G:4, 96 CPUs in aws. aws has it with 48 CPUs. Give sky.cpus another number, or one with + ("32+").',
  ],
  [
    "memory that no such machine has",
    machines("A10G", 4, { infra: "aws", memory: "512+" }),
    'sky.memory: "512+" cannot be had: SkyPilot\'s catalog has no machine with A10G:4, 512+ GB of memory in aws. aws has it with 192 GB of memory. Give sky.memory another number, or one with + ("256+").',
  ],
  [
    "an instance type of another accelerator",
    machines("A10G", 4, { infra: "aws", instanceType: "g5.xlarge" }),
    'sky.instanceType: "g5.xlarge" cannot be had: SkyPilot\'s catalog has no machine with A10G:4, the instance type g5.xlarge in aws. aws has it as g5.12xlarge. Remove sky.instanceType.',
  ],
  [
    "a machine for less than any costs",
    machines("H100", 8, { infra: "aws", maxHourlyCost: 90 }),
    "sky.maxHourlyCost: 90 cannot be had: SkyPilot's catalog has no machine with H100:8, at most $90 an hour in aws. aws has it from $98.32 an hour. Raise sky.maxHourlyCost.",
  ],
  [
    "spot instances for less than any costs",
    machines("H100", 8, { infra: "aws/us-east-1", useSpot: true, maxHourlyCost: 29 }),
    "sky.maxHourlyCost: 29 cannot be had: SkyPilot's catalog has no machine with H100:8, spot instances, at most $29 an hour in aws/us-east-1. aws/us-east-1 has it from $29.50 an hour. Raise sky.maxHourlyCost.",
  ],
  [
    "a dearer region of an instance type that is cheap enough in another",
    machines("H100", 8, { infra: "aws", maxHourlyCost: 100 }),
    "sky.maxHourlyCost: 100 is less than the $117.98 an hour of p5.48xlarge in aws/eu-north-1, which SkyPilot may take all the same. Name the infra that it may use (sky.infra, such as aws/us-east-1), or raise this.",
  ],
  [
    "a machine with GPUs on GCP, where SkyPilot drops the limit",
    machines("H100", 8, { infra: "gcp", maxHourlyCost: 80 }),
    "sky.maxHourlyCost: 80 is less than the $88.25 an hour of a3-highgpu-8g in gcp/us-central1/us-central1-a, which SkyPilot may take all the same. Ask for other machines (cluster.accelerator, sky.infra), or raise this.",
  ],
  [
    "all machines of a deployment, the control plane's for part of a cent too little",
    dedicated({ sky: { infra: "aws", maxHourlyCost: 0.38 } }, 8),
    "sky.maxHourlyCost: 0.38 cannot be had: SkyPilot's catalog has no machine with at most $0.38 an hour in aws. aws has it from $0.384 an hour. Raise sky.maxHourlyCost.\ndynamo-sky:sky.maxHourlyCost: 0.38 cannot be had: SkyPilot's catalog has no machine with H100:8, at most $0.38 an hour in aws. aws has it from $98.32 an hour. Raise sky.maxHourlyCost.",
  ],
  [
    "machines on demand in the place of spot on GCP, where SkyPilot drops the limit",
    {
      placement: "dedicated",
      pools: [{ role: "aggregated", tensorParallel: 8, spot: { use: true, fallback: true } }],
      sky: { infra: "gcp", maxHourlyCost: 40 },
    },
    "sky.maxHourlyCost: 40 is less than the $88.25 an hour of a3-highgpu-8g in gcp/us-central1/us-central1-a, which SkyPilot may take all the same. Leave none on demand instead of spot (spot.fallback of its pool), or raise this.",
  ],
  [
    "an instance type that is named, and too dear",
    machines("A10G", 4, { infra: "aws", instanceType: "g5.12xlarge", maxHourlyCost: 5 }),
    "sky.maxHourlyCost: 5 is less than the $5.70 an hour of g5.12xlarge in aws/us-east-1, which SkyPilot may take all the same. Name another sky.instanceType, or none, or raise this.",
  ],
  [
    "CPUs for the control plane's own machine",
    dedicated({ sky: { infra: "aws", cpus: "96+" } }, 8),
    'sky.cpus: "96+" cannot be had: SkyPilot\'s catalog has no machine with 96+ CPUs in aws. aws has it with other numbers of CPUs. Give sky.cpus another number, or one with + ("32+").',
  ],
  [
    "several things at once",
    machines("A10G", 4, { infra: "aws/eu-north-1", cpus: "96" }),
    'cluster.accelerator: "A10G" cannot be had: SkyPilot\'s catalog has no machine with A10G:4, 96 CPUs in aws/eu-north-1. aws/eu-north-1 has nothing like it. Ask for less at once, or for another infra.',
  ],
];

describe("a machine that SkyPilot's catalogs do not have", () => {
  it.each(IMPOSSIBLE)("is refused: %s", async (_title, input, message) => {
    expect(await refusal(input)).toBe(`dynamo-sky:${message}`);
  });

  it.each([
    ["a machine within its price", machines("H100", 8, { infra: ["aws/us-east-1"], maxHourlyCost: 98.32 })],
    ["the right number", machines("A10G", 4, { infra: "aws", cpus: "32+" })],
    ["a cloud of several that has it", machines("A10G", 4, { infra: ["gcp", "aws"] })],
    ["Slurm, which has no catalog", machines("A10G", 8, { infra: "slurm/hpc" })],
    ["a cloud beside Kubernetes, which may have it", machines("A10G", 8, { infra: ["aws", "k8s"] })],
    ["spot for the replicas alone", dedicated({ sky: { infra: "aws/us-east-1", useSpot: true } }, 8)],
  ])("is not: %s", async (_title, input) => {
    expect(await refusal(input)).toBeUndefined();
  });

  it.each<[object, string]>([
    [{ gcp: { enable_gpu_direct: "yes" } }, "gcp.enable_gpu_direct: SkyPilot does not take it: 'yes' is not"],
    [{ hooks: { x: 1 } }, "hooks: SkyPilot does not take it: {'x': 1} is not of type 'array'."],
    [{ kubernetes: { kueue: { queue: "u" } } }, "config: SkyPilot does not take it: Found unsupported field"],
  ])(
    "is not asked for, with a configuration of a form that SkyPilot does not take: %j",
    async (config, said) => {
      const infra = ["aws", "gcp", "kubernetes"];
      expect(await refusal(machines("A10G", 4, { infra, config: config as never }))).toContain(said);
    },
  );

  it("is not where another API server has catalogs of its own", async () => {
    expect(await refusal(machines("A10G", 8, { infra: "aws" }), elsewhere)).toBeUndefined();
  });

  it("is refused by `dynamo-sky plan` too, which asks no server", () => {
    const directory = mkdtempSync(join(tmpdir(), "dsky-machines-"));
    writeFileSync(join(directory, "Pulumi.yaml"), "name: dynamo-sky\nruntime: nodejs\n");
    const stack = (gpus: number) =>
      [
        "config:",
        "  dynamo-sky:model: Qwen/Qwen3-8B",
        `  dynamo-sky:cluster: { accelerator: A10G, gpusPerNode: ${gpus} }`,
        `  dynamo-sky:pools: [{ role: aggregated, replicas: ${gpus} }]`,
        "  dynamo-sky:sky: { infra: [aws, gcp] }",
        "",
      ].join("\n");
    writeFileSync(join(directory, "Pulumi.eight.yaml"), stack(8));
    writeFileSync(join(directory, "Pulumi.four.yaml"), stack(4));
    const env = { ...process.env, HOME: catalog.home, DYNAMO_SKY_CACHE: cacheDir() };
    const planned = (name: string) =>
      spawnSync(process.execPath, toolWords("plan", ["-C", directory, "--stack", name]), {
        env,
        encoding: "utf8",
        timeout: 120_000,
      });
    try {
      const refused = planned("eight");
      expect(refused.stderr).toContain("dynamo-sky:cluster.gpusPerNode: 8 cannot be had");
      expect(refused.status).toBe(2);
      const four = planned("four");
      expect(four).toMatchObject({ status: 0, stderr: "" });
      expect(four.stdout).toMatch(/\ninfra: aws, gcp\ncost: 4 GPUs, \$\d+\.\d\d an hour \(.+ in .+\)/);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 300_000);
});
