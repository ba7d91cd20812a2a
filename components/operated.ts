/**
 * What `dynamo-sky operate` decides, and an update by hand keeps: how many replicas a pool has, whether all
 * is asleep.
 */
import * as pulumi from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import { replicasSchema } from "../plan/outputs";
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

/** Since when the deployment is to be asleep, ISO 8601; undefined if it is to run. @throws ProgramError */
export function asleepSince(): string | undefined {
  const since = process.env[ASLEEP_VARIABLE];
  if (since === undefined || !Number.isNaN(Date.parse(since))) return since;
  throw new ProgramError(`${ASLEEP_VARIABLE}=${since} is not a time such as 2027-03-01T00:00:00Z. Unset it.`);
}

/** Output of the stack with the numbers. */
const REPLICAS_OUTPUT = "replicas";

/**
 * The deployment with as many replicas as the stack's last update has left: between its bounds the
 * configuration says no number, so an update by hand does not change it.
 *
 * @throws ProgramError if the variable cannot be read.
 */
export async function withCurrentReplicas(config: DeploymentConfig): Promise<DeploymentConfig> {
  if (!isAutoscaled(config)) return config;
  return withReplicas(config, { ...(await lastReplicas()), ...askedReplicas() });
}

/** Value of the stack's output. */
export function replicasOutput(config: DeploymentConfig): { readonly [REPLICAS_OUTPUT]?: Replicas } {
  if (!isAutoscaled(config)) return {};
  return {
    [REPLICAS_OUTPUT]: Object.fromEntries(scaledPools(config).map(({ role, replicas }) => [role, replicas])),
  };
}

async function lastReplicas(): Promise<Replicas> {
  const self = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const last = await new pulumi.StackReference(self).getOutputDetails(REPLICAS_OUTPUT);
  const parsed = replicasSchema.safeParse(last.value);
  return parsed.success ? parsed.data : {};
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
