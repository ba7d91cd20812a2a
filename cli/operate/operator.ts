/** Keeps a stack as it should be, and as large as its planner decides, through Pulumi. */
import { setTimeout as sleep } from "node:timers/promises";
import { ASLEEP_VARIABLE, REPLICAS_VARIABLE } from "../../components/operated";
import type { DeploymentConfig } from "../../config/deployment";
import { messageOf } from "../../lib/run";
import { replicasSchema } from "../../plan/outputs";
import { type Replicas, type ScaledPool, scaledPools } from "../../plan/scale";
import { boundsOf, type Due, dueAt } from "../../plan/schedule";
import { asleepSince, type Deployed, deployedOf } from "../deployment/deployed";
import { type Reach, reach as reachNodes } from "../deployment/reach";
import type { OpenStack } from "../pulumi/openStack";
import { OperationFailed, UsageProblem } from "../pulumi/problem";
import { type Decision, lastDecision } from "./decisions";
import { lostOf } from "./lost";
import { Backoff, Pace } from "./pace";
import { OWN, PAST_OPERATIONS, type Past, pastOf } from "./past";
import { type Rest, restNow } from "./rest";
import { countOf, Quiet } from "./traffic";

/** What an operator did, or why it did not. */
export interface Action {
  /** ISO 8601. */
  readonly at: string;
  readonly kind: "started" | "scale" | "repair" | "sleep" | "wake" | "hold" | "failed" | "stopped";
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
  /** Called at each look. */
  readonly seen: (state: { readonly asleep?: Date | undefined; readonly replicas: Replicas }) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Cancels an update that runs. */
  readonly engineSignal: AbortSignal;
  /** The stack's configuration now: it may change while this runs. */
  readonly config: () => DeploymentConfig;
}

/**
 * After as many failures in a row nothing is tried again until somebody else updates the stack. What is lost
 * again before a look has found all well counts as one: what is started again and again costs money, and
 * serves nobody. Going down and coming up is tried for ever: money runs until it has worked.
 */
const TRIES = 5;
const PAUSES = { firstPauseSeconds: 15, longestPauseSeconds: 900 };

/** What an operator does by an update. */
type Update = "scale" | "repair" | "sleep" | "wake";

/** Another update holds the stack's lock. */
const LOCKED = /the stack is currently locked|conflict: another update/i;

