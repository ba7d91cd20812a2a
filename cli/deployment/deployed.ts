/** Where a deployment runs, as its stack's outputs tell it: all that `status` and `logs` start from. */
import { z } from "zod";
import type { DeploymentSummary } from "../../components/topology";
import { PROGRAM_ROLES } from "../../plan/types";
import { OperationFailed } from "../pulumi/problem";

const programSchema = z.object({
  name: z.string(),
  role: z.enum(PROGRAM_ROLES),
  gpus: z.array(z.number()),
  ports: z.record(z.string(), z.number()),
});
export type DeployedProgram = z.output<typeof programSchema>;

const clusterSchema = z.object({
  name: z.string(),
  cluster: z.string(),
  accelerator: z.string().optional(),
  nodes: z.array(z.object({ rank: z.number(), programs: z.array(programSchema) })),
});
export type DeployedCluster = z.output<typeof clusterSchema>;

const deploymentSchema: z.ZodType<DeploymentSummary> = z.object({
  target: z.enum(["local", "sky"]),
  infra: z.array(z.string()),
  namespace: z.string(),
  routerMode: z.string(),
  workers: z.object({
    aggregated: z.number(),
    prefill: z.number(),
    decode: z.number(),
    // Deployments made before there were encoders do not count them.
    encode: z.number().default(0),
  }),
});

/** What `up` reckoned; absent where the deployment was made without that. */
const costSchema = z.object({
  /** US dollars; null where SkyPilot knows no price. */
  dollarsPerHour: z.number().nullable(),
  clusters: z.array(z.object({ name: z.string(), dollarsPerHour: z.number().nullable() })).default([]),
});

const outputsSchema = z.object({
  endpoint: z.string(),
  model: z.string(),
  engine: z.string().default("unknown engine"),
  topology: z.array(clusterSchema),
  deployment: deploymentSchema,
  cost: costSchema.optional().catch(undefined),
});

export type Deployed = z.output<typeof outputsSchema>;

/**
 * @param outputs A stack's outputs; those of other programs are left out.
 * @throws OperationFailed when they do not describe a deployment, with what to do.
 */
export function deployedOf(outputs: Readonly<Record<string, unknown>>): Deployed {
  const parsed = outputsSchema.safeParse(outputs);
  if (parsed.success) return parsed.data;
  if (outputs["endpoint"] === undefined)
    throw new OperationFailed("The stack has no endpoint: its `up` has not succeeded yet.");
  const [issue] = parsed.error.issues;
  throw new OperationFailed(
    `The stack's outputs do not tell where it runs (${issue?.path.join(".")}: ${issue?.message}). ` +
      "It was deployed by another version of this program: run `up` once with this one.",
  );
}

/** A node of a deployment. */
export interface DeployedNode {
  /** The cluster's full name. */
  readonly cluster: string;
  readonly rank: number;
  readonly programs: readonly DeployedProgram[];
}

export function nodesOf({ topology }: Pick<Deployed, "topology">): DeployedNode[] {
  return topology.flatMap(({ cluster, nodes }) => nodes.map((node) => ({ cluster, ...node })));
}
