/**
 * What a deployment is made of, in the words of those who have to agree to it: policies read it from the inputs of the
 * `DynamoCluster` and `SkyCluster` resources, so its fields are an interface. No secret is in it.
 */
import { z } from "zod";
import type { DeploymentConfig } from "./config";
import { type DeploymentCost, gpusOf } from "./cost";
import { type ClusterPlan, type DeploymentPlan, PROGRAM_ROLES, WORKER_ROLES } from "./types";

/** One cluster, as a policy sees it. */
export const clusterInventorySchema = z.object({
  /** Short name in the plan: `main`, `control`, `decode-0`. */
  name: z.string(),
  nodes: z.number(),
  /** GPUs that are rented, used or not; 0 on this machine. */
  gpus: z.number(),
  /** SkyPilot's name of the GPUs; absent where there are none. */
  accelerator: z.string().optional(),
  /** Whether its nodes can be taken away at any time. */
  spot: z.boolean(),
  /** What runs on it. */
  roles: z.array(z.enum(PROGRAM_ROLES)),
  /** Minutes of idleness after which it goes away; absent if never. */
  autostopMinutes: z.number().optional(),
  /** Labels of the cloud's resources. */
  labels: z.record(z.string(), z.string()),
});
export type ClusterInventory = z.output<typeof clusterInventorySchema>;

/** A deployment, as a policy sees it. */
export const inventorySchema = z.object({
  target: z.enum(["local", "sky"]),
  model: z.string(),
  engine: z.string(),
  /** GPUs that are rented, of all clusters. */
  gpus: z.number(),
  /** US dollars an hour as expected, as the stack output `cost` has it; null where that is not known. */
  dollarsPerHour: z.number().nullable(),
  /** The same where SkyPilot has to take the dearest machines that it may take. */
  mostDollarsPerHour: z.number().nullable(),
  endpoint: z.object({
    /** Whether its port is opened to the internet. */
    public: z.boolean(),
    /** Whether it asks for a key. */
    key: z.boolean(),
    /** Whether it speaks HTTPS. */
    tls: z.boolean(),
  }),
  clusters: z.array(clusterInventorySchema),
});
export type Inventory = z.output<typeof inventorySchema>;

/** What a deployment is made of. */
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

/** One cluster of it. */
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
    spot: isRented && usesSpot(config, cluster),
    roles: PROGRAM_ROLES.filter((role) => running.has(role)),
    ...(isRented && autostopMinutes !== undefined ? { autostopMinutes } : {}),
    labels: isRented ? labels : {},
  };
}

/** Whether a cluster's nodes are spot instances: a cluster of its own for control plane and endpoint never is, or each loss would end all. */
export function usesSpot(config: DeploymentConfig, cluster: ClusterPlan): boolean {
  const workers: readonly string[] = WORKER_ROLES;
  return (
    config.sky.useSpot &&
    cluster.nodes.some(({ programs }) => programs.some(({ role }) => workers.includes(role)))
  );
}
