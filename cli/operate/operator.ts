/** Keeps a stack as it should be, and as large as its planner decides, through Pulumi. */
import { setTimeout as sleep } from "node:timers/promises";
import { REPLICAS_VARIABLE } from "../../components/currentReplicas";
import type { DeploymentConfig } from "../../config/deployment";
import { messageOf } from "../../lib/run";
import { replicasSchema } from "../../plan/outputs";
import { type Replicas, type ScaledPool, scaledPools } from "../../plan/scale";
import { type Deployed, deployedOf } from "../deployment/deployed";
import { type Reach, reach as reachNodes } from "../deployment/reach";
import type { OpenStack } from "../pulumi/openStack";
import { OperationFailed } from "../pulumi/problem";
import { type Decision, openDecision } from "./decisions";
import { lostOf } from "./lost";
import { Backoff, Pace } from "./pace";

/** What an operator did, or why it did not. */
export interface Action {
  /** ISO 8601. */
  readonly at: string;
  readonly kind: "started" | "scale" | "repair" | "hold" | "failed" | "stopped";
  /** What, and why: one line. */
  readonly text: string;
  /** Replicas after it, by role. */
  readonly replicas: Replicas;
  /** How long it took. */
  readonly seconds?: number;
}

export interface OperatorOptions {
  /** Time between two looks for a decision, seconds. */
  readonly lookSeconds: number;
  /** Time between two looks for drift, seconds. */
  readonly driftSeconds: number;
  readonly tell: (action: Action) => void;
  readonly signal: AbortSignal;
  /** The stack's configuration now: it may change while this runs. */
  readonly config: () => DeploymentConfig;
}

/**
 * After as many failures in a row nothing is tried again. What is lost again before a look has found all well
 * counts as one: what is started again and again costs money, and serves nobody.
 */
const TRIES = 5;
const FIRST_PAUSE_SECONDS = 15;
const LIMITS = { tries: TRIES, firstPauseSeconds: FIRST_PAUSE_SECONDS };

/** Another update holds the stack's lock. */
const LOCKED = /the stack is currently locked|conflict: another update/i;

export class Operator {
  readonly #pace = new Pace();
  readonly #backoff = { scale: new Backoff(LIMITS), repair: new Backoff(LIMITS) };
  #carriedOut: Decision["id"] | undefined;
  /** What was told last of something that lasts: it is told once. */
  #told: string | undefined;
  #nextDrift = 0;

  constructor(
    private readonly stack: OpenStack,
    private readonly options: OperatorOptions,
  ) {}

  /** Runs until it is cancelled, or the stack is destroyed. */
  async run(): Promise<void> {
    const { signal, lookSeconds } = this.options;
    const state = await this.#state();
    if (state === undefined) throw new OperationFailed(`Stack ${this.stack.stack} is not up. Bring it up.`);
    this.#tell("started", `operating ${this.stack.stack}`, state.replicas);
    while (!signal.aborted) {
      const now = await this.#state().catch((error: unknown) => this.#cannotTell(error));
      if (now === undefined) return this.#tell("stopped", `${this.stack.stack} was destroyed`, {});
      if (now !== "unknown") await this.#look(now);
      await sleep(lookSeconds * 1000, undefined, { signal }).catch(() => undefined);
    }
    this.#tell("stopped", "cancelled; the stack stays as it is", {});
  }

