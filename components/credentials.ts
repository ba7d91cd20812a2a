/** Passwords for connections between a deployment's own processes. */

import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";
import {
  CONTROL_PLANE_SECRETS,
  ETCD_PASSWORD,
  ETCD_ROOT_PASSWORD,
  LOCKSTEP_SECRET,
  NATS_TOKEN,
  NODES_AUTHORITY,
} from "../plan/programs/controlPlane";
import { type DeploymentPlan, programsOf, secretsOfProgram } from "../plan/types";

type SecretName = (typeof CONTROL_PLANE_SECRETS)[number];

/** Resource name of each secret. */
const NAMES: Readonly<Record<SecretName, string>> = {
  [ETCD_PASSWORD]: "etcd",
  [ETCD_ROOT_PASSWORD]: "etcd-root",
  [NATS_TOKEN]: "nats",
  [LOCKSTEP_SECRET]: "lockstep",
  [NODES_AUTHORITY]: "nodes-authority",
};

/** Length of a password: 40 letters and digits, 62^40 is 2^238. */
const PASSWORD = { length: 40, special: false } as const;

/** One generated secret for each internal secret of the plan's programs. */
export class Credentials extends pulumi.ComponentResource {
  /** Secrets, by their variable name in the node's secrets file. */
  readonly values: Readonly<Record<string, pulumi.Output<string>>>;

  /** @param generation Another one makes them anew: `controlPlane.generation`. */
  constructor(
    name: string,
    plan: DeploymentPlan,
    generation: number,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("dynamo-sky:index:Credentials", name, {}, opts);
    const wanted = wantedSecrets(plan);
    // Without keepers at first: that is how stacks have them that are older than the setting.
    const args = generation === 1 ? PASSWORD : { ...PASSWORD, keepers: { generation: String(generation) } };
    this.values = Object.fromEntries(
      CONTROL_PLANE_SECRETS.filter((secret) => wanted.has(secret)).map((secret) => {
        const { result } = new RandomPassword(`${name}-${NAMES[secret]}`, args, { parent: this });
        return [secret, pulumi.secret(result)];
      }),
    );
    this.registerOutputs({});
  }
}

function wantedSecrets({ clusters }: DeploymentPlan): ReadonlySet<string> {
  const programs = programsOf({ clusters });
  return new Set(programs.flatMap(secretsOfProgram));
}
