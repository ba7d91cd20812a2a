/** From the user's configuration to the input of the components; creates no resources. */

import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import type { DeepReadonly, DeploymentConfig } from "../config/deployment";
import { ConfigError, type Problem } from "../config/problems";
import type { ConfigInput } from "../config/schema";
import { show } from "../config/values";
import { type BroughtFiles, LARGEST, NotBrought, readBrought } from "../lib/broughtFiles";
import { problemOfCertificate } from "../lib/tls/served";
import { cautionsOf } from "../plan/cautions";
import { parseConfig } from "../plan/config";
import type { DeploymentCost } from "../plan/cost";
import { factsOf } from "../plan/facts";
import { localAddresses } from "../plan/localAddresses";
import { plan } from "../plan/plan";
import type { ClusterPlan, DeploymentPlan } from "../plan/types";
import { locateTools } from "../toolchain";
import { beforeLaunch } from "./beforeLaunch";
import type { Observation } from "./observation";
import { affordableCost } from "./prices";
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
}

/** A validated deployment. */
export interface Deployment {
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** Those of the plan that run: none while it is asleep. */
  readonly clusters: readonly ClusterPlan[];
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
    const planned = plan(
      config,
      factsOf(config, () => localServices ?? locateTools().servicesObtainable),
    );
    const clusters = asleep ? [] : planned.clusters;
    const cost = affordableCost(config, { ...planned, clusters }, observedSky?.prices);
    const cautions = [
      ...cautionsOf(config, planned),
      ...(observedSky === undefined ? [] : beforeLaunch(config, observedSky)),
    ];
    return { config, plan: planned, clusters, cost, cautions, files, addresses: localAddresses(planned) };
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

/** Missing files are reported before a node is created. */
function broughtFiles({ files, sky }: DeploymentConfig): BroughtFiles {
  const problems: Problem[] = [];
  const read = Object.entries(files).flatMap(([name, path]) => {
    try {
      return [[name, readBrought(path)] as const];
    } catch (error) {
      if (!(error instanceof NotBrought)) throw error;
      const message = `${show(path)} ${error.message}. Allowed: a file or directory that can be read, of at most ${LARGEST / 1e6} MB; sky.fileMounts brings more.`;
      problems.push({ path: ["files", name], message });
      return [];
    }
  });
  for (const [at, mount] of Object.entries(sky.fileMounts))
    for (const { path, source } of sourcesOf(mount)) {
      if (source.includes("://")) continue;
      const here = source.replace(/^~(?=\/)/, homedir());
      const isFileOfStorage =
        path.length === 1 && statSync(here, { throwIfNoEntry: false })?.isFile() === true;
      if (isFileOfStorage) {
        const message = `${show(source)} is a file, and SkyPilot makes a bucket of a directory. Write it in a list, [${source}], or its path alone, without an object.`;
        problems.push({ path: ["sky", "fileMounts", at, ...path], message });
      }
      if (existsSync(here)) continue;
      const message = `${show(source)} is not there (${resolve(source)}). Allowed: a path of this machine or a URL of a bucket.`;
      problems.push({ path: ["sky", "fileMounts", at, ...path], message });
    }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.fromEntries(read);
}
