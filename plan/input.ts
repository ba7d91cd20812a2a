import type { EngineName, WorkerRole } from "./types";
/** Stand-in until the schema's own type exists. */
export interface PoolInput {
  role: WorkerRole;
  replicas: number;
  tensorParallel: number;
  dataParallel: number;
  pipelineParallel: number;
  expertParallel: number;
  engineArgs: string[];
  engineEnv: Record<string, string>;
  accelerator?: string | undefined;
  gpuMemoryFraction?: number | undefined;
}
export interface DeploymentInput {
  target: "local" | "sky";
  model: string;
  modelRevision?: string | undefined;
  servedModelName: string;
  trustRemoteCode: boolean;
  contextLength?: number | undefined;
  engine: EngineName;
  engineArgs: string[];
  engineEnv: Record<string, string>;
  pools: PoolInput[];
  cluster: { nodes: number; gpusPerNode: number; accelerator?: string | undefined; allowIdleGpus: boolean };
  placement: "shared" | "dedicated";
  router: { mode: string; blockSize: number; kvEvents: boolean };
  frontend: { replicas: number; port: number; migrationLimit: number };
  controlPlane: { requestPlane: "tcp" | "nats"; leaseTtlSeconds: number };
  timeouts: { readySeconds: number; dependencySeconds: number; stopSeconds: number };
}
