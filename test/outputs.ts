/** Outputs of a stack, as in `pulumi stack output --json`. */
import { type DeploymentDetails, detailsText } from "../plan/outputs";

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
  return { ...outputs, deployment: detailsText({ ...NOWHERE, ...details }) };
}
