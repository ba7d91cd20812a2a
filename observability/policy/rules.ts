/** The rules, as plain functions: one message for each violation; empty if there is none. */
import type { ClusterInventory, Inventory } from "../../plan/inventory";
import { WORKER_ROLES } from "../../plan/types";

/** A port that is open to the internet requires a key, and TLS to protect it. */
export function publicEndpoint({ endpoint }: Inventory): string[] {
  if (!endpoint.public) return [];
  const key = endpoint.key ? [] : ["asks for no key: set dynamo-sky:access.gateway to true"];
  const tls = endpoint.tls ? [] : ["speaks plain HTTP: set dynamo-sky:access.tls.mode to generated or own"];
  return [...key, ...tls].map(
    (problem) =>
      `The endpoint is open to the internet (dynamo-sky:sky.openEndpoint) and ${problem}, or do not open it.`,
  );
}

/** Maximum number of rented GPUs. */
export function gpuCeiling({ gpus }: Inventory, maxGpus: number): string[] {
  if (gpus <= maxGpus) return [];
  return [
    `The deployment rents ${gpus} GPUs; allowed are ${maxGpus}. Take fewer (dynamo-sky:cluster, dynamo-sky:pools), or raise maxGpus of this policy.`,
  ];
}

/** How to treat an unknown price: Slurm, your own Kubernetes cluster, a GPU that is in no catalogue. */
export const UNKNOWN_PRICE = ["allow", "refuse"] as const;
export type UnknownPrice = (typeof UNKNOWN_PRICE)[number];

/** Maximum price in US dollars an hour, including the most expensive machines that SkyPilot may choose. */
export function priceCeiling(
  { target, dollarsPerHour, mostDollarsPerHour }: Inventory,
  maxDollarsPerHour: number,
  unknownPrice: UnknownPrice,
): string[] {
  if (target === "local") return [];
  const known = mostDollarsPerHour ?? dollarsPerHour;
  if (known !== null && known > maxDollarsPerHour) {
    return [
      `The deployment may cost $${known.toFixed(2)} an hour; allowed are $${maxDollarsPerHour}. Take fewer or cheaper GPUs (dynamo-sky:cluster, dynamo-sky:sky), or raise maxDollarsPerHour of this policy.`,
    ];
  }
  if (mostDollarsPerHour !== null || unknownPrice === "allow") return [];
  return [
    `Nobody knows what the deployment may cost; allowed are $${maxDollarsPerHour} an hour. Name an infra that has a price (dynamo-sky:sky.infra), or set unknownPrice of this policy to allow.`,
  ];
}

/**
 * A spot node can be preempted at any time: a lost worker is restarted, a lost control plane stops the
 * service.
 */
export function spotOnlyForWorkers({ name, spot, roles }: ClusterInventory): string[] {
  const workers: readonly string[] = WORKER_ROLES;
  const others = roles.filter((role) => !workers.includes(role));
  if (!spot || others.length === 0) return [];
  return [
    `Cluster ${name} is on spot instances and runs ${others.join(", ")}. Set dynamo-sky:placement to dedicated, which keeps them on a cluster of their own, or dynamo-sky:sky.useSpot to false.`,
  ];
}

/** A cluster must have an owner label or autostop. */
export function autostopOrOwner(
  { name, autostopMinutes, labels }: ClusterInventory,
  ownerLabel: string,
): string[] {
  if (autostopMinutes !== undefined || (labels[ownerLabel] ?? "").trim() !== "") return [];
  return [
    `Cluster ${name} neither stops by itself nor has an owner. Set dynamo-sky:sky.labels.${ownerLabel}, or dynamo-sky:sky.autostopMinutes.`,
  ];
}
