/**
 * The policy pack under the real Pulumi engine: each rule rejects, and accepts, before anything is created.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Violation } from "../../cli/pulumi/events";
import type { OpenStack, OperationResult } from "../../cli/pulumi/openStack";
import { OperationFailed } from "../../cli/pulumi/problem";
import type { DynamoClusterArgs } from "../../components";
import { COMPONENTS, REPOSITORY, type TestProject, testProject } from "./programHarness";

const directory = join(REPOSITORY, "observability/policy");
const workers = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] } as const;
const owned = { labels: { owner: "team-a" } };
const spot = { ...owned, useSpot: true };
const several = { ...workers, pools: [{ role: "aggregated", replicas: 2 }], placement: "dedicated" } as const;

/** Deployments by name, all in one preview. */
const deployments: Readonly<Record<string, DynamoClusterArgs>> = {
  good: { ...workers, sky: owned },
  stops: { ...workers, sky: { autostopMinutes: 30 } },
  nobodys: { ...workers, sky: {} },
  local: { target: "local", engine: "mocker", model: workers.model, pools: [{ role: "aggregated" }] },
  open: { ...workers, access: { gateway: true }, sky: { ...owned, openEndpoint: true } },
  plain: {
    ...workers,
    access: { gateway: true, tls: { mode: "off" }, allowPlainHttp: true },
    sky: { ...owned, openEndpoint: true },
  },
  large: {
    ...workers,
    cluster: { nodes: 5 },
    pools: [{ role: "aggregated", replicas: 40 }],
    sky: owned,
  },
  "spot-shared": { ...workers, sky: spot },
  "spot-workers": { ...several, sky: spot },
};

let project: TestProject;
let stack: OpenStack;

beforeAll(async () => {
  project = testProject("policies", PROGRAM);
  project.configure("all", {});
  stack = await project.open("all");
});

afterAll(() => project.remove());

/** Creates all of them in one program. */
const PROGRAM = `${COMPONENTS}
module.exports = async () => {
  for (const [name, args] of Object.entries(${JSON.stringify(deployments)})) new DynamoCluster(name, args);
};
`;

async function violations(config?: unknown): Promise<readonly Violation[]> {
  const configFile = config === undefined ? undefined : join(project.directory, "policies.json");
  if (configFile !== undefined) writeFileSync(configFile, JSON.stringify(config));
  const result = await stack
    .preview({ policyPacks: [{ directory, configFile }] })
    .catch((error: unknown): Pick<OperationResult, "violations"> => {
      if (error instanceof OperationFailed && error.observed !== undefined) return error.observed;
      throw error;
    });
  return result.violations;
}

describe("the policy pack under the real engine", () => {
  let found: readonly Violation[];
  const about = (name: string) =>
    found.filter(({ resource }) => resource === name).map(({ policy }) => policy);

  beforeAll(async () => {
    found = await violations();
  });

  test.each(["good", "stops", "local", "open", "spot-workers"])("allows %s", (name) => {
    expect(about(name)).toEqual([]);
  });

  test.each([
    ["nobodys", "autostop-or-owner"],
    ["plain", "public-endpoint"],
    ["large", "gpu-ceiling"],
    ["spot-shared", "spot-only-for-workers"],
  ])("refuses %s by %s and by nothing else", (name, policy) => {
    expect(about(name)).toEqual([policy]);
  });

  test("ends the preview, and says what to do", async () => {
    expect(found.every(({ level }) => level === "mandatory")).toBe(true);
    const [owner] = found.filter(({ policy }) => policy === "autostop-or-owner");
    expect(owner?.message).toBe(
      "Cluster main neither stops by itself nor has an owner. Set dynamo-sky:sky.labels.owner, or dynamo-sky:sky.autostopMinutes.",
    );
    expect(project.lines.join("\n")).toContain("The deployment rents 40 GPUs");
  });

  test("says of nothing that it could not be checked", () => {
    expect(found.filter(({ message }) => message.includes("can't run policy"))).toEqual([]);
  });

  test("keeps to the settings that it is given", async () => {
    found = await violations({
      "gpu-ceiling": { maxGpus: 40 },
      "price-ceiling": { maxDollarsPerHour: 100, unknownPrice: "refuse" },
      "autostop-or-owner": { enforcementLevel: "disabled" },
      "public-endpoint": "advisory",
    });
    expect(about("large")).toEqual(["price-ceiling"]);
    expect(about("nobodys")).toEqual(["price-ceiling"]);
    expect(about("local")).toEqual([]);
    const plain = found.filter(({ resource }) => resource === "plain");
    expect(Object.fromEntries(plain.map(({ policy, level }) => [policy, level]))).toEqual({
      "price-ceiling": "mandatory",
      "public-endpoint": "advisory",
    });
  });
});
