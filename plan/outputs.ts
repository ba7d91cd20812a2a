/**
 * What the state of a stack tells of its deployment: the outputs for users, and those of the DynamoCluster
 * itself for the commands, so that they work without the deployment's configuration, and with any program.
 */
import { z } from "zod";
import type { DeploymentConfig } from "../config/deployment";
import { TASKS } from "../config/task";
import { acceleratorOf } from "./placement";
import { PROGRAM_ROLES, WORKER_ROLES } from "./types";

/** Type of the DynamoCluster in Pulumi's state. */
export const DEPLOYMENT_TYPE = "dynamo-sky:index:DynamoCluster";

const programSchema = z.object({
  name: z.string(),
  role: z.enum(PROGRAM_ROLES),
  /** GPU indices on the node. */
  gpus: z.array(z.number()),
  /** Ports by purpose. */
  ports: z.record(z.string(), z.number()),
});

const clusterSchema = z.object({
  /** Name in the plan: `main`. */
  name: z.string(),
  /** Full name in SkyPilot or the driver. */
  cluster: z.string(),
  /** SkyPilot's name of its GPUs; absent if it has none, and on this machine. */
  accelerator: z.string().optional(),
  nodes: z.array(z.object({ rank: z.number(), programs: z.array(programSchema) })),
});

const deploymentSchema = z.object({
  /** `local`: the machine that ran `pulumi up`. `sky`: SkyPilot clusters. */
  target: z.enum(["local", "sky"]),
  /** Infras of the SkyPilot clusters, as configured; they decide which `sky` is used. */
  infra: z.array(z.string()),
  /** Dynamo namespace of the workers. */
  namespace: z.string(),
  routerMode: z.string(),
  /** What clients ask the model for. */
  task: z.enum(TASKS),
  /** Number of workers of each role that must be registered with every frontend. */
  workers: z.object({
    aggregated: z.number(),
    prefill: z.number(),
    decode: z.number(),
    // Absent from deployments created before encode workers existed.
    encode: z.number().default(0),
  }),
});

const layoutSchema = z.object({
  /** What the engines load: a name on the hub, or a path. */
  model: z.string(),
  pools: z.array(
    z.object({
      role: z.enum(WORKER_ROLES),
      replicas: z.number(),
      tensorParallel: z.number(),
      dataParallel: z.number(),
      pipelineParallel: z.number(),
      /** Absent where the engine chooses. */
      expertParallel: z.number().optional(),
      /** SkyPilot's name of its GPUs; absent on this machine. */
      accelerator: z.string().optional(),
    }),
  ),
});

const detailsSchema = z.object({
  engine: z.string(),
  /** How the model is cut. Absent in earlier versions. */
  layout: layoutSchema.optional().catch(undefined),
  deployment: deploymentSchema,
  topology: z.array(clusterSchema),
  /** Log files by program, relative to the state's directory if they are on this machine. */
  logs: z.record(z.string(), z.array(z.string())),
  /** A POSIX shell command that sends the model a request of its task. Absent in earlier versions. */
  curl: z.string().optional(),
  /** Expected price of each cluster, US dollars an hour; null if SkyPilot has no price. */
  prices: z.record(z.string(), z.number().nullable()),
});

/** A program of a running deployment. */
export type DeployedProgram = z.output<typeof programSchema>;
/** A cluster of a running deployment. */
export type DeployedCluster = z.output<typeof clusterSchema>;
/** How the model of a running deployment is cut. */
export type DeployedLayout = z.output<typeof layoutSchema>;
/** The output `deployment` of a DynamoCluster; holds no secret. */
export type DeploymentDetails = z.input<typeof detailsSchema>;

/** How the configured model is cut. */
export function deployedLayout(config: DeploymentConfig): DeployedLayout {
  const pools = config.pools.map((pool) => {
    const { role, replicas, tensorParallel, dataParallel, pipelineParallel, expertParallel } = pool;
    const accelerator = acceleratorOf(config, pool);
    return {
      ...{ role, replicas, tensorParallel, dataParallel, pipelineParallel },
      ...(expertParallel === undefined ? {} : { expertParallel }),
      ...(accelerator === undefined ? {} : { accelerator }),
    };
  });
  return { model: config.model, pools };
}

/** The output `cost`: US dollars an hour; null if a price is unknown. */
export const costSchema = z.object({
  /** GPUs of all nodes, used or not. */
  gpus: z.number(),
  /** Price of the cheapest machines. */
  dollarsPerHour: z.number().nullable(),
  /** Price of the most expensive candidates. */
  mostDollarsPerHour: z.number().nullable(),
});

/** That output. */
export function costOutput({ gpus, dollarsPerHour, mostDollarsPerHour }: z.input<typeof costSchema>) {
  return { gpus, dollarsPerHour, mostDollarsPerHour };
}

/** The output `replicas`: how many there are of pools with `maxReplicas`, by role. */
export const replicasSchema = z.partialRecord(z.enum(WORKER_ROLES), z.int().min(0));

/** Outputs of the stack that its DynamoCluster does not have, and that decide about the next update. */
export const OPERATED_OUTPUTS = ["asleep", "workersDown", "replicas", "look"] as const;

/**
 * What an operator goes by: differs after an update that takes the stack down, or brings it up, or another
 * number of replicas.
 */
export function stateMark(outputs: Readonly<Record<string, unknown>>): string {
  const replicas = replicasSchema.safeParse(outputs["replicas"]).data ?? {};
  const counts = WORKER_ROLES.map((role) => replicas[role] ?? null);
  return JSON.stringify(OPERATED_OUTPUTS.map((name) => (name === "replicas" ? counts : outputs[name])));
}

/** The outputs of both. Absent or null ones do not apply to this deployment. */
export const outputsSchema = z.object({
  /** Base URL of the OpenAI-compatible API, without `/v1`. */
  endpoint: z.string(),
  model: z.string(),
  /** The first key; secret. */
  apiKey: z.string().nullish(),
  /** All keys by name; secret. */
  apiKeys: z.record(z.string(), z.string()).nullish().catch(undefined),
  /** Commands for a person: to ask the model, to have its key, to look at it. */
  chat: z.string().optional().catch(undefined),
  key: z.string().optional().catch(undefined),
  look: z.string().optional().catch(undefined),
  /** PEM that clients must trust. */
  certificate: z.string().nullish(),
  /** SHA-256 fingerprint of the endpoint's certificate. */
  certificateFingerprint: z.string().nullish(),
  cost: costSchema.optional().catch(undefined),
  replicas: replicasSchema.optional().catch(undefined),
  /** Since when nothing of it runs, ISO 8601. */
  asleep: z.string().optional().catch(undefined),
  /** Since when its workers are asleep, ISO 8601. */
  workersDown: z.string().optional().catch(undefined),
  deployment: detailsSchema,
});

/** What a program may give its stack as outputs. */
export type StackOutputs = { readonly [name in keyof z.input<typeof outputsSchema>]?: unknown };