  #cannotTell(error: unknown): "unknown" {
    this.#once("failed", `the stack's outputs cannot be read: ${messageOf(error)}`, {});
    return "unknown";
  }

  /** Undefined if the stack is not up. */
  async #state(): Promise<State | undefined> {
    const outputs = await this.stack.outputs();
    if (outputs["endpoint"] === undefined) return undefined;
    const parsed = replicasSchema.safeParse(outputs["replicas"]);
    return { deployed: deployedOf(outputs), replicas: parsed.success ? parsed.data : {} };
  }

  async #look(state: State): Promise<void> {
    const config = this.options.config();
    const pools = scaledPools(config);
    const hasChanged = pools.length > 0 && (await this.#scale(state, config, pools));
    // After a change what is known of the stack is old.
    if (!hasChanged && Date.now() >= this.#nextDrift) await this.#repair(state);
  }

  /** @returns Whether an update was made. */
  async #scale(state: State, config: DeploymentConfig, pools: readonly ScaledPool[]): Promise<boolean> {
    const decision = await this.#decision(state, pools);
    if (decision === undefined || decision === "unknown") return false;
    const changes = pools.flatMap(({ role }) => {
      const [from, to] = [state.replicas[role], decision.replicas[role]];
      return to === undefined || from === to ? [] : [`${role} ${from ?? "?"} → ${to}`];
    });
    if (changes.length === 0) {
      this.#carriedOut = decision.id;
      return false;
    }
    const what = `the planner decides ${changes.join(", ")}`;
    const hold = this.#pace.hold(config.autoscale, Date.now());
    if (hold !== undefined) {
      this.#once("hold", `${what}, not before ${clock(hold.until)}: ${hold.why}`, state.replicas);
      return false;
    }
    const replicas = { ...state.replicas, ...decision.replicas };
    const done = await this.#up("scale", what, state, replicas);
    if (done) this.#carriedOut = decision.id;
    return true;
  }

  async #decision(state: State, pools: readonly ScaledPool[]): Promise<Decision | undefined | "unknown"> {
    const { signal } = this.options;
    try {
      return await this.#reached(state, (reach) =>
        openDecision(state.deployed, reach, pools, this.#carriedOut, signal),
      );
    } catch (error) {
      if (!signal.aborted)
        this.#once("failed", `the planner's node does not answer: ${messageOf(error)}`, state.replicas);
      return "unknown";
    }
  }

  async #reached<T>({ deployed }: State, work: (reach: Reach) => Promise<T>): Promise<T> {
    const reach = await reachNodes(deployed, this.options.signal);
    try {
      return await work(reach);
    } finally {
      reach.close();
    }
  }

  /** Looks for what is lost, and repairs it. */
  async #repair(state: State): Promise<void> {
    const { signal, driftSeconds } = this.options;
    this.#nextDrift = Date.now() + driftSeconds * 1000;
    let lost: string[];
    try {
      lost = await this.#reached(state, (reach) => lostOf(state.deployed, reach, signal));
    } catch (error) {
      if (!signal.aborted)
        this.#once("failed", `what runs cannot be found out: ${firstLine(error)}`, state.replicas);
      return;
    }
    if (lost.length === 0) return this.#backoff.repair.succeeded();
    const done = await this.#up("repair", lost.join("; "), state);
    if (done) this.#backoff.repair.failed(Date.now());
  }

  /**
   * @param replicas Default: as many as there are.
   * @returns Whether it worked.
   */
  async #up(
    kind: "scale" | "repair",
    why: string,
    state: State,
    replicas: Replicas = state.replicas,
  ): Promise<boolean> {
    const { signal } = this.options;
    const backoff = this.#backoff[kind];
    if (!backoff.mayTry(Date.now())) return false;
    try {
      const { seconds } = await this.stack.up({
        signal,
        env: { [REPLICAS_VARIABLE]: JSON.stringify(replicas) },
      });
      if (kind === "scale") {
        this.#backoff.scale.succeeded();
        this.#pace.note(Date.now());
      }
      this.#tell(kind, why, replicas, seconds);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const message = firstLine(error);
      if (LOCKED.test(messageOf(error))) {
        this.#once("hold", `${why}: another update of the stack runs`, state.replicas);
        return false;
      }
      const pause = backoff.failed(Date.now());
      const next =
        pause === undefined
          ? `after ${TRIES} failures nothing is tried again; repair it, run \`up\`, and start this anew`
          : `tried again in ${pause} s`;
      this.#tell("failed", `${why}: ${message} (${next})`, state.replicas);
      return false;
    }
  }

  #tell(kind: Action["kind"], text: string, replicas: Replicas, seconds?: number): void {
    this.#told = undefined;
    this.#say(kind, text, replicas, seconds);
  }

  #once(kind: Action["kind"], text: string, replicas: Replicas): void {
    if (this.#told === text) return;
    this.#told = text;
    this.#say(kind, text, replicas);
  }

  #say(kind: Action["kind"], text: string, replicas: Replicas, seconds?: number): void {
    const at = new Date().toISOString();
    this.options.tell({ at, kind, text, replicas, ...(seconds === undefined ? {} : { seconds }) });
  }
}

interface State {
  readonly deployed: Deployed;
  readonly replicas: Replicas;
}

function firstLine(error: unknown): string {
  const lines = messageOf(error)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines.slice(0, 2).join(" ");
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}
