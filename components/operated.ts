/**
 * What `dynamo-sky operate` decides, and an update by hand keeps: how many replicas a pool has, whether all
 * is asleep.
 */
import * as pulumi from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import { OPERATED_OUTPUTS, replicasSchema, stateMark } from "../plan/outputs";
import { isAutoscaled, type Replicas, scaledPools, withReplicas } from "../plan/scale";
import { ProgramError } from "./problems";

/**
 * Variable with other numbers than those of the last update, by role, as JSON: `{"decode":3}`. How
 * `dynamo-sky operate` carries out a decision.
 */
export const REPLICAS_VARIABLE = "DYNAMO_SKY_REPLICAS";

/**
 * Variable that takes a deployment down while its names and keys stay: since when, ISO 8601. An update
 * without it brings the deployment up again.
 */
export const ASLEEP_VARIABLE = "DYNAMO_SKY_ASLEEP";

/** The same for its workers alone: what answers for them stays. */
export const WORKERS_DOWN_VARIABLE = "DYNAMO_SKY_WORKERS_DOWN";

/**
 * Variable with the `stateMark` of the outputs by which the update was decided. If the stack is another one
 * by then, such as one that was destroyed meanwhile, the update fails before it changes anything. Only the
 * program can tell: it runs while the stack is locked.
 */
export const DECIDED_BY_VARIABLE = "DYNAMO_SKY_DECIDED_BY";

/** What the update then fails with. */
export const CHANGED_SINCE = "The stack was changed by somebody else since this update was decided.";

/** Since when the deployment is to be asleep, ISO 8601; undefined if it is to run. @throws ProgramError */
export const asleepSince = (): string | undefined => timeIn(ASLEEP_VARIABLE);

/** Since when its workers are to be. @throws ProgramError */
export const workersDownSince = (): string | undefined => timeIn(WORKERS_DOWN_VARIABLE);

function timeIn(variable: string): string | undefined {
  const since = process.env[variable];
  if (since === undefined || !Number.isNaN(Date.parse(since))) return since;
  throw new ProgramError(`${variable}=${since} is not a time such as 2027-03-01T00:00:00Z. Unset it.`);
}

/** Output of the stack with the numbers. */
const REPLICAS_OUTPUT = "replicas";

/** What the stack's last update has left. */
export interface LastUpdate {
  readonly replicas: Replicas;
  /** Since when it is asleep, or its workers are; undefined if it runs. */
  readonly restsSince: string | undefined;
}

/**
 * Nothing where nobody operates it.
 * @throws ProgramError if the stack is not the one by which this update was decided.
 */
export async function lastUpdate(config: DeploymentConfig): Promise<LastUpdate> {
  const { schedule, idle } = config;
  const decidedBy = process.env[DECIDED_BY_VARIABLE];
  const isOperated = isAutoscaled(config) || schedule.length > 0 || idle.afterMinutes !== undefined;
  if (!isOperated && decidedBy === undefined) return { replicas: {}, restsSince: undefined };
  const outputs = await ownOutputs();
  if (decidedBy !== undefined && stateMark(outputs) !== decidedBy) throw new ProgramError(CHANGED_SINCE);
  const parsed = replicasSchema.safeParse(outputs[REPLICAS_OUTPUT]);
  const restsSince = [outputs["asleep"], outputs["workersDown"]].find((value) => typeof value === "string");
  return { replicas: parsed.success ? parsed.data : {}, restsSince };
}

/** Those of the stack's last update. */
async function ownOutputs(): Promise<Readonly<Record<string, unknown>>> {
  const self = new pulumi.StackReference(
    `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`,
  );
  const known = await Promise.all(
    OPERATED_OUTPUTS.map(async (name) => [name, (await self.getOutputDetails(name)).value] as const),
  );
  return Object.fromEntries(known);
}

/**
 * The deployment with as many replicas as the stack's last update has left: between its bounds the
 * configuration says no number, so an update by hand does not change it.
 *
 * @throws ProgramError if the variable cannot be read.
 */
export function withCurrentReplicas(config: DeploymentConfig, { replicas }: LastUpdate): DeploymentConfig {
  return withReplicas(config, { ...replicas, ...askedReplicas() });
}

/** What an update does to a stack that rests. */
export function wakingCaution({ restsSince }: LastUpdate): string | undefined {
  if (restsSince === undefined) return undefined;
  return `It is asleep since ${restsSince}: this brings it up again. (\`dynamo-sky pipeline deploy\` leaves it asleep.)`;
}

/** Value of the stack's output. */
export function replicasOutput(config: DeploymentConfig): { readonly [REPLICAS_OUTPUT]?: Replicas } {
  if (!isAutoscaled(config)) return {};
  return {
    [REPLICAS_OUTPUT]: Object.fromEntries(scaledPools(config).map(({ role, replicas }) => [role, replicas])),
  };
}

function askedReplicas(): Replicas {
  const text = process.env[REPLICAS_VARIABLE];
  if (text === undefined) return {};
  try {
    return replicasSchema.parse(JSON.parse(text));
  } catch {
    throw new ProgramError(
      `${REPLICAS_VARIABLE}=${text} is not a JSON object of roles with numbers, such as {"decode":3}. Unset it.`,
    );
  }
}
