/**
 * Images of a cloud's machines, one or by region, are refused where SkyPilot would refuse them at a launch.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ConfigError } from "../../config/problems";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { skyAnswer } from "./skyAnswer";

type Sky = NonNullable<ConfigInput["sky"]>;

const BY_REGION = { "us-east-1": "ami-0a1", "us-west-2": "ami-0b2" };

/** Right and wrong, with where they are asked for. */
const IMAGES: readonly Sky[] = [
  { infra: "aws/us-east-1", image: "ami-0a1" },
  { infra: "aws", image: "ami-0a1" },
  { image: "ami-0a1" },
  { infra: "aws", image: BY_REGION },
  { infra: "aws/us-west-2", image: BY_REGION },
  { infra: "aws/eu-west-1", image: BY_REGION },
  { infra: ["aws/us-east-1", "aws/eu-west-1"], image: BY_REGION },
  { infra: "aws", image: { ...BY_REGION, docker: "mine/one:1" } },
  { infra: "aws", image: { docker: "mine/one:1" } },
  { infra: "aws", image: { docker: "mine/one:1", "us-east-1": "docker:mine/two:1" } },
  { infra: "aws", image: BY_REGION, networkTier: "best" },
  { infra: "nebius", image: { "eu-north1": "computeimage-1" }, networkTier: "best" },
  { infra: "gcp", image: "projects/mine/global/images/cuda", networkTier: "best" },
  { infra: "aws", image: "docker:mine/one:1", networkTier: "best" },
  { infra: "lambda", image: { "us-east-1": "mine" } },
];

/** As the task has it. */
function asked({ infra = [], image, networkTier }: Sky): object {
  const places = [infra].flat();
  return {
    ...(places.length > 1 ? { any_of: places.map((one) => ({ infra: one })) } : {}),
    ...(places.length === 1 ? { infra: places[0] } : {}),
    image_id: image,
    ...(networkTier === undefined ? {} : { network_tier: networkTier }),
  };
}

function isRefused(sky: Sky): boolean {
  try {
    parseConfig({
      model: "Qwen/Qwen3-8B",
      pools: [{ role: "aggregated", tensorParallel: 8 }],
      sky,
    });
    return false;
  } catch (error) {
    if (error instanceof ConfigError) return true;
    throw error;
  }
}

const home = mkdtempSync(join(tmpdir(), "dsky-machine-images-"));
let refusals: readonly (string | null)[] = [];

beforeAll(async () => {
  refusals = await skyAnswer<typeof refusals>("skyMachineImages.py", IMAGES.map(asked), home);
}, 900_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

it.each(IMAGES.map((sky, index) => ({ sky, index })))("$sky", ({ sky, index }) => {
  const said = refusals[index];
  expect({ said, isRefused: isRefused(sky) }).toEqual({ said, isRefused: said !== null });
});
