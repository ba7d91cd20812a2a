/**
 * The policy pack: applies the rules to the resources that describe a deployment, before any of it is
 * created.
 */
import { PolicyPack, type ResourceValidation, type ResourceValidationArgs } from "@pulumi/policy";
import {
  type ClusterInventory,
  clusterInventorySchema,
  type Inventory,
  inventorySchema,
} from "../../plan/inventory";
import { DEPLOYMENT_TYPE } from "../../plan/outputs";
import {
  autostopOrOwner,
  gpuCeiling,
  priceCeiling,
  publicEndpoint,
  spotOnlyForWorkers,
  UNKNOWN_PRICE,
  type UnknownPrice,
} from "./rules";

const CLUSTER = "dynamo-sky:index:SkyCluster";

const isRented = ({ type }: ResourceValidationArgs): boolean => type === CLUSTER;

/** A rule for a whole deployment. */
function aboutDeployment(
  rule: (inventory: Inventory, args: ResourceValidationArgs) => string[],
): ResourceValidation {
  return (args, report) => {
    // Ignores other resources: their unknown values must not keep a policy from running.
    if (args.type !== DEPLOYMENT_TYPE) return;
    for (const problem of rule(inventorySchema.parse(args.props), args)) report(problem);
  };
}

/** A rule for each rented cluster: those of a deployment before it is created, and standalone ones. */
function aboutCluster(
  rule: (cluster: ClusterInventory, args: ResourceValidationArgs) => string[],
): ResourceValidation {
  return (args, report) => {
    const clusters =
      args.type === DEPLOYMENT_TYPE
        ? clustersOf(inventorySchema.parse(args.props))
        : isRented(args) && args.opts.parent?.includes(DEPLOYMENT_TYPE) !== true
          ? [clusterInventorySchema.parse(args.props)]
          : [];
    for (const problem of clusters.flatMap((cluster) => rule(cluster, args))) report(problem);
  };
}

function clustersOf({ target, clusters }: Inventory): ClusterInventory[] {
  return target === "local" ? [] : clusters;
}

new PolicyPack("dynamo-sky", {
  enforcementLevel: "mandatory",
  policies: [
    {
      name: "public-endpoint",
      description: "An endpoint that is open to the internet asks for a key and speaks HTTPS.",
      validateResource: aboutDeployment(publicEndpoint),
    },
    {
      name: "gpu-ceiling",
      description: "A deployment rents at most maxGpus GPUs.",
      configSchema: { properties: { maxGpus: { type: "integer", minimum: 0, default: 32 } } },
      validateResource: aboutDeployment((inventory, args) =>
        gpuCeiling(inventory, args.getConfig<{ maxGpus: number }>().maxGpus),
      ),
    },
    {
      name: "price-ceiling",
      description: "A deployment costs at most maxDollarsPerHour US dollars an hour.",
      configSchema: {
        properties: {
          maxDollarsPerHour: { type: "number", minimum: 0, default: 250 },
          unknownPrice: { type: "string", enum: [...UNKNOWN_PRICE], default: "allow" },
        },
      },
      validateResource: aboutDeployment((inventory, args) => {
        const limits = args.getConfig<{ maxDollarsPerHour: number; unknownPrice: UnknownPrice }>();
        return priceCeiling(inventory, limits.maxDollarsPerHour, limits.unknownPrice);
      }),
    },
    {
      name: "spot-only-for-workers",
      description: "Control plane and endpoint are not on instances that can be taken away.",
      validateResource: aboutCluster(spotOnlyForWorkers),
    },
    {
      name: "autostop-or-owner",
      description: "Every cluster stops by itself, or says whose it is.",
      configSchema: { properties: { ownerLabel: { type: "string", minLength: 1, default: "owner" } } },
      validateResource: aboutCluster((cluster, args) =>
        autostopOrOwner(cluster, args.getConfig<{ ownerLabel: string }>().ownerLabel),
      ),
    },
  ],
});
