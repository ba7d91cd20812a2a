/**
 * The type of a validated configuration, from which a deployment is planned (`parseConfig` in
 * `plan/config.ts`).
 */
import type { EngineName } from "../engines";
import type { TLS_KINDS } from "./access";
import type { Parsers } from "./parsers";
import type { RouterMode } from "./router";
import type { ParsedConfig } from "./schema";

/** The type with all members of all levels `readonly`. */
export type DeepReadonly<T> = T extends (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** Settings whose default depends on other settings. */
interface Derived extends Parsers {
  engine: EngineName;
  servedModelName: string;
  pools: (ParsedConfig["pools"][number] & { replicas: number })[];
  router: Omit<ParsedConfig["router"], "mode"> & { mode: RouterMode };
  frontend: Omit<ParsedConfig["frontend"], "migrationLimit" | "replicas"> & {
    migrationLimit: number;
    replicas: number;
  };
  cluster: Omit<ParsedConfig["cluster"], "gpusPerNode" | "allowIdleGpus"> & {
    gpusPerNode: number;
    allowIdleGpus: boolean;
  };
  access: Omit<ParsedConfig["access"], "tls" | "gateway"> & {
    gateway: boolean;
    tls: Omit<ParsedConfig["access"]["tls"], "mode"> & { mode: (typeof TLS_KINDS)[number] };
  };
  timeouts: Omit<ParsedConfig["timeouts"], "readySeconds"> & { readySeconds: number };
}

/**
 * A validated configuration with every default applied. It is a valid input of `parseConfig`, which returns
 * it unchanged.
 */
export type DeploymentConfig = DeepReadonly<Omit<ParsedConfig, keyof Derived> & Derived>;

/** One pool of equal replicas. */
export type PoolConfig = DeploymentConfig["pools"][number];
