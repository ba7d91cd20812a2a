/** From the user's configuration to the input of the components; creates no resources. */

import { homedir } from "node:os";
import type * as pulumi from "@pulumi/pulumi";
import type { DeepReadonly, DeploymentConfig } from "../config/deployment";
import { ConfigError, type Problem } from "../config/problems";
import type { ConfigInput } from "../config/schema";
import { show } from "../config/values";
import { type BroughtFiles, LARGEST, NotBrought, readableKind, readBrought } from "../lib/broughtFiles";
import { problemOfCertificate } from "../lib/tls/served";
import { cautionsOf } from "../plan/cautions";
import { parseConfig } from "../plan/config";
import type { DeploymentCost } from "../plan/cost";
import { factsOf } from "../plan/facts";
import { localAddresses } from "../plan/localAddresses";
import { plan } from "../plan/plan";
import type { ClusterPlan, DeploymentPlan } from "../plan/types";
import { poolsNote } from "../plan/usualPools";
import { locateTools } from "../toolchain";
import { beforeLaunch } from "./beforeLaunch";
import type { Observation } from "./observation";
import { affordableCost, limitCautions } from "./prices";
import { reported } from "./problems";
import type { SkyObservation } from "./skyRepair";

/** The configuration as a program writes it, read-only. */
type Written = DeepReadonly<Omit<ConfigInput, "huggingFaceToken" | "registryPassword" | "tlsKey">>;

/**
 * The deployment in the shape of the configuration (`Pulumi.<stack>.yaml`), with its defaults, and a few
 * options for programs only.
 */
export interface DynamoClusterArgs extends Written {
  /** Token for gated or private models. Default: none, public models only. */
  readonly huggingFaceToken?: pulumi.Input<string>;
  /** Password for the private registry `sky.registry`. Default: none, public images only. */
  readonly registryPassword?: pulumi.Input<string>;
  /** Key of `access.tls.certificate`, PEM. Default: none. */
  readonly tlsKey?: pulumi.Input<string>;
  /**
   * Prefix of the names of this deployment's clusters. Default: project, stack and the component's name, so
   * that several deployments of a stack do not clash.
   */
  readonly clusterPrefix?: string;
  /**
   * Whether this machine has, or can install, etcd and NATS: resolves `controlPlane.discovery: auto` with
   * target local. Default: detected.
   */
  readonly localServices?: boolean;
  /**
   * Current state from {@link observeLocal}; anything missing is repaired. Default: everything is assumed to
   * run.
   */
  readonly observed?: Observation;
  /** The same for SkyPilot's clusters, from {@link observeSky}. Default: everything is assumed to run. */
  readonly observedSky?: SkyObservation;
  /**
   * Nothing runs and nothing costs: only names, keys and credentials are kept, so that the deployment comes
   * back with them. Default: false.
   */
  readonly asleep?: boolean;
  /**
   * Only what answers for the workers runs: control plane, frontends and gateway, which tells clients to come
   * back. Default: false.
   */
  readonly workersDown?: boolean;
}

