/** Requested machines that no configured cloud has, from SkyPilot's catalogs. Pure. */
import type { DeploymentConfig } from "../config/deployment";
import { gpusPerReplica } from "../config/pools";
import type { Problem, SettingPath } from "../config/problems";
import { listed, show } from "../config/values";
import { uniqueBy } from "../lib/uniqueBy";
import { inWords } from "../lib/words";
import type { ClusterPrice } from "./cost";
import type { ClusterPlan } from "./types";

/** Causes that are settings of `sky` with the same name. */
const OF_SKY = [
  "useSpot",
  "instanceType",
  "cpus",
  "memory",
  "maxHourlyCost",
  "networkTier",
  "diskTier",
] as const;

/**
 * Which request no machine of a catalog meets; `several` if no single one is the cause, `infra` if the region
 * or zone does not exist.
 */
export const MISSED = ["accelerator", "count", ...OF_SKY, "place", "infra", "several"] as const;
type Missed = (typeof MISSED)[number];

/** Why one infra has no such machine (`sky/machines.py`). */
export interface Miss {
  /** As in the configuration. */
  readonly infra: string;
  readonly cause: Missed;
  /** The values that the infra has. */
  readonly allowed: readonly string[];
  /** Other requests that could be changed instead. */
  readonly instead: readonly Missed[];
}

/**
 * Every reason why a cluster can never be launched, each once. None if SkyPilot was not asked, or if it has
 * no catalog of an infra (Kubernetes, Slurm, machines by ssh).
 *
 * @param priceOf SkyPilot's answer about a cluster; undefined if it was not asked.
 */
export function machineProblems(
  config: DeploymentConfig,
  clusters: readonly ClusterPlan[],
  priceOf: (cluster: ClusterPlan) => ClusterPrice | undefined,
): Problem[] {
  const problems = clusters.flatMap((cluster): Problem[] => {
    const { misses = [], refused } = priceOf(cluster) ?? {};
    if (typeof refused === "string") return [refusedProblem(refused)];
    const [first] = misses;
    return first === undefined ? [] : [problemOf(config, cluster, first, misses)];
  });
  return uniqueBy(problems, (problem) => JSON.stringify(problem));
}

/**
 * SkyPilot's own check of a task: `Invalid task YAML: 'yes' is not of type 'boolean'. Check problematic
 * field(s): $.config.gcp.enable_gpu_direct`. Of the task only `config` is the user's as it is.
 */
function refusedProblem(refused: string): Problem {
  const [, field = ""] = /field\(s\): \$\.config\.(\S+)/.exec(refused) ?? [];
  const why = refused.replace(/^Invalid task YAML: /, "").replace(/\.? Check problematic field.*$/, "");
  const path = ["sky", "config", ...field.split(".").filter((part) => part !== "")];
  const message = `SkyPilot does not take it: ${why.replace(/\.$/, "")}. Allowed: what https://docs.skypilot.co/en/latest/reference/config.html has.`;
  return { path, message };
}

function problemOf(
  config: DeploymentConfig,
  cluster: ClusterPlan,
  first: Miss,
  misses: readonly Miss[],
): Problem {
  const path = pathOf(config, cluster, first.cause);
  // An infra is asked twice where a spot instance may be on demand instead.
  const there = [...new Set(misses.map((miss) => whatThereIs(miss, cluster)))].join("; ");
  const missed = misses.flatMap(({ cause, instead }) => [cause, ...instead]);
  // If the number of GPUs is the cause, another accelerator may have it.
  const remedies = new Set(
    missed.flatMap((one): Missed[] => (one === "count" ? ["count", "accelerator"] : [one])),
  );
  const ways = [...remedies].map((one) => REMEDIES[one](config));
  const message = `${show(valueAt(config, path))} cannot be had: SkyPilot's catalog has no machine with ${wanted(config, cluster)}. ${there}. ${inWords(ways)}.`;
  return { path, message };
}

/** The request in SkyPilot's notation: `A10G:8, spot, 32+ CPUs in aws/us-east-1`. */
function wanted(config: DeploymentConfig, cluster: ClusterPlan): string {
  const { cpus, memory, instanceType, infra, maxHourlyCost } = config.sky;
  const parts = [
    cluster.accelerator === undefined ? undefined : `${cluster.accelerator}:${gpusOfNode(cluster)}`,
    instanceType === undefined ? undefined : `the instance type ${instanceType}`,
    cpus === undefined ? undefined : `${cpus} CPUs`,
    memory === undefined ? undefined : `${memory}${/[A-Za-z]/.test(memory) ? "" : " GB"} of memory`,
    cluster.spot === undefined ? undefined : "spot instances",
    maxHourlyCost === undefined ? undefined : `at most $${maxHourlyCost} an hour`,
  ];
  return `${parts.filter((part) => part !== undefined).join(", ") || "what is asked for"} in ${infra.join(", ")}`;
}

