/**
 * From what the user wrote to a configuration that can be planned: typed, complete, and checked. All mistakes are
 * found at once and told in words.
 */
import { type ConfigInput, configSchema, type ParsedConfig } from "./schema";
import { defaultServedName } from "./schema/model";
import type { EngineName } from "./types";

type DeepReadonly<T> = T extends (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** Settings whose default depends on other settings. */
interface Derived {
  engine: EngineName;
  servedModelName: string;
  cluster: Omit<ParsedConfig["cluster"], "gpusPerNode" | "allowIdleGpus"> & {
    gpusPerNode: number;
    allowIdleGpus: boolean;
  };
  timeouts: Omit<ParsedConfig["timeouts"], "readySeconds"> & { readySeconds: number };
}

/** A checked configuration with every default applied. It is a valid input of `parseConfig` again, and stays the same. */
export type DeploymentConfig = DeepReadonly<Omit<ParsedConfig, keyof Derived> & Derived>;

/** One pool of equal replicas. */
export type PoolConfig = DeploymentConfig["pools"][number];

/** What a user may write: every key optional but `model`. */
export type { ConfigInput };

/** GPUs of one replica, each used once. */
export function gpusPerReplica(
  pool: Pick<PoolConfig, "tensorParallel" | "dataParallel" | "pipelineParallel">,
): number {
  return pool.tensorParallel * pool.dataParallel * pool.pipelineParallel;
}

export function parseConfig(raw: unknown): DeploymentConfig {
  return complete(configSchema.parse(raw));
}

function complete(parsed: ParsedConfig): DeploymentConfig {
  const local = parsed.target === "local";
  return {
    ...parsed,
    engine: parsed.engine ?? (local ? "mocker" : "sglang"),
    servedModelName: parsed.servedModelName ?? defaultServedName(parsed.model),
    cluster: {
      ...parsed.cluster,
      gpusPerNode: parsed.cluster.gpusPerNode ?? 8,
      allowIdleGpus: parsed.cluster.allowIdleGpus ?? local,
    },
    timeouts: { ...parsed.timeouts, readySeconds: parsed.timeouts.readySeconds ?? (local ? 180 : 3600) },
  };
}