/** A validated deployment. */
export interface Deployment {
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** Those of the plan that run: none while it is asleep. */
  readonly clusters: readonly ClusterPlan[];
  /** Those that keep their names, also while they do not run. */
  readonly named: readonly ClusterPlan[];
  readonly cost: DeploymentCost;
  /** What a person should know before it is made, although it is allowed. */
  readonly cautions: readonly string[];
  /** Local files for the nodes, with their current contents. */
  readonly files: BroughtFiles;
  /** Loopback addresses of the local nodes, by cluster name and rank. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
}

/**
 * Validates a configuration from Pulumi.
 * @throws ProgramError that lists every mistake, one per line; Pulumi prints it without a stack trace.
 */
export function checkedConfig(written: unknown): DeploymentConfig {
  return reported(() => parseConfig(written));
}

/**
 * Validates and plans a deployment.
 * @throws ProgramError like {@link checkedConfig}.
 */
export function prepare(args: DynamoClusterArgs): Deployment {
  const {
    huggingFaceToken,
    registryPassword,
    tlsKey,
    localServices,
    clusterPrefix: _prefix,
    observed: _local,
    observedSky,
    asleep = false,
    workersDown = false,
    ...written
  } = args;
  return reported(() => {
    const secrets = {
      ...(huggingFaceToken === undefined ? {} : { huggingFaceToken: true }),
      ...(registryPassword === undefined ? {} : { registryPassword: true }),
      ...(tlsKey === undefined ? {} : { tlsKey: true }),
    };
    const config = parseConfig({ ...written, ...secrets });
    checkCertificate(config);
    const files = broughtFiles(config);
    const facts = factsOf(config, () => localServices ?? locateTools().servicesObtainable);
    const whole = plan(config, facts);
    const planned = workersDown ? plan(config, { ...facts, workersDown }) : whole;
    const clusters = asleep ? [] : planned.clusters;
    const cost = affordableCost(config, { ...planned, clusters }, observedSky?.prices);
    const cautions = [
      ...[poolsNote(args, config) ?? []].flat(),
      ...cautionsOf(config, planned),
      ...limitCautions(config, facts, observedSky?.prices),
      ...(observedSky === undefined ? [] : beforeLaunch(config, observedSky)),
    ];
    const named = whole.clusters;
    const addresses = localAddresses(planned);
    return { config, plan: planned, clusters, named, cost, cautions, files, addresses };
  });
}

/** Rejects an expired certificate before a cluster is created. */
function checkCertificate({ access: { tls } }: DeploymentConfig): void {
  if (tls.mode !== "own" || tls.certificate === undefined) return;
  const problem = problemOfCertificate(tls.certificate, new Date());
  if (problem === undefined) return;
  const message = `${problem}. Give one that clients accept today.`;
  throw new ConfigError([{ path: ["access", "tls", "certificate"], message }]);
}

/** What SkyPilot mounts: text is a source itself, a storage has one, or a list of them to upload. */
function sourcesOf(mount: DeploymentConfig["sky"]["fileMounts"][string]) {
  if (typeof mount === "string") return [{ path: [], source: mount }];
  const { source = [] } = mount;
  if (typeof source === "string") return [{ path: ["source"], source }];
  return source.map((one, index) => ({ path: ["source", index], source: one }));
}

/** Files that are missing or that cannot be read are reported before a node is created. */
function broughtFiles({ files, sky }: DeploymentConfig): BroughtFiles {
  const problems: Problem[] = [];
  const read = Object.entries(files).flatMap(([name, path]) => {
    const found = orReason(() => readBrought(path));
    if (typeof found !== "string") return [[name, found] as const];
    const message = `${show(path)} ${found}. Allowed: a file or directory that can be read, of at most ${LARGEST / 1e6} MB; sky.fileMounts brings more.`;
    problems.push({ path: ["files", name], message });
    return [];
  });
  for (const [at, mount] of Object.entries(sky.fileMounts))
    for (const { path, source } of sourcesOf(mount)) {
      const message = source.includes("://") ? undefined : mountProblem(source, path.length === 1);
      if (message !== undefined) problems.push({ path: ["sky", "fileMounts", at, ...path], message });
    }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.fromEntries(read);
}

/**
 * Why SkyPilot could not bring a path of this machine. `isWholeStorage`: it is the one source of a storage.
 */
function mountProblem(source: string, isWholeStorage: boolean): string | undefined {
  const found = orReason(() => ({ kind: readableKind(source.replace(/^~(?=\/|$)/, homedir())) }));
  if (typeof found === "string")
    return `${show(source)} ${found}. Allowed: a path of this machine that can be read, or a URL of a bucket.`;
  if (found.kind === "other")
    return `${show(source)} is neither a file nor a directory. Allowed: a path of one, or a URL of a bucket.`;
  return found.kind === "file" && isWholeStorage
    ? `${show(source)} is a file, and SkyPilot makes a bucket of a directory. Write it in a list, [${source}], or its path alone, without an object.`
    : undefined;
}

/** What the work returns, or why a path cannot be brought. */
function orReason<T extends object>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof NotBrought) return error.message;
    throw error;
  }
}
