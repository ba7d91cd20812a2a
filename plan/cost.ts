/** The cost of a deployment, from SkyPilot's prices of its clusters. Pure. */

import type { DeploymentConfig } from "../config/deployment";
import { ConfigError, type Problem } from "../config/problems";
import { counted } from "../lib/words";
import type { Miss } from "./machines";
import type { ClusterPlan, DeploymentPlan } from "./types";

/** Machines that SkyPilot may choose for a cluster. */
export interface PriceCandidate {
  /** Cloud, region, and for spot zone: `aws/us-east-1`. */
  readonly infra: string;
  readonly instanceType: string;
  /** Whether it is a spot instance. */
  readonly spot: boolean;
  /** For all nodes of the cluster; null if SkyPilot has no price. */
  readonly dollarsPerHour: number | null;
}

/** SkyPilot's candidates and prices of a cluster before its launch. */
export interface ClusterPrice {
  /**
   * All possible results of a launch: it tries the cheapest first, and the next one if that has no capacity.
   */
  readonly candidates: readonly PriceCandidate[];
  /** Why there are none; null if there are some. */
  readonly problem: string | null;
  /**
   * What the catalogs of all infras that are asked for are sure not to have. Default: there are candidates,
   * or nobody can be sure.
   */
  readonly misses?: readonly Miss[];
  /** Why SkyPilot does not take the task at all, in its words. Default: it does. */
  readonly refused?: string | null;
}

/** Cost of one cluster, in US dollars an hour. */
export interface ClusterCost {
  /** Name in the plan: `main`. */
  readonly name: string;
  readonly gpus: number;
  /** Where SkyPilot is expected to launch it; null if unknown. */
  readonly infra: string | null;
  readonly instanceType: string | null;
  /** Set if that is expected to be a spot instance. */
  readonly spot?: true;
  /** Price of the cheapest machines; null if unknown. */
  readonly dollarsPerHour: number | null;
  /** Price of the most expensive candidates. */
  readonly mostDollarsPerHour: number | null;
  /** Why a price is null. */
  readonly unknown?: string;
}

/** The stack output `cost`. With target local GPUs are simulated, and cost nothing. */
export interface DeploymentCost {
  /** GPUs of all nodes, used or not. */
  readonly gpus: number;
  /**
   * Expected US dollars an hour: the cheapest machines, without disks and traffic. Null if a price is
   * unknown.
   */
  readonly dollarsPerHour: number | null;
  /** The same with the most expensive machines that the configuration allows. */
  readonly mostDollarsPerHour: number | null;
  readonly clusters: readonly ClusterCost[];
}

/** GPUs of a cluster's nodes, used or not. */
export function gpusOf(cluster: ClusterPlan): number {
  return cluster.nodes.reduce((sum, { gpus }) => sum + gpus, 0);
}

/**
 * The cost of a deployment.
 * @param priceOf SkyPilot's prices of a cluster; undefined if not queried.
 */
export function costOf(
  { target }: Pick<DeploymentConfig, "target">,
  { clusters }: Pick<DeploymentPlan, "clusters">,
  priceOf: (cluster: ClusterPlan) => ClusterPrice | undefined,
): DeploymentCost {
  const costs = clusters.map((cluster) =>
    target === "local" ? freeOfCharge(cluster) : costOfCluster(cluster, priceOf(cluster)),
  );
  return {
    gpus: costs.reduce((sum, { gpus }) => sum + gpus, 0),
    dollarsPerHour: total(costs.map(({ dollarsPerHour }) => dollarsPerHour)),
    mostDollarsPerHour: total(costs.map(({ mostDollarsPerHour }) => mostDollarsPerHour)),
    clusters: costs,
  };
}

function freeOfCharge(cluster: ClusterPlan): ClusterCost {
  const { name } = cluster;
  const place = { infra: "this machine", instanceType: null };
  return { name, gpus: gpusOf(cluster), ...place, dollarsPerHour: 0, mostDollarsPerHour: 0 };
}

function costOfCluster(cluster: ClusterPlan, price: ClusterPrice | undefined): ClusterCost {
  const { name } = cluster;
  const gpus = gpusOf(cluster);
  const candidates = price?.candidates ?? [];
  const priced = candidates
    .flatMap(({ dollarsPerHour, ...rest }) => (dollarsPerHour === null ? [] : [{ ...rest, dollarsPerHour }]))
    .toSorted((a, b) => a.dollarsPerHour - b.dollarsPerHour);
  const unpriced = candidates.find(({ dollarsPerHour }) => dollarsPerHour === null);
  const [cheapest] = priced;
  const dearest = unpriced === undefined ? priced.at(-1) : undefined;
  return {
    name,
    gpus,
    infra: cheapest?.infra ?? unpriced?.infra ?? null,
    instanceType: cheapest?.instanceType ?? unpriced?.instanceType ?? null,
    ...(cheapest?.spot === true ? { spot: true } : {}),
    dollarsPerHour: roundedToCents(cheapest?.dollarsPerHour),
    mostDollarsPerHour: roundedToCents(dearest?.dollarsPerHour),
    ...(dearest === undefined ? { unknown: whyUnknown(price, unpriced) } : {}),
  };
}