export class Operator {
  readonly #pace = new Pace();
  readonly #backoff: Readonly<Record<Update, Backoff>> = {
    scale: new Backoff({ tries: TRIES, ...PAUSES }),
    repair: new Backoff({ tries: TRIES, ...PAUSES }),
    sleep: new Backoff(PAUSES),
    wake: new Backoff(PAUSES),
  };
  readonly #quiet = new Quiet();
  #answered: Decision["id"] | undefined;
  /** What was told since the last action of something that lasts: it is told once. */
  readonly #told = new Set<string>();
  #nextDrift = 0;
  #nextCount = 0;
  #nextReset = 0;
  /** What the stack's file said when it was valid last. */
  #config: DeploymentConfig;
  /** A change of rest that failed, and may have stopped half-way. */
  #unfinished: Rest | undefined;

  /** @throws ConfigError if the stack's file is not valid. */
  constructor(
    private readonly stack: OpenStack,
    private readonly options: OperatorOptions,
  ) {
    this.#config = options.config();
  }

  /** Runs until it is cancelled, or the stack is destroyed. */
  async run(): Promise<void> {
    const { signal, lookSeconds } = this.options;
    const state = await this.#state();
    if (state === undefined) throw new OperationFailed(`Stack ${this.stack.stack} is not up. Bring it up.`);
    this.#tell("started", `operating ${this.stack.stack}`, state.replicas);
    while (!signal.aborted) {
      const now = await this.#state().catch((error: unknown) => this.#cannotTell(error));
      if (now === undefined) return this.#tell("stopped", `${this.stack.stack} was destroyed`, {});
      if (now !== "unknown") {
        this.options.seen(now);
        await this.#look(now).catch((error: unknown) => this.#cannotLook(error, now));
      }
      await sleep(lookSeconds * 1000, undefined, { signal }).catch(() => undefined);
    }
    this.#tell("stopped", "cancelled; the stack stays as it is", {});
  }

  #cannotTell(error: unknown): "unknown" {
    this.#once("failed", `the stack's outputs cannot be read: ${messageOf(error)}`, {});
    return "unknown";
  }

  #cannotLook(error: unknown, { replicas }: State): void {
    if (!this.options.signal.aborted) this.#once("failed", firstLine(error), replicas);
  }

  /** Reads the stack's file; while that is not valid, what it said before counts. */
  #readConfig({ replicas }: State): DeploymentConfig {
    try {
      this.#config = this.options.config();
    } catch (error) {
      this.#once("failed", `what the stack's file said before counts: ${firstLine(error)}`, replicas);
    }
    return this.#config;
  }

  /** Undefined if the stack is not up, and not asleep. */
  async #state(): Promise<State | undefined> {
    const outputs = await this.stack.outputs();
    const parsed = replicasSchema.safeParse(outputs["replicas"]);
    const replicas = parsed.success ? parsed.data : {};
    const { asleep, endpoint, deployment } = outputs;
    const mark = JSON.stringify([asleep, endpoint, replicas, deployment]);
    if (endpoint !== undefined) {
      // After an update that failed Pulumi has the outputs of before and after it.
      return { deployed: deployedOf(outputs), replicas, isHalf: asleep !== undefined, mark };
    }
    const since = asleepSince(outputs);
    return since === undefined ? undefined : { asleep: new Date(since), replicas, mark };
  }

  async #look(state: State): Promise<void> {
    const config = this.#readConfig(state);
    const due = dueAt(config, new Date());
    if (await this.#rest(state, config, due)) return;
    if (!isAwake(state)) return;
    const pools = boundsOf(scaledPools(config), due);
    const hasChanged = pools.length > 0 && (await this.#scale(state, config, pools));
    // After a change what is known of the stack is old.
    if (!hasChanged && Date.now() >= this.#nextDrift) await this.#repair(state);
  }

  /**
   * Takes it down, or brings it up, where its schedule or its idle time says so. @returns Whether it tried.
   */
  async #rest(state: State, config: DeploymentConfig, due: Due | undefined): Promise<boolean> {
    const { afterMinutes } = config.idle;
    if (isAwake(state) && afterMinutes !== undefined && Date.now() >= this.#nextCount) {
      const seconds = Math.min(this.options.driftSeconds, (afterMinutes * 60) / 4);
      this.#nextCount = Date.now() + seconds * 1000;
      this.#quiet.note(await this.#count(state), new Date());
    }
    let wanted = await this.#wanted(state, config, due);
    if (wanted?.isIdle && isAwake(state)) {
      // Somebody may have asked since.
      this.#quiet.note(await this.#count(state), new Date());
      wanted = await this.#wanted(state, config, due);
    }
    if (wanted === undefined) return false;
    const env = wanted.to === "sleep" ? { [ASLEEP_VARIABLE]: new Date().toISOString() } : {};
    const replicas = targetOf(state.replicas, {}, boundsOf(scaledPools(config), due));
    const done = await this.#up(wanted.to, wanted.why, state, replicas, env);
    this.#unfinished = done === "done" ? undefined : wanted;
    if (done === "done") this.#quiet.forget();
    return true;
  }

  async #wanted(state: State, config: DeploymentConfig, due: Due | undefined): Promise<Rest | undefined> {
    const { asleep } = state;
    // Asks Pulumi: only where it matters.
    const updated = isAwake(state) && due?.entry.down ? (await this.#past()).foreign : undefined;
    const known = { asleep, updated, quiet: this.#quiet.since };
    const isHalf = isAwake(state) && state.isHalf;
    return restNow(config, due, known, new Date()) ?? (isHalf ? this.#unfinished : undefined);
  }

  async #past(): Promise<Past> {
    return pastOf(await this.stack.history(PAST_OPERATIONS));
  }

  async #count(state: Awake): Promise<Awaited<ReturnType<typeof countOf>>> {
    try {
      return await this.#reached(state, (reach) => countOf(state.deployed, reach, this.options.signal));
    } catch {
      return undefined;
    }
  }

  /** @returns Whether an update was tried. */
  async #scale(state: Awake, config: DeploymentConfig, pools: readonly ScaledPool[]): Promise<boolean> {
    const decision = await this.#decision(state, pools);
    const target = targetOf(state.replicas, decision?.replicas ?? {}, pools);
    const changes = pools.flatMap(({ role }) => {
      const [from, to] = [state.replicas[role], target[role]];
      return from === to ? [] : [`${role} ${from ?? "?"} → ${to}`];
    });
    if (changes.length === 0) {
      this.#answered = decision?.id ?? this.#answered;
      return false;
    }
    const isPlanned = pools.every(({ role }) => (decision?.replicas[role] ?? target[role]) === target[role]);
    const what = `${decision !== undefined && isPlanned ? "the planner decides" : "the schedule asks for"} ${changes.join(", ")}`;
    const hold = this.#pace.hold(config.autoscale, Date.now());
    if (hold !== undefined) {
      const text = `${what}, not before ${clock(hold.until)}: ${hold.why}`;
      this.#once("hold", text, state.replicas, what);
      return false;
    }
    const done = await this.#up("scale", what, state, { ...state.replicas, ...target });
    // One that is refused is as good as carried out: the planner decides anew.
    if (done !== "failed") this.#answered = decision?.id ?? this.#answered;
    return true;
  }

  async #decision(state: Awake, pools: readonly ScaledPool[]): Promise<Decision | undefined> {
    const { signal } = this.options;
    try {
      return await this.#reached(state, (reach) =>
        lastDecision(state.deployed, reach, pools, this.#answered, signal),
      );
    } catch (error) {
      if (!signal.aborted)
        this.#once("failed", `the planner's node does not answer: ${messageOf(error)}`, state.replicas);
      return undefined;
    }
  }

  async #reached<T>({ deployed }: Awake, work: (reach: Reach) => Promise<T>): Promise<T> {
    const reach = await reachNodes(deployed, this.options.signal);
    try {
      return await work(reach);
    } finally {
      reach.close();
    }
  }

  /** Looks for what is lost, and repairs it. */
  async #repair(state: Awake): Promise<void> {
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
    if (done === "done") this.#backoff.repair.failed(Date.now());
  }

  /**
   * @param replicas Default: as many as there are.
   * @param env Further variables of the program.
   */
  async #up(
    kind: Update,
    why: string,
    state: State,
    replicas: Replicas = state.replicas,
    env: Readonly<Record<string, string>> = {},
  ): Promise<"done" | "refused" | "failed"> {
    const { signal, engineSignal } = this.options;
    const backoff = this.#backoff[kind];
    if (!backoff.mayTry(Date.now())) {
      await this.#startAnew(backoff);
      return "failed";
    }
    if (!(await this.#isStill(state))) return "failed";
    try {
      const { seconds } = await this.stack.up({
        signal: engineSignal,
        mustExist: true,
        message: OWN + why,
        env: { [REPLICAS_VARIABLE]: JSON.stringify(replicas), ...env },
      });
      if (kind !== "repair") backoff.succeeded();
      if (kind === "scale") this.#pace.note(Date.now());
      this.#tell(kind, why, replicas, seconds);
      return "done";
    } catch (error) {
      return signal.aborted ? "failed" : this.#failed(kind, why, state, error);
    }
  }

  /** Whether the stack is as it was looked at: a person may have changed it since, or begun to destroy it. */
  async #isStill(state: State): Promise<boolean> {
    const [now, past] = [await this.#state(), await this.#past()];
    if (!past.isBeingDestroyed) return now?.mark === state.mark;
    const text = "the last operation was `destroy`: nothing is done until it has ended, or `up` has";
    this.#once("hold", text, state.replicas);
    return false;
  }

  /** After it has given up: once somebody has updated the stack since, it tries again. */
  async #startAnew(backoff: Backoff): Promise<void> {
    if (backoff.gaveUp === undefined || Date.now() < this.#nextReset) return;
    this.#nextReset = Date.now() + this.options.driftSeconds * 1000;
    const { foreign } = await this.#past();
    if (foreign !== undefined && foreign.getTime() > backoff.gaveUp) backoff.succeeded();
  }

  #failed(kind: Update, why: string, { replicas }: State, error: unknown) {
    const message = firstLine(error);
    if (LOCKED.test(messageOf(error))) {
      const text = "another update of the stack runs, or was killed: `pulumi cancel` ends the lock of that";
      this.#once("hold", `${why}: ${text}`, replicas);
      return "failed";
    }
    if (error instanceof UsageProblem && kind === "scale") {
      // Beyond a limit, as for a person: nothing was changed.
      this.#pace.noteRefused(Date.now());
      this.#once("hold", `${why}: refused. ${message}`, replicas);
      return "refused";
    }
    const pause = this.#backoff[kind].failed(Date.now());
    const next =
      pause === undefined
        ? `after ${TRIES} failures nothing is tried again until somebody has run \`up\``
        : `tried again in ${pause} s`;
    this.#tell("failed", `${why}: ${message} (${next})`, replicas);
    return "failed";
  }

  #tell(kind: Action["kind"], text: string, replicas: Replicas, seconds?: number): void {
    this.#told.clear();
    this.#say(kind, text, replicas, seconds);
  }

  /** @param what What stays the same while it lasts. Default: the text. */
  #once(kind: Action["kind"], text: string, replicas: Replicas, what = text): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    this.#say(kind, text, replicas);
  }

  #say(kind: Action["kind"], text: string, replicas: Replicas, seconds?: number): void {
    const at = new Date().toISOString();
    this.options.tell({ at, kind, text, replicas, ...(seconds === undefined ? {} : { seconds }) });
  }
}

/** A stack that runs. */
interface Awake {
  readonly deployed: Deployed;
  readonly replicas: Replicas;
  readonly asleep?: undefined;
  /** Whether taking it down, or bringing it up, has failed. */
  readonly isHalf: boolean;
  /** Differs after each update that changes what runs. */
  readonly mark: string;
}

/** One of which nothing runs. */
interface Asleep {
  readonly asleep: Date;
  readonly replicas: Replicas;
  readonly mark: string;
}

type State = Awake | Asleep;

const isAwake = (state: State): state is Awake => state.asleep === undefined;

/** As many as were decided, else as there are; within the bounds of now. */
function targetOf(now: Replicas, decided: Replicas, pools: readonly ScaledPool[]): Replicas {
  return Object.fromEntries(
    pools.map(({ role, min, max, replicas }) => {
      const wanted = decided[role] ?? now[role] ?? replicas;
      return [role, Math.min(Math.max(wanted, min), max)];
    }),
  );
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
