/** Keeps a stack as it should be, and as large as its planner decides, through Pulumi. */
import { setTimeout as sleep } from "node:timers/promises";
import { ASLEEP_VARIABLE, WORKERS_DOWN_VARIABLE } from "../../components/operated";
import type { DeploymentConfig } from "../../config/deployment";
import type { IdleEnd } from "../../config/schedule";
import { type Replicas, type ScaledPool, scaledPools } from "../../plan/scale";
import { boundsOf, type Due, dueAt } from "../../plan/schedule";
import { notUp } from "../deployment/running";
import type { OpenStack } from "../pulumi/openStack";
import type { PolicyPackChoice } from "../pulumi/policyPacks";
import type { Decision } from "./decisions";
import { type Action, clock, firstLines, Journal } from "./journal";
import type { Nodes } from "./nodes";
import { Pace } from "./pace";
import { type Rest, restNow, type Sleep } from "./rest";
import { mayFallBack, SpotTries } from "./spot";
import { type Awake, isAwake, restsSince, type State, stateOf } from "./state";
import { Quiet } from "./traffic";
import { Unanswered } from "./unanswered";
import { type Outcome, Updates } from "./updates";

export interface OperatorOptions {
  /** Time between two looks for a decision, seconds. */
  readonly lookSeconds: number;
  /** Time between two looks for drift, seconds. */
  readonly driftSeconds: number;
  readonly tell: (action: Action) => void;
  /** Called at each look. */
  readonly seen: (state: State) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Cancels an update that runs. */
  readonly engineSignal: AbortSignal;
  /** What its updates have to keep to. */
  readonly policyPacks: readonly PolicyPackChoice[];
  /** Those of the deployment. */
  readonly nodes: Nodes;
  /** The stack's configuration now: it may change while this runs. */
  readonly config: () => DeploymentConfig;
}

export class Operator {
  readonly #journal: Journal;
  readonly #updates: Updates;
  readonly #unanswered: Unanswered;
  readonly #pace = new Pace();
  readonly #quiet = new Quiet();
  readonly #spot = new SpotTries();
  #answered: Decision["id"] | undefined;
  #nextDrift = 0;
  #nextCount = 0;
  /** What the stack's file said when it was valid last. */
  #config: DeploymentConfig;
  /** A change of rest that may have stopped half-way. */
  #unfinished: Rest | undefined;

