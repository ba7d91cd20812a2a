/** Outputs of a stack, as `pulumi stack output --json` has them. */
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
 * @param outputs Those that a person reads.
 * @param details What the output `deployment` says, where it differs from a deployment of nothing on this machine.
 */
export function stackOutputs(
  outputs: Readonly<Record<string, unknown>>,
  details: Partial<DeploymentDetails> = {},
): Readonly<Record<string, unknown>> {
  return { ...outputs, deployment: detailsText({ ...NOWHERE, ...details }) };
}
