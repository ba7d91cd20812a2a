/** Passwords for connections between a deployment's own processes. */

import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";
import {
  CONTROL_PLANE_SECRETS,
  ETCD_PASSWORD,
  ETCD_ROOT_PASSWORD,
  LOCKSTEP_SECRET,
  NATS_TOKEN,
} from "../plan/programs/controlPlane";
import { type DeploymentPlan, programsOf, secretsOfProgram } from "../plan/types";

type SecretName = (typeof CONTROL_PLANE_SECRETS)[number];

/** Resource name of each secret. */
const NAMES: Readonly<Record<SecretName, string>> = {
  [ETCD_PASSWORD]: "etcd",
  [ETCD_ROOT_PASSWORD]: "etcd-root",
  [NATS_TOKEN]: "nats",
  [LOCKSTEP_SECRET]: "lockstep",
};

/** Length of a password: 40 letters and digits, 62^40 is 2^238. */
const PASSWORD = { length: 40, special: false } as const;

/** One generated password for each internal secret of the plan's programs. */
export class Credentials extends pulumi.ComponentResource {
  /** Secrets, by their variable name in the node's secrets file. */
  readonly values: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, plan: DeploymentPlan, opts?: pulumi.ComponentResourceOptions) {
    super("dynamo-sky:index:Credentials", name, {}, opts);
    const wanted = wantedSecrets(plan);
    this.values = Object.fromEntries(
      CONTROL_PLANE_SECRETS.filter((secret) => wanted.has(secret)).map((secret) => {
        const { result } = new RandomPassword(`${name}-${NAMES[secret]}`, PASSWORD, { parent: this });
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