  /** @throws ConfigError if the stack's file is not valid. */
  constructor(
    private readonly stack: Pick<OpenStack, "stack" | "project" | "outputs" | "history" | "up">,
    private readonly options: OperatorOptions,
  ) {
    this.#config = options.config();
    this.#journal = new Journal(options.tell);
    const { signal, engineSignal, policyPacks, driftSeconds: resetSeconds } = options;
    const journal = this.#journal;
    const unanswered = new Unanswered(journal, signal);
    this.#unanswered = unanswered;
    this.#updates = new Updates(stack, {
      journal,
      unanswered,
      signal,
      engineSignal,
      policyPacks,
      resetSeconds,
    });
  }

  /** Runs until it is cancelled, or the stack is destroyed. */
  async run(): Promise<void> {
    const { signal, lookSeconds } = this.options;
    const state = await stateOf(this.stack);
    if (state === undefined) throw notUp(this.stack);
    this.#journal.tell("started", `operating ${this.stack.stack}`, state.replicas);
    this.#unfinished = unfinishedRest(state);
    while (!signal.aborted) {
      const read = () => stateOf(this.stack);
      const now = await this.#unanswered.ask("the stack's outputs cannot be read", {}, read);
      if (now !== undefined) {
        if (now.is === undefined)
          return this.#journal.tell("stopped", `${this.stack.stack} was destroyed`, {});
        const state = now.is;
        this.options.seen(state);
        await this.#unanswered.ask("this look has failed", state.replicas, () => this.#look(state));
      }
      await sleep(lookSeconds * 1000, undefined, { signal }).catch(() => undefined);
    }
    this.#journal.tell("stopped", "cancelled; the stack stays as it is", {});
  }

  /** Reads the stack's file; while that is not valid, what it said before counts. */
  async #readConfig({ replicas }: State): Promise<DeploymentConfig> {
    const what = "what the stack's file said before counts";
    this.#config = (await this.#unanswered.ask(what, replicas, this.options.config))?.is ?? this.#config;
    return this.#config;
  }

  async #look(state: State): Promise<void> {
    const config = await this.#readConfig(state);
    const due = dueAt(config, new Date());
    if (await this.#rest(state, config, due)) return;
    if (!isAwake(state)) return;
    const pools = state.workersDown === undefined ? boundsOf(scaledPools(config), due) : [];
    const hasChanged = pools.length > 0 && (await this.#scale(state, config, pools));
    // After a change what is known of the stack is old.
    if (!hasChanged && Date.now() >= this.#nextDrift) await this.#repair(state);
  }

  /**
   * Takes it down, or brings it up, where its schedule or its idle time says so. @returns Whether it tried.
   */
  async #rest(state: State, config: DeploymentConfig, due: Due | undefined): Promise<boolean> {
    const { afterMinutes } = config.idle;
    const mayDoze = isAwake(state) && state.workersDown === undefined;
    if (mayDoze && afterMinutes !== undefined && Date.now() >= this.#nextCount) {
      const seconds = Math.min(this.options.driftSeconds, (afterMinutes * 60) / 4);
      this.#nextCount = Date.now() + seconds * 1000;
      await this.#count(state);
    }
    let wanted = await this.#wanted(state, config, due);
    if (wanted?.to === "sleep" && wanted.isIdle && isAwake(state)) {
      // Somebody may have asked since.
      await this.#count(state);
      wanted = await this.#wanted(state, config, due);
    }
    if (wanted === undefined) return false;
    const env = wanted.to === "sleep" ? restVariable(wanted.what, sinceOf(wanted.what, state)) : {};
    const replicas = targetOf(state.replicas, {}, boundsOf(scaledPools(config), due));
    const done = await this.#updates.carryOut({ kind: wanted.to, why: wanted.why, state, replicas, env });
    this.#unfinished = done === "done" ? undefined : wanted;
    if (done === "done") this.#quiet.forget();
    return true;
  }

  async #count({ deployed, replicas }: Awake): Promise<void> {
    const what = "whether requests come cannot be found out";
    const counted = await this.#unanswered.ask(what, replicas, () => this.options.nodes.count(deployed));
    this.#quiet.note(counted?.is, new Date());
  }

  async #wanted(state: State, config: DeploymentConfig, due: Due | undefined): Promise<Rest | undefined> {
    const { asleep, workersDown } = state;
    // Asks Pulumi: only where it matters.
    const updated = isAwake(state) && due?.entry.down ? (await this.#updates.past()).foreign : undefined;
    const asked = isAwake(state) && workersDown !== undefined ? await this.#asked(state) : undefined;
    const known = { asleep, workersDown, asked, updated, quiet: this.#quiet.since };
    return restNow(config, due, known, new Date()) ?? this.#toFinish(state);
  }

  /** A change of rest that has stopped half-way. */
  #toFinish(state: State): Rest | undefined {
    const last = this.#unfinished;
    if (!isAwake(state) || !state.isHalf)
      return last?.to === "sleep" && restsSince(state) !== undefined ? last : undefined;
    const isComing = state.workersDown !== undefined;
    return last ?? (isComing ? { to: "wake", why: "its workers have come back in part" } : undefined);
  }

  async #asked({ deployed, replicas }: Awake): Promise<Date | undefined> {
    const what = "whether somebody has asked cannot be found out";
    return (await this.#unanswered.ask(what, replicas, () => this.options.nodes.asked(deployed)))?.is;
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
      const text = `${what}, not before ${clock(new Date(hold.until))}: ${hold.why}`;
      this.#journal.once("hold", text, state.replicas, what);
      return false;
    }
    const done = await this.#carryOut(what, state, { ...state.replicas, ...target });
    // One that is refused is as good as carried out: the planner decides anew.
    if (done !== "failed") this.#answered = decision?.id ?? this.#answered;
    return true;
  }

  async #carryOut(why: string, state: Awake, replicas: Replicas): Promise<Outcome> {
    const outcome = await this.#updates.carryOut({ kind: "scale", why, state, replicas });
    if (outcome === "done") this.#pace.note(Date.now());
    if (outcome === "refused") this.#pace.noteRefused(Date.now());
    return outcome;
  }

  async #decision(
    { deployed, replicas }: Awake,
    pools: readonly ScaledPool[],
  ): Promise<Decision | undefined> {
    const ask = () => this.options.nodes.decision(deployed, pools, this.#answered);
    return (await this.#unanswered.ask("the planner's node does not answer", replicas, ask))?.is;
  }

  /** Looks for what is lost, and repairs it. */
  async #repair(state: Awake): Promise<void> {
    const { driftSeconds, nodes } = this.options;
    this.#nextDrift = Date.now() + driftSeconds * 1000;
    const what = "what runs cannot be found out";
    const found = await this.#unanswered.ask(what, state.replicas, () => nodes.lost(state.deployed));
    if (found === undefined) return;
    const lost = found.is;
    if (lost.length === 0) {
      this.#updates.foundWell();
      return state.workersDown === undefined ? this.#backToSpot(state) : undefined;
    }
    const { workersDown } = state;
    const env = workersDown === undefined ? {} : restVariable("workers-down", workersDown);
    await this.#updates.carryOut({ kind: "repair", why: lost.join("; "), state, env });
  }

  /** Has one replica that is on demand for want of a spot instance launched anew, which tries spot first. */
  async #backToSpot(state: Awake): Promise<void> {
    const names = this.#spot.isDue(Date.now()) ? mayFallBack(this.#config, state.replicas) : [];
    if (names.length === 0) return;
    const { nodes, signal } = this.options;
    const { deployed, replicas } = state;
    const what = "which replicas are on demand cannot be found out";
    const known = await this.#unanswered.ask(what, replicas, () => nodes.onDemand(deployed, names));
    const found = known && this.#spot.chosen(known.is, Date.now());
    if (found === undefined) return;
    try {
      await nodes.giveBack(deployed, found);
    } catch (error) {
      const text = `${found.name}, which is on demand, cannot be given back: ${firstLines(error)}`;
      if (!signal.aborted) this.#journal.tell("failed", text, replicas);
      return;
    }
    const why = `${found.name} was on demand for want of a spot instance, which is tried again`;
    await this.#updates.carryOut({ kind: "repair", why, state });
  }
}

