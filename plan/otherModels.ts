/** Models besides the deployment's, named by the user's options of the engine: draft models, adapters. */
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { modelSource, pathOf } from "../config/model";
import { engines } from "../engines";
import type { OtherModel } from "../engines/engine";
import { merged } from "../engines/engineConfig";
import { uniqueBy } from "../lib/uniqueBy";

/** Each once. @param pools Those whose workers load them. */
function otherModels(
  { engine, engineArgs, engineConfig }: DeploymentConfig,
  pools: readonly PoolConfig[],
): OtherModel[] {
  const named = pools.flatMap((pool) => {
    const asked = {
      args: [...engineArgs, ...pool.engineArgs],
      config: merged(engineConfig, pool.engineConfig),
    };
    return engines[engine].otherModels?.(asked) ?? [];
  });
  return uniqueBy(named, ({ name, revision = "" }) => `${name}@${revision}`);
}

/** Those on the hub, with names and revisions that a shell takes as they are. */
export function otherHubModels(config: DeploymentConfig, pools = config.pools): OtherModel[] {
  return otherModels(config, pools).filter(
    ({ name, revision = "" }) => modelSource(name) === "hub" && /^[\w./-]*$/.test(revision),
  );
}

/** Buckets that nodes with these pools' workers need. */
export function bucketsOf(config: DeploymentConfig, pools: readonly PoolConfig[]): string[] {
  const names = [config.model, ...otherModels(config, pools).map(({ name }) => name)];
  return [...new Set(names)].filter((name) => modelSource(name) === "bucket");
}

/** A pool's command with paths on the node in place of buckets that it names. */
export function withPaths(config: DeploymentConfig, pool: PoolConfig, command: readonly string[]): string[] {
  // The longest first: one may be the beginning of another.
  const buckets = bucketsOf(config, [pool]).toSorted((one, other) => other.length - one.length);
  return command.map((argument) =>
    buckets.reduce((text, bucket) => text.replaceAll(bucket, pathOf(bucket)), argument),
  );
}