function whyUnknown(price: ClusterPrice | undefined, unpriced: PriceCandidate | undefined): string {
  if (unpriced !== undefined)
    return `SkyPilot's catalog has no price of ${unpriced.instanceType} in ${unpriced.infra}`;
  return price === undefined ? "SkyPilot was not asked" : `SkyPilot says: ${price.problem ?? "nothing"}`;
}

/** Rounded to four decimals, the most in any price list, to remove floating-point noise. */
function roundedToCents(dollars: number | undefined): number | null {
  return dollars === undefined ? null : Math.round(dollars * 10_000) / 10_000;
}

function total(dollars: readonly (number | null)[]): number | null {
  const known = dollars.filter((one) => one !== null);
  if (known.length < dollars.length) return null;
  return roundedToCents(known.reduce((sum, one) => sum + one, 0));
}

/** `$196.64`; `$0.384` where cents would say another price, which a limit then compares. */
export function inDollars(amount: number): string {
  return `$${amount.toFixed(4).replace(/0{1,2}$/, "")}`;
}

/** Compared as far as prices are known: a limit that was copied from a price list is not less than that. */
function isAbove(dollars: number, limit: number): boolean {
  return (roundedToCents(dollars) ?? 0) > (roundedToCents(limit) ?? 0);
}

/** One line for users: `cost: 16 GPUs, $196.64 an hour (main: p5.48xlarge in aws/us-east-1)`. */
export function costLine({ gpus, dollarsPerHour, mostDollarsPerHour, clusters }: DeploymentCost): string {
  const count = `cost: ${counted(gpus, "GPU")}`;
  if (dollarsPerHour === null) return `${count}, price not known: ${reasons(clusters)}`;
  const places = distinct(clusters.map(placeOf));
  const expected = `${count}, ${inDollars(dollarsPerHour)} an hour (${places.join(", ")})`;
  if (mostDollarsPerHour === null) return `${expected}; at most: not known, ${reasons(clusters)}`;
  if (mostDollarsPerHour === dollarsPerHour) return expected;
  return `${expected}, at most ${inDollars(mostDollarsPerHour)} where that has no capacity`;
}

function placeOf({ infra, instanceType, spot }: ClusterCost): string {
  return instanceType === null ? (infra ?? "") : `${instanceType}${spot ? " spot" : ""} in ${infra}`;
}