/** As many as were decided, else as there are; within the bounds of now. */
function targetOf(now: Replicas, decided: Replicas, pools: readonly ScaledPool[]): Replicas {
  return Object.fromEntries(
    pools.map(({ role, min, max, replicas }) => {
      const wanted = decided[role] ?? now[role] ?? replicas;
      return [role, Math.min(Math.max(wanted, min), max)];
    }),
  );
}

/** Tells the program what is to rest. */
function restVariable(what: IdleEnd, since: Date): Record<string, string> {
  return { [what === "down" ? ASLEEP_VARIABLE : WORKERS_DOWN_VARIABLE]: since.toISOString() };
}

/** Since when that rests; now if it does not. */
function sinceOf(what: IdleEnd, state: State): Date {
  return (what === "down" ? state.asleep : state.workersDown) ?? new Date();
}

/**
 * What an operator before this one has begun, and has perhaps not ended: Pulumi notes that a stack rests
 * before it deletes what is to go.
 */
function unfinishedRest(state: State): Sleep | undefined {
  const since = restsSince(state);
  if (since === undefined || (isAwake(state) && state.isHalf)) return undefined;
  const what = isAwake(state) ? "workers-down" : "down";
  return { to: "sleep", what, why: `asleep since ${since.toISOString()}: nothing of it is to be left` };
}
