/** `sky.maxHourlyCost`: who chooses by it, what keeps to it, and that a change starts nothing anew. */
import { describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { assertCheapMachines, type ClusterPrice } from "../../plan/cost";
import { plan } from "../../plan/plan";
import type { ClusterPlan } from "../../plan/types";
import { launchedTask, pricedTask, taskIdentity } from "../../sky/task";
import { taskName } from "../../sky/taskName";
import { messageOf } from "./configMessages";

const SERVICES = { discovery: "etcd", events: "nats" } as const;
const NODES = 2;

function input(maxHourlyCost?: number, sky: ConfigInput["sky"] = { infra: "aws" }): ConfigInput {
  return {
    model: "Qwen/Qwen3-8B",
    cluster: { nodes: NODES },
    pools: [{ role: "aggregated", tensorParallel: 8, replicas: NODES }],
    sky: { ...sky, ...(maxHourlyCost === undefined ? {} : { maxHourlyCost }) },
  };
}

function planned(made: ConfigInput) {
  const config = parseConfig(made);
  const { clusters } = plan(config, SERVICES);
  const [cluster] = clusters;
  if (cluster === undefined) throw new Error("no cluster");
  return { config, cluster, clusters };
}

describe("the most that a machine may cost", () => {
  it("is in the task and asked for with the prices", () => {
    const made = planned(input(99.5));
    expect(launchedTask(made).resources).toMatchObject({ max_hourly_cost: 99.5 });
    expect(pricedTask(made)).toMatchObject({ resources: { max_hourly_cost: 99.5 } });
    expect(pricedTask(planned(input()))).toEqual(taskIdentity(planned(input())));
  });

  it("replaces no cluster and starts no task anew when it changes", () => {
    const [none, some, more] = [input(), input(99.5), input(120)].map(planned);
    if (none === undefined || some === undefined || more === undefined) throw new Error("no plan");
    for (const other of [some, more]) {
      expect(taskIdentity(other)).toEqual(taskIdentity(none));
      expect(taskName("c", launchedTask(other), {})).toEqual(taskName("c", launchedTask(none), {}));
    }
  });

  it.each<[unknown, string]>([
    [0, "is too small"],
    [-1, "is too small"],
    [1e-7, "is too small"],
    [1e21, "is too big"],
    ["98", "is not a number of dollars"],
  ])("is not %j", (bad, why) => {
    expect(messageOf(input(bad as number))).toContain(
      `dynamo-sky:sky.maxHourlyCost: ${JSON.stringify(bad)} ${why}. Allowed: 0.01 to 1000000.`,
    );
  });

  it.each<[string, readonly string[], string]>([
    ["Kubernetes", ["k8s"], ""],
    ["Slurm", ["aws", "slurm/hpc"], ", or take slurm/hpc out of sky.infra"],
  ])("is refused on %s, where SkyPilot drops it", (kind, infra, more) => {
    expect(messageOf(input(50, { infra: [...infra] }))).toContain(
      `dynamo-sky:sky.maxHourlyCost: asks ${JSON.stringify(infra.at(-1))} for machines of at most $50 an hour, which SkyPilot cannot do on ${kind}. Remove sky.maxHourlyCost; limits.dollarsPerHour counts there too, where SkyPilot has prices${more}.`,
    );
  });
});

describe("machines that SkyPilot may take", () => {
  const at = (infra: string, dollarsPerHour: number | null) => ({
    infra,
    instanceType: "p5.48xlarge",
    spot: false,
    dollarsPerHour,
  });
  const priced = (...candidates: ClusterPrice["candidates"]): ClusterPrice => ({ candidates, problem: null });
  const refusal = (most: number, price: ClusterPrice | undefined, limits: ConfigInput["limits"] = {}) => {
    const { config, clusters } = planned({ ...input(most), ...(limits === undefined ? {} : { limits }) });
    const priceOf = (_: ClusterPlan) => price;
    try {
      assertCheapMachines(config, clusters, priceOf);
      return undefined;
    } catch (error) {
      return String(error);
    }
  };

  it("may cost as much, each for itself", () => {
    expect(refusal(100, priced(at("aws/a", NODES * 98.32), at("aws/b", NODES * 100)))).toBeUndefined();
    // As a price list has it: more decimals than what is compared.
    for (const price of [33.3333, 3.673385, 0.38847])
      expect(refusal(price, priced(at("aws/a", NODES * price)))).toBeUndefined();
  });

  it("are refused if one of them is dearer, wherever it is in the list", () => {
    const [cheap, dear] = [at("aws/a", NODES * 98.32), at("aws/b", NODES * 117.98)];
    for (const price of [priced(cheap, dear), priced(dear, cheap)])
      expect(refusal(100, price)).toContain(
        "dynamo-sky:sky.maxHourlyCost: 100 is less than the $117.98 an hour of p5.48xlarge in aws/b, which SkyPilot may take all the same. Name the infra that it may use (sky.infra, such as aws/a), or raise this.",
      );
    expect(refusal(100, priced(dear))).toContain("Ask for other machines (cluster.accelerator, sky.infra)");
  });

  it("are refused with what they cost to the part of a cent that is too much", () => {
    expect(refusal(0.38, priced(at("aws/a", NODES * 0.384)))).toContain(
      "0.38 is less than the $0.384 an hour",
    );
  });

  it("are not said to be elsewhere where all of that place may be too dear", () => {
    const both = priced(at("gcp/a/a-1", NODES * 30), at("gcp/a", NODES * 90), at("gcp/ab/ab-1", NODES * 31));
    expect(refusal(40, both)).toContain("such as gcp/ab/ab-1");
  });

  it("are refused without a price, unless that is allowed", () => {
    const some = priced(at("aws/a", 100), at("aws/b", null));
    expect(refusal(100, some)).toContain(
      "sky.maxHourlyCost: 100 cannot be checked: SkyPilot's catalog has no price of p5.48xlarge in aws/b.",
    );
    expect(refusal(100, undefined)).toContain("cannot be checked: SkyPilot was not asked.");
    expect(refusal(100, some, { allowUnknownPrice: true })).toBeUndefined();
    expect(refusal(40, some, { allowUnknownPrice: true })).toContain("less than the $50.00 an hour");
  });
});
