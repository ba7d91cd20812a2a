/** The rules, as plain functions: what is wrong with a deployment, each as one message; empty where nothing is. */
import type { ClusterInventory, Inventory } from "../../plan/inventory";
import { WORKER_ROLES } from "../../plan/types";

/** Whoever reaches the port from the internet must show a key, and the key must not travel in the clear. */
export function publicEndpoint({ endpoint }: Inventory): string[] {
  if (!endpoint.public) return [];
  const key = endpoint.key ? [] : ["asks for no key: set dynamo-sky:access.gateway to true"];
  const tls = endpoint.tls ? [] : ["speaks plain HTTP: set dynamo-sky:access.tls.mode to generated or own"];
  return [...key, ...tls].map(
    (problem) =>
      `The endpoint is open to the internet (dynamo-sky:sky.openEndpoint) and ${problem}, or do not open it.`,
  );
}

/** At most so many rented GPUs. */
export function gpuCeiling({ gpus }: Inventory, maxGpus: number): string[] {
  if (gpus <= maxGpus) return [];
  return [
    `The deployment rents ${gpus} GPUs; allowed are ${maxGpus}. Take fewer (dynamo-sky:cluster, dynamo-sky:pools), or raise maxGpus of this policy.`,
  ];
}

/** How a price that nobody knows is taken: Slurm, an owned Kubernetes cluster, a GPU that is in no catalogue. */
export const UNKNOWN_PRICE = ["allow", "refuse"] as const;
export type UnknownPrice = (typeof UNKNOWN_PRICE)[number];

/** At most so many US dollars an hour, also where SkyPilot has to take the dearest machines that it may take. */
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

/** A spot node can be taken away at any time: a lost worker is started again, a lost control plane ends the service. */
export function spotOnlyForWorkers({ name, spot, roles }: ClusterInventory): string[] {
  const workers: readonly string[] = WORKER_ROLES;
  const others = roles.filter((role) => !workers.includes(role));
  if (!spot || others.length === 0) return [];
  return [
    `Cluster ${name} is on spot instances and runs ${others.join(", ")}. Set dynamo-sky:placement to dedicated, which keeps them on a cluster of their own, or dynamo-sky:sky.useSpot to false.`,
  ];
}

/** Somebody can be asked about a cluster, or it goes away by itself. */
export function autostopOrOwner(
  { name, autostopMinutes, labels }: ClusterInventory,
  ownerLabel: string,
): string[] {
  if (autostopMinutes !== undefined || (labels[ownerLabel] ?? "").trim() !== "") return [];
  return [
    `Cluster ${name} neither stops by itself nor has an owner. Set dynamo-sky:sky.labels.${ownerLabel}, or dynamo-sky:sky.autostopMinutes.`,
  ];
}
