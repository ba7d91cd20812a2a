/** What the state of a stack tells of its deployment. */
import { DEPLOYMENT_TYPE, type DeploymentDetails } from "../plan/outputs";

const NOWHERE: DeploymentDetails = {
  engine: "mocker",
  deployment: {
    target: "local",
    infra: [],
    namespace: "dynamo",
    routerMode: "kv",
    task: "chat",
    workers: { aggregated: 0, prefill: 0, decode: 0 },
  },
  topology: [],
  logs: {},
  prices: {},
};

/**
 * @param outputs Outputs for users.
 * @param details Fields of the output `deployment` that differ from an empty deployment on this machine.
 */
export function stackOutputs(
  outputs: Readonly<Record<string, unknown>>,
  details: Partial<DeploymentDetails> = {},
): Readonly<Record<string, unknown>> {
  return { ...outputs, deployment: { ...NOWHERE, ...details } };
}

/** A state with such outputs of a DynamoCluster, as `pulumi stack export --show-secrets` prints it. */
export function exported({ endpoint, ...outputs }: Readonly<Record<string, unknown>>): object {
  const urn = `urn:pulumi:dev::project::${DEPLOYMENT_TYPE}::dynamo`;
  const resources = [{ urn, type: DEPLOYMENT_TYPE, outputs: { ...outputs, address: endpoint } }];
  return { version: 3, deployment: { resources } };
}
