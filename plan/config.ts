// Placeholder shape, agreed before the schema exists; replaced by types inferred from the zod schema.
import type { EngineName, WorkerRole } from "./types";

export interface PoolConfig {
  role: WorkerRole;
  replicas: number;
  tensorParallel: number;
  dataParallel: number;
  engineArgs: string[];
}
export interface DeploymentConfig {
  target: "local" | "sky";
  model: string;
  servedModelName: string;
  engine: EngineName;
  engineArgs: string[];
  pools: PoolConfig[];
}
