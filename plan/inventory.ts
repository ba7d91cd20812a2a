/**
 * Summary of a deployment for policies: they read it from the inputs of the `DynamoCluster` and `SkyCluster`
 * resources, so its fields are a public interface. Holds no secret.
 */

import { z } from "zod";
import type { DeploymentConfig } from "../config/deployment";
import { type DeploymentCost, gpusOf } from "./cost";
import { type ClusterPlan, type DeploymentPlan, PROGRAM_ROLES } from "./types";

/** One cluster, for policies. */
export const clusterInventorySchema = z.object({
  /** Short name in the plan: `main`, `control`, `decode-0`. */
  name: z.string(),
  nodes: z.number(),
  /** Rented GPUs, used or not; 0 on this machine. */
  gpus: z.number(),
  /** SkyPilot's name of the GPUs; absent if there are none. */
  accelerator: z.string().optional(),
  /** Whether its nodes are spot instances, or may be. */
  spot: z.boolean(),
  /** Roles of its programs. */
  roles: z.array(z.enum(PROGRAM_ROLES)),
  /** Minutes of idleness before it is stopped; absent if never. */
  autostopMinutes: z.number().optional(),
  /** Labels of the cloud's resources. */
  labels: z.record(z.string(), z.string()),
});
export type ClusterInventory = z.output<typeof clusterInventorySchema>;

/** A deployment, for policies. */
export const inventorySchema = z.object({
  target: z.enum(["local", "sky"]),
  model: z.string(),
  engine: z.string(),
  /** Rented GPUs of all clusters. */
  gpus: z.number(),
  /** Expected US dollars an hour, as in the stack output `cost`; null if unknown. */
  dollarsPerHour: z.number().nullable(),
  /** The same with the most expensive machines that SkyPilot may choose. */
  mostDollarsPerHour: z.number().nullable(),
  endpoint: z.object({
    /** Whether its port is open to the internet. */
    public: z.boolean(),
    /** Whether it requires a key. */
    key: z.boolean(),
    /** Whether it uses HTTPS. */
    tls: z.boolean(),
  }),
  clusters: z.array(clusterInventorySchema),
});
export type Inventory = z.output<typeof inventorySchema>;

/** The inventory of a deployment. */
export function inventoryOf(
  config: DeploymentConfig,
  plan: DeploymentPlan,
  { dollarsPerHour, mostDollarsPerHour }: Pick<DeploymentCost, "dollarsPerHour" | "mostDollarsPerHour">,
): Inventory {
  const clusters = plan.clusters.map((cluster) => clusterInventory(config, cluster));
  return {
    target: config.target,
    model: plan.model,
    engine: plan.engine,
    gpus: clusters.reduce((total, { gpus }) => total + gpus, 0),
    dollarsPerHour,
    mostDollarsPerHour,
    endpoint: {
      public: config.target === "sky" && config.sky.openEndpoint,
      key: config.access.gateway,
      tls: config.access.gateway && config.access.tls.mode !== "off",
    },
    clusters,
  };
}

/** The inventory of one cluster. */
export function clusterInventory(config: DeploymentConfig, cluster: ClusterPlan): ClusterInventory {
  const isRented = config.target === "sky";
  const { accelerator, name, nodes } = cluster;
  const running = new Set(nodes.flatMap(({ programs }) => programs.map(({ role }) => role)));
  const { autostopMinutes, labels } = config.sky;
  return {
    name,
    nodes: nodes.length,
    gpus: isRented ? gpusOf(cluster) : 0,
    ...(accelerator === undefined ? {} : { accelerator }),
    spot: isRented && cluster.spot !== undefined,
    roles: PROGRAM_ROLES.filter((role) => running.has(role)),
    ...(isRented && autostopMinutes !== undefined ? { autostopMinutes } : {}),
    labels: isRented ? labels : {},
  };
}