function reasons(clusters: readonly ClusterCost[]): string {
  return distinct(clusters.flatMap(({ unknown }) => (unknown === undefined ? [] : [unknown]))).join("; ");
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** GPUs above `limits.gpus`. */
export function gpuLimitProblems({ limits }: DeploymentConfig, clusters: readonly ClusterPlan[]): Problem[] {
  const gpus = clusters.reduce((sum, cluster) => sum + gpusOf(cluster), 0);
  if (limits.gpus === undefined || gpus <= limits.gpus) return [];
  const parts =
    clusters.length === 1
      ? counted(clusters[0]?.nodes.length ?? 0, "node")
      : counted(clusters.length, "cluster");
  const message = `${limits.gpus} is less than the ${counted(gpus, "GPU")} that this deployment takes (${parts}). Ask for fewer (cluster, pools), or raise this to ${gpus}.`;
  return [{ path: ["limits", "gpus"], message }];
}

/**
 * Rejects a deployment that costs, or may cost, more than `limits.dollarsPerHour`, judged by the most
 * expensive candidates.
 * @throws ConfigError
 */
export function assertAffordable(
  { limits, pools }: Pick<DeploymentConfig, "limits" | "pools">,
  cost: DeploymentCost,
): void {
  const { dollarsPerHour: limit, allowUnknownPrice } = limits;
  if (limit === undefined) return;
  const path = ["limits", "dollarsPerHour"];
  const most = cost.mostDollarsPerHour;
  const known = most ?? knownPart(cost);
  if (known > limit) {
    const dear = cost.clusters.toSorted(
      (a, b) => (b.mostDollarsPerHour ?? 0) - (a.mostDollarsPerHour ?? 0),
    )[0];
    const mayFallBack = pools.some(({ spot }) => spot.fallback);
    const expected =
      cost.dollarsPerHour !== null && cost.dollarsPerHour < known
        ? ` It is expected to cost ${inDollars(cost.dollarsPerHour)}, but SkyPilot may fall back to dearer machines: name the infra that it may use (sky.infra, such as ${dear?.infra ?? "aws/us-east-1"})${mayFallBack ? ", or leave none on demand instead of spot (spot.fallback of the pools)" : ""}.`
        : "";
    const message = `${limit} is less than the ${inDollars(known)} an hour that this deployment may cost.${expected} Ask for less (cluster, pools, sky.useSpot), or raise this.`;
    throw new ConfigError([{ path, message }]);
  }
  if (most === null && !allowUnknownPrice) {
    const message = `${limit} cannot be checked: ${reasons(cost.clusters)}. Nothing is provisioned without a price while there is a limit; set limits.allowUnknownPrice to true to accept that.`;
    throw new ConfigError([{ path, message }]);
  }
}

/**
 * Rejects machines of which one may cost more than `sky.maxHourlyCost`. SkyPilot chooses by it, and takes
 * dearer ones all the same: an instance type in a dearer region than its cheapest, one that is named, and
 * on GCP any with GPUs. `get_instance_type_for_accelerator` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/catalog/gcp_catalog.py and `common.py` there
 * @param priceOf SkyPilot's prices of a cluster; undefined if not queried.
 * @throws ConfigError
 */
export function assertCheapMachines(
  { sky: { maxHourlyCost: limit, instanceType }, limits }: Pick<DeploymentConfig, "sky" | "limits">,
  clusters: readonly ClusterPlan[],
  priceOf: (cluster: ClusterPlan) => ClusterPrice | undefined,
): void {
  if (limit === undefined) return;
  const problems = clusters.flatMap((cluster): string[] => {
    const price = priceOf(cluster);
    const machines = (price?.candidates ?? []).map((one) => ({
      ...one,
      dollars: one.dollarsPerHour === null ? null : one.dollarsPerHour / cluster.nodes.length,
    }));
    const dearest = machines.toSorted((a, b) => (b.dollars ?? 0) - (a.dollars ?? 0))[0];
    if (dearest !== undefined && isAbove(dearest.dollars ?? 0, limit)) {
      const way = toCheaper(limit, cluster, instanceType, dearest, machines);
      const cost = inDollars(dearest.dollars ?? 0);
      return [
        `${limit} is less than the ${cost} an hour of ${dearest.instanceType} in ${dearest.infra}, which SkyPilot may take all the same. ${way}, or raise this.`,
      ];
    }
    const unpriced = machines.find(({ dollars }) => dollars === null);
    if (limits.allowUnknownPrice || (machines.length > 0 && unpriced === undefined)) return [];
    return [
      `${limit} cannot be checked: ${whyUnknown(price, unpriced)}. Nothing is provisioned without a price while there is a limit; set limits.allowUnknownPrice to true to accept that.`,
    ];
  });
  const path = ["sky", "maxHourlyCost"];
  if (problems.length > 0) throw new ConfigError(distinct(problems).map((message) => ({ path, message })));
}

/** A machine that SkyPilot may take. */
interface Machine extends PriceCandidate {
  /** Price of one. */
  readonly dollars: number | null;
}

/** How a deployment keeps to the limit. @param named `sky.instanceType`. */
function toCheaper(
  limit: number,
  { accelerator, spot }: ClusterPlan,
  named: string | undefined,
  dearest: Machine,
  machines: readonly Machine[],
): string {
  const dear = machines.filter(({ dollars }) => isAbove(dollars ?? 0, limit));
  const cheap = machines.find(
    ({ dollars, infra }) =>
      dollars !== null && !isAbove(dollars, limit) && !dear.some((one) => overlap(one.infra, infra)),
  );
  if (cheap !== undefined) return `Name the infra that it may use (sky.infra, such as ${cheap.infra})`;
  if (spot?.fallback && machines.some((one) => one.spot) && !dear.some((one) => one.spot))
    return "Leave none on demand instead of spot (spot.fallback of its pool)";
  if (named !== undefined && dearest.instanceType === named) return "Name another sky.instanceType, or none";
  const settings = accelerator === undefined ? "sky.cpus, sky.memory" : "cluster.accelerator";
  return `Ask for other machines (${settings}, sky.infra)`;
}

/** Whether one of two infras is in the other: a zone in its region. */
function overlap(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);
}

/** The known part of the cost: the rest is added to it. */
function knownPart({ clusters }: DeploymentCost): number {
  const parts = clusters.map((one) => one.mostDollarsPerHour ?? one.dollarsPerHour ?? 0);
  return parts.reduce((sum, one) => sum + one, 0);
}