function gpusOfNode({ nodes }: ClusterPlan): number {
  return nodes[0]?.gpus ?? 0;
}

function whatThereIs({ infra, cause, allowed }: Miss, { accelerator = "GPUs" }: ClusterPlan): string {
  const all = listed(allowed);
  switch (cause) {
    case "accelerator":
      return `${infra} has no ${accelerator}, but: ${all || "no accelerators"}`;
    case "count":
      return all === ""
        ? `${infra} has no ${accelerator}`
        : `${infra} has machines with ${all} ${accelerator}`;
    case "useSpot":
      return `${infra} has it only on demand`;
    case "cpus":
      return `${infra} has it with ${all || "other numbers of"} CPUs`;
    case "memory":
      return `${infra} has it with ${all || "another amount of"} GB of memory`;
    case "maxHourlyCost":
      return all === "" ? `${infra} has it without a price` : `${infra} has it from $${all} an hour`;
    case "instanceType":
      return `${infra} has it as ${all}`;
    case "place":
      return `${infra} has none, but: ${all}`;
    case "infra":
      return `There is no ${infra}${all === "" ? "" : `, but: ${all}`}`;
    case "networkTier":
    case "diskTier":
      return `${infra} has it without that`;
    case "several":
      return `${infra} has nothing like it`;
  }
}

/** The remedy for each. */
const REMEDIES: Readonly<Record<Missed, (config: DeploymentConfig) => string>> = {
  accelerator: () => "use another accelerator or sky.infra",
  count: ({ placement }) =>
    placement === "dedicated"
      ? "use one of these numbers (cluster.gpusPerNode, or what a replica takes)"
      : "set cluster.gpusPerNode to one of these numbers",
  useSpot: ({ placement }) =>
    placement === "dedicated"
      ? "let it be on demand where there is none (spot.fallback of its pool)"
      : "set sky.useSpot to false",
  instanceType: () => "remove sky.instanceType",
  cpus: () => 'give sky.cpus another number, or one with + ("32+")',
  memory: () => 'give sky.memory another number, or one with + ("256+")',
  maxHourlyCost: () => "raise sky.maxHourlyCost",
  networkTier: () => "remove sky.networkTier",
  diskTier: () => "remove sky.diskTier",
  place: () => "name another region or zone in sky.infra, or none",
  infra: () => "correct sky.infra",
  several: () => "ask for less at once, or for another infra",
};

function pathOf(config: DeploymentConfig, cluster: ClusterPlan, cause: Missed): SettingPath {
  if (cause === "useSpot") {
    const own = config.pools[poolOf(config, cluster)]?.spot.use;
    if (own === true) return ["pools", poolOf(config, cluster), "spot", "use"];
  }
  if (OF_SKY.some((one) => one === cause)) return ["sky", cause];
  if (cluster.accelerator === undefined || cause === "place" || cause === "infra") return ["sky", "infra"];
  const pool = poolOf(config, cluster);
  const { placement, cluster: nodes } = config;
  if (cause === "count") {
    const isWhole = placement === "shared" || gpusOfNode(cluster) === nodes.gpusPerNode || pool < 0;
    return isWhole ? ["cluster", "gpusPerNode"] : ["pools", pool, "tensorParallel"];
  }
  return config.pools[pool]?.accelerator === undefined
    ? ["cluster", "accelerator"]
    : ["pools", pool, "accelerator"];
}

/** Index of the pool whose replica has the cluster to itself; -1 if pools share the cluster. */
function poolOf(
  { placement, pools, cluster: { accelerator, gpusPerNode } }: DeploymentConfig,
  cluster: ClusterPlan,
): number {
  if (placement === "shared") return -1;
  return pools.findIndex(
    (pool) =>
      (pool.accelerator ?? accelerator) === cluster.accelerator &&
      Math.min(gpusPerReplica(pool), gpusPerNode) === gpusOfNode(cluster),
  );
}

/** The value as users write it: a list of one infra as that infra. */
function valueAt(config: DeploymentConfig, path: SettingPath): unknown {
  const value = path.reduce<unknown>(
    (value, key) => (value as Readonly<Record<string | number, unknown>> | undefined)?.[key],
    config,
  );
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}
