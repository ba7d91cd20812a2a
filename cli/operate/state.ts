/** What a stack's outputs say of what runs. */
import { replicasSchema, stateMark } from "../../plan/outputs";
import type { Replicas } from "../../plan/scale";
import { asleepSince, type Deployed, deployedOf } from "../deployment/deployed";
import { outputsIfAny } from "../deployment/running";
import type { OpenStack } from "../pulumi/openStack";

/** A stack that runs, all of it or without its workers. */
export interface Awake {
  readonly deployed: Deployed;
  readonly replicas: Replicas;
  readonly asleep?: undefined;
  /** Since when its workers are taken away; undefined if they run. */
  readonly workersDown: Date | undefined;
  /** Whether taking it down, or bringing it up, has failed. */
  readonly isHalf: boolean;
  /** See `stateMark`. */
  readonly mark: string;
}

/** One of which nothing runs. */
export interface Asleep {
  readonly asleep: Date;
  readonly workersDown?: undefined;
  readonly replicas: Replicas;
  readonly mark: string;
}

export type State = Awake | Asleep;

export const isAwake = (state: State): state is Awake => state.asleep === undefined;

/** Since when it rests, or its workers do; undefined if all of it runs. */
export const restsSince = ({ asleep, workersDown }: State): Date | undefined => asleep ?? workersDown;

function hasWorkers({ deployment }: Deployed): boolean {
  return Object.values(deployment.workers).some((count) => count > 0);
}

/** Undefined if the stack is not up, and not asleep. */
export async function stateOf(stack: Pick<OpenStack, "outputs">): Promise<State | undefined> {
  const outputs = (await outputsIfAny(stack)) ?? {};
  const parsed = replicasSchema.safeParse(outputs["replicas"]);
  const replicas = parsed.success ? parsed.data : {};
  const { asleep, endpoint, workersDown: down } = outputs;
  const mark = stateMark(outputs);
  if (endpoint !== undefined) {
    const deployed = deployedOf(outputs);
    const workersDown = typeof down === "string" ? new Date(down) : undefined;
    // After an update that failed Pulumi has the outputs of before and after it.
    const isHalf = asleep !== undefined || (workersDown !== undefined && hasWorkers(deployed));
    return { deployed, replicas, workersDown, isHalf, mark };
  }
  const since = asleepSince(outputs);
  return since === undefined ? undefined : { asleep: new Date(since), replicas, mark };
}
