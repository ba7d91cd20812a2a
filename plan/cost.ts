/** What a deployment costs, from what SkyPilot says its clusters cost. Pure. */

import { ConfigError, type Problem } from "../config/problems";
import { counted } from "../lib/words";
import type { DeploymentConfig } from "./config";
import type { Miss } from "./machines";
import type { ClusterPlan, DeploymentPlan } from "./types";

/** Machines that SkyPilot may take for a cluster. */
export interface PriceCandidate {
  /** Cloud, region, and for spot zone: `aws/us-east-1`. */
  readonly infra: string;
  readonly instanceType: string;
  /** For all nodes of the cluster; null where SkyPilot knows no price. */
  readonly dollarsPerHour: number | null;
}

/** What SkyPilot says of a cluster before it is launched. */
export interface ClusterPrice {
  /** All that a launch may end with: it takes the cheapest, and the next one where that has no capacity. */
  readonly candidates: readonly PriceCandidate[];
  /** Why there are none; null where there are some. */
  readonly problem: string | null;
  /** What the catalogs of all infras that are asked for are sure not to have. Default: there are candidates, or nobody can be sure. */
  readonly misses?: readonly Miss[];
}

/** Cost of one cluster, in US dollars an hour. */
export interface ClusterCost {
  /** Name in the plan: `main`. */
  readonly name: string;
  readonly gpus: number;
  /** Where SkyPilot is expected to find it; null where that is not known. */
  readonly infra: string | null;
  readonly instanceType: string | null;
  /** Of the cheapest machines; null where that is not known. */
  readonly dollarsPerHour: number | null;
  /** Of the dearest that SkyPilot may fall back to. */
  readonly mostDollarsPerHour: number | null;
  /** Why a price is null. */
  readonly unknown?: string;
}

/** The stack output `cost`. On target local GPUs are only numbers, and cost nothing. */
export interface DeploymentCost {
  /** GPUs of all nodes, used or not. */
  readonly gpus: number;
  /** US dollars an hour as expected: of the cheapest machines, without disks and traffic. Null where a price is not known. */
  readonly dollarsPerHour: number | null;
  /** The same where SkyPilot has to take the dearest machines that the configuration lets it take. */
  readonly mostDollarsPerHour: number | null;
  readonly clusters: readonly ClusterCost[];
}

/** GPUs of a cluster's nodes, used or not. */
export function gpusOf(cluster: ClusterPlan): number {
  return cluster.nodes.reduce((sum, { gpus }) => sum + gpus, 0);
}

/**
 * The cost of a deployment.
 * @param priceOf What SkyPilot says of a cluster; undefined where it was not asked.
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
    dollarsPerHour: cents(cheapest?.dollarsPerHour),
    mostDollarsPerHour: cents(dearest?.dollarsPerHour),
    ...(dearest === undefined ? { unknown: whyUnknown(price, unpriced) } : {}),
  };
}

function whyUnknown(price: ClusterPrice | undefined, unpriced: PriceCandidate | undefined): string {
  if (unpriced !== undefined)
    return `SkyPilot's catalog has no price of ${unpriced.instanceType} in ${unpriced.infra}`;
  return price === undefined ? "SkyPilot was not asked" : `SkyPilot says: ${price.problem ?? "nothing"}`;
}

/** Without what sums of decimals leave behind the fourth digit, beyond which no price list goes. */
function cents(dollars: number | undefined): number | null {
  return dollars === undefined ? null : Math.round(dollars * 10_000) / 10_000;
}

function total(dollars: readonly (number | null)[]): number | null {
  const known = dollars.filter((one) => one !== null);
  if (known.length < dollars.length) return null;
  return cents(known.reduce((sum, one) => sum + one, 0));
}

/** `$196.64`. */
export function inDollars(amount: number): string {
  return `$${amount.toFixed(2)}`;
}

/** One line for a person: `cost: 16 GPUs, $196.64 an hour (main: p5.48xlarge in aws/us-east-1)`. */
export function costLine({ gpus, dollarsPerHour, mostDollarsPerHour, clusters }: DeploymentCost): string {
  const count = `cost: ${counted(gpus, "GPU")}`;
  if (dollarsPerHour === null) return `${count}, price not known: ${reasons(clusters)}`;
  const places = distinct(clusters.map(({ infra, instanceType }) => placeOf(infra, instanceType)));
  const expected = `${count}, ${inDollars(dollarsPerHour)} an hour (${places.join(", ")})`;
  if (mostDollarsPerHour === null) return `${expected}; at most: not known, ${reasons(clusters)}`;
  if (mostDollarsPerHour === dollarsPerHour) return expected;
  return `${expected}, at most ${inDollars(mostDollarsPerHour)} where that has no capacity`;
}

function placeOf(infra: string | null, instanceType: string | null): string {
  return instanceType === null ? (infra ?? "") : `${instanceType} in ${infra}`;
}

function reasons(clusters: readonly ClusterCost[]): string {
  return distinct(clusters.flatMap(({ unknown }) => (unknown === undefined ? [] : [unknown]))).join("; ");
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** GPUs beyond `limits.gpus`. */
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
 * Refuses a deployment that costs, or may come to cost, more than `limits.dollarsPerHour`. What counts is the dearest that SkyPilot may
 * fall back to.
 * @throws ConfigError
 */
export function assertAffordable({ limits }: Pick<DeploymentConfig, "limits">, cost: DeploymentCost): void {
  const { dollarsPerHour: limit, allowUnknownPrice } = limits;
  if (limit === undefined) return;
  const path = ["limits", "dollarsPerHour"];
  const most = cost.mostDollarsPerHour;
  const known = most ?? knownPart(cost);
  if (known > limit) {
    const dear = cost.clusters.toSorted(
      (a, b) => (b.mostDollarsPerHour ?? 0) - (a.mostDollarsPerHour ?? 0),
    )[0];
    const expected =
      cost.dollarsPerHour !== null && cost.dollarsPerHour < known
        ? ` It is expected to cost ${inDollars(cost.dollarsPerHour)}, but SkyPilot may fall back to dearer machines: name the infra that it may use (sky.infra, such as ${dear?.infra ?? "aws/us-east-1"}).`
        : "";
    const message = `${limit} is less than the ${inDollars(known)} an hour that this deployment may cost.${expected} Ask for less (cluster, pools, sky.useSpot), or raise this.`;
    throw new ConfigError([{ path, message }]);
  }
  if (most === null && !allowUnknownPrice) {
    const message = `${limit} cannot be checked: ${reasons(cost.clusters)}. Nothing is provisioned without a price while there is a limit; set limits.allowUnknownPrice to true to accept that.`;
    throw new ConfigError([{ path, message }]);
  }
}

/** What is known of the cost: the rest comes on top. */
function knownPart({ clusters }: DeploymentCost): number {
  const parts = clusters.map((one) => one.mostDollarsPerHour ?? one.dollarsPerHour ?? 0);
  return parts.reduce((sum, one) => sum + one, 0);
}
