/** What an engine is to the plan: from a worker's specification to the command that starts it. */
import type { DeploymentInput, PoolInput } from "../input";

/** One process of one replica, on one node. */
export interface WorkerSpec {
  readonly config: DeploymentInput;
  readonly pool: PoolInput;
  /** Which of the replica's nodes this is, from 0, and how many there are. */
  readonly rank: number;
  readonly nodes: number;
}

/** How a worker's process is started. */
export interface WorkerCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Engine {
  /** Command and environment of one process; what all Dynamo workers share is added by the caller. */
  start(spec: WorkerSpec): WorkerCommand;
}
