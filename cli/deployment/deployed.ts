/** Placement of a deployment, from its stack's outputs: the input of `status` and `logs`. */
import {
  type DeployedCluster,
  type DeployedLayout,
  type DeployedProgram,
  outputsSchema,
} from "../../plan/outputs";
import { OperationFailed } from "../pulumi/problem";

export type { DeployedCluster, DeployedProgram } from "../../plan/outputs";

type Outputs = ReturnType<typeof outputsSchema.parse>;

/** A running deployment. */
export interface Deployed {
  readonly endpoint: string;
  readonly model: string;
  readonly engine: string;
  /** Undefined if it was brought up by an earlier version. */
  readonly layout?: DeployedLayout | undefined;
  readonly topology: readonly DeployedCluster[];
  readonly deployment: Outputs["deployment"]["deployment"];
  /** Since when its workers are asleep, ISO 8601: the next request wakes them. Undefined if they are not. */
  readonly workersDown?: string | undefined;
  /** The price at `up`, US dollars an hour; undefined if it was not queried. */
  readonly cost: Outputs["cost"];
  /** The same by cluster. */
  readonly prices: Readonly<Record<string, number | null>>;
}

/**
 * Since when nothing of a stack runs, ISO 8601; undefined if something does. With an endpoint beside it
 * taking it down, or bringing it up, has failed half-way.
 */
export function asleepSince({ endpoint, asleep }: Readonly<Record<string, unknown>>): string | undefined {
  return endpoint === undefined && typeof asleep === "string" ? asleep : undefined;
}

/** What outputs without an endpoint mean. */
export function noEndpoint(outputs: Readonly<Record<string, unknown>>): string {
  const asleep = asleepSince(outputs);
  return asleep !== undefined
    ? `The stack is asleep since ${asleep}: nothing of it runs, and nothing costs. \`up\` brings it up again.`
    : "The stack has no endpoint: it is not up, or its `up` has not ended. `up` goes on with it.";
}

/**
 * @param outputs A stack's outputs; those of other programs are ignored.
 * @throws OperationFailed if they do not describe a deployment, with what to do.
 */
export function deployedOf(outputs: Readonly<Record<string, unknown>>): Deployed {
  const parsed = outputsSchema.safeParse(outputs);
  if (parsed.success) {
    const { endpoint, model, cost, deployment, workersDown } = parsed.data;
    return { endpoint, model, cost, workersDown, ...deployment };
  }
  if (outputs["endpoint"] === undefined) throw new OperationFailed(noEndpoint(outputs));
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
