/** The Pulumi program: the stack's configuration → one deployment → stack outputs. */
import "./lib/bypassProxies";
import * as pulumi from "@pulumi/pulumi";
import { checkedConfig, costLine, DynamoCluster, KEY_VARIABLE, observeLocal, observeSky } from "./components";
import {
  asleepSince,
  lastUpdate,
  replicasOutput,
  wakingCaution,
  withCurrentReplicas,
  workersDownSince,
} from "./components/operated";
import { ProgramError } from "./components/problems";
import type { DeploymentConfig } from "./config/deployment";
import { CONFIG_NAMESPACE } from "./config/problems";
import { costOutput, type StackOutputs } from "./plan/outputs";
import { poolsNote } from "./plan/usualPools";

/**
 * Everything that the stack's configuration says below this program's namespace, as Pulumi gives it: text.
 */
function writtenConfig(): Record<string, string> {
  const prefix = `${CONFIG_NAMESPACE}:`;
  const entries = Object.entries(pulumi.runtime.allConfig());
  return Object.fromEntries(
    entries.flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [])),
  );
}

/**
 * Pulumi runs a program also where it has found no file of the stack; then every required key would be said
 * to be missing.
 */
function configOfStack(): Record<string, string> {
  const written = writtenConfig();
  if (Object.keys(written).length > 0) return written;
  const file = `Pulumi.${pulumi.getStack()}.yaml`;
  throw new ProgramError(
    `${file} is not beside Pulumi.yaml, or says nothing of ${CONFIG_NAMESPACE}. Copy a stack there, such as Pulumi.single.yaml or one of examples/stacks, or name its file: --config-file FILE`,
  );
}

/** What is there now of the deployment. */
async function observed(prefix: string, config: DeploymentConfig, token: string | undefined) {
  if (config.target === "local") return { observed: await observeLocal(prefix, config) };
  return { observedSky: await observeSky(prefix, config.sky.infra, config, token) };
}

async function program(): Promise<StackOutputs> {
  const text = configOfStack();
  const checked = checkedConfig(text);
  const last = await lastUpdate(checked);
  const written = withCurrentReplicas(checked, last);
  const { huggingFaceToken: _token, registryPassword: _password, tlsKey: _key, ...config } = written;
  const clusterPrefix = `${pulumi.getProject()}-${pulumi.getStack()}`;
  const settings = new pulumi.Config(CONFIG_NAMESPACE);
  const token = settings.getSecret("huggingFaceToken");
  const password = settings.getSecret("registryPassword");
  const tlsKey = settings.getSecret("tlsKey");
  const asleep = asleepSince();
  const workersDown = workersDownSince();
  const waking = (asleep ?? workersDown) ? undefined : wakingCaution(last);
  if (waking !== undefined) void pulumi.log.warn(waking);
  const cluster = new DynamoCluster("dynamo", {
    ...config,
    asleep: asleep !== undefined,
    workersDown: workersDown !== undefined,
    ...(token === undefined ? {} : { huggingFaceToken: token }),
    ...(password === undefined ? {} : { registryPassword: password }),
    ...(tlsKey === undefined ? {} : { tlsKey }),
    clusterPrefix,
    ...(asleep === undefined ? await observed(clusterPrefix, written, text["huggingFaceToken"]) : {}),
  });
  const { address, model, certificate, certificateFingerprint, apiKey, apiKeys, cost } = cluster;
  if (config.target === "sky") void pulumi.log.info(costLine(cost));
  const note = poolsNote(text, checked);
  if (note !== undefined) void pulumi.log.info(note);
  const stack = pulumi.getStack();
  // An output that is undefined would be a warning at every operation.
  const { keys, retiredKeys } = config.access;
  const several = keys.length + retiredKeys.length > 1 ? { apiKeys } : {};
  const key = `export ${KEY_VARIABLE}=$(npm run -s stack -- output apiKey --stack ${stack} --show-secrets)`;
  const access = cluster.asksForKey ? { apiKey, ...several, key } : {};
  // It is no secret: but Pulumi would print a chain over a hundred lines.
  const tls = cluster.speaksTls ? { certificate: pulumi.secret(certificate), certificateFingerprint } : {};
  // Without an endpoint, by which commands know that something runs.
  if (asleep !== undefined) return { asleep, model, ...access, ...replicasOutput(written) };
  return {
    // Not the one that waits for an answer: after a failed update Pulumi would tell of all outputs that they
    // were deleted.
    endpoint: address,
    // Pulumi cuts a value at 150 characters: curl's command would not fit.
    chat: `bin/dynamo-sky ask --stack ${stack}`,
    ...{ model, ...access, ...tls },
    cost: costOutput(cost),
    ...(workersDown === undefined ? {} : { workersDown }),
    ...replicasOutput(written),
    look: `bin/dynamo-sky status --stack ${stack}`,
  };
}

export = program;
