/**
 * `sky.image`: images of a cloud's machines by region, and what SkyPilot would refuse of them at a launch.
 */
import { describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { textOfTask } from "../runtime";
import { messageOf } from "./configMessages";

const REGIONS = { "us-east-1": "ami-0a1", "us-west-2": "ami-0b2" };
const TP16 = [{ role: "aggregated", tensorParallel: 16 }] as const;

/** The task's resources and configuration. */
function resourcesOf(sky: ConfigInput["sky"]): Readonly<Record<string, unknown>> {
  const config = parseConfig({
    model: "Qwen/Qwen3-8B",
    cluster: { nodes: 2 },
    pools: [...TP16],
    ...(sky === undefined ? {} : { sky }),
  });
  const [cluster] = plan(config, { discovery: "etcd", events: "nats" }).clusters;
  if (cluster === undefined) throw new Error("no cluster");
  const { resources, config: own } = parse(textOfTask({ cluster, config }));
  return { ...resources, options: own?.docker?.run_options };
}

describe("images by region", () => {
  it("reach SkyPilot as they are", () => {
    expect(resourcesOf({ infra: "aws", image: REGIONS })).toMatchObject({ infra: "aws", image_id: REGIONS });
    const two = resourcesOf({ infra: ["aws/us-east-1", "aws/us-west-2/us-west-2a"], image: REGIONS });
    expect(two["image_id"]).toEqual(REGIONS);
  });

  it("go beside a container, which then runs as root", () => {
    const image = { ...REGIONS, docker: "docker:registry.example.com/mine:1" };
    const { image_id, options } = resourcesOf({ infra: "aws", image });
    expect(image_id).toEqual(image);
    expect(options).toContain("--user=0");
    expect(resourcesOf({ infra: "aws", image: REGIONS })["options"]).toBeUndefined();
  });

  it("are asked for without RDMA where SkyPilot would refuse the two together", () => {
    const tier = (sky: ConfigInput["sky"]) => resourcesOf(sky)["network_tier"];
    expect(tier({ infra: "aws" })).toBe("best");
    expect(tier({ infra: "aws", image: REGIONS })).toBeUndefined();
    expect(tier({ infra: "aws/us-east-1", image: "ami-0a1" })).toBeUndefined();
    expect(tier({ infra: "gcp", image: "projects/mine/global/images/cuda" })).toBe("best");
    expect(tier({ infra: "aws", image: "docker:registry.example.com/mine:1" })).toBe("best");
  });
});

const CLOUD = "Set that to the image's cloud alone, or use a container (docker:…).";
const AT = "dynamo-sky:sky.image";

test.each<readonly [title: string, sky: ConfigInput["sky"], message: string]>([
  [
    "without a cloud",
    { image: REGIONS },
    `${AT}: "ami-0a1" is an image of a cloud's machines, and sky.infra is empty. ${CLOUD}`,
  ],
  [
    "with two clouds",
    { infra: ["aws/us-east-1", "gcp"], image: "ami-0a1" },
    `${AT}: "ami-0a1" is an image of a cloud's machines, and sky.infra has aws/us-east-1, gcp. ${CLOUD}`,
  ],
  [
    "in a pod",
    { infra: "k8s", image: REGIONS },
    `${AT}: "ami-0a1" is an image of a cloud's machines, and sky.infra has k8s. ${CLOUD}`,
  ],
  [
    "of one region of AWS in any",
    { infra: ["aws/us-east-1", "aws"], image: "ami-0a1" },
    `${AT}: "ami-0a1" is of one region of AWS, and sky.infra has "aws", any of them. Name the region there (aws/us-east-1), or write the image of each region: { us-east-1: ami-…, us-west-2: ami-… }.`,
  ],
  [
    "for other regions",
    { infra: ["aws/us-east-1", "aws/eu-west-1"], image: REGIONS },
    `${AT}: has no image for aws/eu-west-1, but for the regions us-east-1, us-west-2. Add it, or take the place out of sky.infra.`,
  ],
  [
    "that are containers",
    { infra: "aws", image: { "us-east-1": "docker:mine/one:1" } },
    `${AT}.us-east-1: "docker:mine/one:1" is a container, which is the same in every region. Write it in the place of the regions, or under docker beside images of the machines.`,
  ],
  [
    "of a registry",
    { infra: "aws", image: { "us-east-1": "nvcr.io/mine/one:1" } },
    `${AT}.us-east-1: "nvcr.io/mine/one:1" is taken for an image of the cloud's machines. Write docker:nvcr.io/mine/one:1 for a container, in the place of the regions.`,
  ],
  [
    "with RDMA",
    { infra: "aws", image: REGIONS, networkTier: "best" },
    'dynamo-sky:sky.networkTier: "best" does not go with the machine image "ami-0a1" on aws: SkyPilot takes its own there, with what RDMA needs. Use a container (docker:…), or remove one of the two.',
  ],
  [
    "where SkyPilot takes none",
    { infra: "lambda", image: { "us-east-1": "mine" } },
    `${AT}: asks "lambda" for the machine image "mine", which SkyPilot cannot do on lambda. Remove sky.image, or name a container's image (docker:…).`,
  ],
  [
    "that are none",
    { infra: "aws", image: {} },
    `${AT}: {} is not an image. Allowed: what SkyPilot's \`image_id\` takes, such as docker:ubuntu:24.04, or images of a cloud's machines by region, such as { us-east-1: ami-0123, us-west-2: ami-4567 }.`,
  ],
])("images are refused %s", (_, sky, message) => {
  expect(messageOf({ pools: [{ role: "aggregated", tensorParallel: 8 }], sky })).toBe(message);
});

it.each<NonNullable<ConfigInput["sky"]>>([
  { infra: "aws", image: "skypilot:gpu-ubuntu-2204" },
  { infra: ["aws", "gcp"], image: "skypilot:gpu-ubuntu-2204" },
  { infra: "gcp", image: "projects/mine/global/images/cuda", networkTier: "best" },
  { infra: "k8s", image: "registry.example.com/mine:1" },
  { infra: "k8s", image: { docker: "registry.example.com/mine:1" } },
  { infra: "azure", image: { eastus: "/CommunityGalleries/x/Images/y" } },
])("images that are taken: %j", (sky) => {
  const pools = [{ role: "aggregated" as const, tensorParallel: 8 }];
  expect(() => parseConfig({ model: "Qwen/Qwen3-8B", pools, sky })).not.toThrow();
});
