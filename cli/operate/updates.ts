/** Carries out what an operator wants, by updates of Pulumi, and spaces what fails. */
import { CHANGED_SINCE, DECIDED_BY_VARIABLE, REPLICAS_VARIABLE } from "../../components/operated";
import { messageOf } from "../../lib/run";
import type { Replicas } from "../../plan/scale";
import type { OpenStack } from "../pulumi/openStack";
import type { PolicyPackChoice } from "../pulumi/policyPacks";
import { UsageProblem } from "../pulumi/problem";
import { firstLines, type Journal } from "./journal";
import { Backoff } from "./pace";
import { OWN, PAST_OPERATIONS, type Past, pastOf } from "./past";
import { type State, stateOf } from "./state";
import type { Unanswered } from "./unanswered";

/**
 * After as many failures in a row nothing is tried again until somebody else updates the stack. What is lost
 * again before a look has found all well counts as one: what is started again and again costs money, and
 * serves nobody. Going down and coming up is tried for ever: money runs until it has worked.
 */
export const TRIES = 5;
const PAUSES = { firstPauseSeconds: 15, longestPauseSeconds: 900 };

/** Why an operator updates a stack. */
type Kind = "scale" | "repair" | "sleep" | "wake";

/** `refused`: beyond a limit, so that nothing was changed. */
export type Outcome = "done" | "refused" | "failed";

/** Another update holds the stack's lock. */
const LOCKED = /the stack is currently locked|conflict: another update/i;

/** An update, and what it is for. */
export interface Update {
  readonly kind: Kind;
  /** One line. */
  readonly why: string;
  /** What was seen when it was decided. */
  readonly state: State;
  /** Default: as many as there are. */
  readonly replicas?: Replicas;
  /** Further variables of the program. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface UpdatesOptions {
  readonly journal: Journal;
  readonly unanswered: Unanswered;
  /** Ends the operator: what fails then is not told. */
  readonly signal: AbortSignal;
  /** Cancels an update that runs. */
  readonly engineSignal: AbortSignal;
  /** What its updates have to keep to. */
  readonly policyPacks: readonly PolicyPackChoice[];
  /** Least time between two looks for an update of somebody else, seconds. */
  readonly resetSeconds: number;
}

export class Updates {
  readonly #backoff: Readonly<Record<Kind, Backoff>> = {
    scale: new Backoff({ tries: TRIES, ...PAUSES }),
    repair: new Backoff({ tries: TRIES, ...PAUSES }),
    sleep: new Backoff(PAUSES),
    wake: new Backoff(PAUSES),
  };
  #nextReset = 0;

  constructor(
    private readonly stack: Pick<OpenStack, "outputs" | "history" | "up">,
    private readonly options: UpdatesOptions,
  ) {}

  async past(): Promise<Past> {
    return pastOf(await this.stack.history(PAST_OPERATIONS));
  }

  /** All that should run does. */
  foundWell(): void {
    this.#backoff.repair.succeeded();
  }

  async carryOut(update: Update): Promise<Outcome> {
    const { journal, signal, engineSignal, policyPacks } = this.options;
    const { kind, why, state, replicas = state.replicas, env } = update;
    const backoff = this.#backoff[kind];
    if (!backoff.mayTry(Date.now())) {
      await this.#startAnew(backoff, state);
      return "failed";
    }
    if (!(await this.#isStill(state))) return "failed";
    try {
      const { seconds } = await this.stack.up({
        signal: engineSignal,
        mustExist: true,
        policyPacks,
        message: OWN + why,
        env: {
          [REPLICAS_VARIABLE]: JSON.stringify(replicas),
          [DECIDED_BY_VARIABLE]: state.mark,
          ...env,
        },
      });
      // What was repaired may be lost again at once.
      if (kind === "repair") backoff.failed(Date.now());
      else backoff.succeeded();
      journal.tell(kind, why, replicas, seconds);
      return "done";
    } catch (error) {
      return signal.aborted ? "failed" : this.#failed(update, error);
    }
  }

  /** Whether the stack is as it was looked at: a person may have changed it since, or begun to destroy it. */
  async #isStill(state: State): Promise<boolean> {
    const what = "whether somebody else has changed the stack cannot be found out";
    const found = await this.options.unanswered.ask(what, state.replicas, async () => ({
      now: await stateOf(this.stack),
      past: await this.past(),
    }));
    if (found === undefined) return false;
    const { now, past } = found.is;
    if (!past.isBeingDestroyed) return now?.mark === state.mark;
    const text = "the last operation was `destroy`: nothing is done until it has ended, or `up` has";
    this.options.journal.once("hold", text, state.replicas);
    return false;
  }

  /** After it has given up: once somebody has updated the stack since, it tries again. */
  async #startAnew(backoff: Backoff, { replicas }: State): Promise<void> {
    if (backoff.gaveUp === undefined || Date.now() < this.#nextReset) return;
    this.#nextReset = Date.now() + this.options.resetSeconds * 1000;
    const what = "whether somebody has updated the stack cannot be found out";
    const foreign = (await this.options.unanswered.ask(what, replicas, () => this.past()))?.is.foreign;
    if (foreign !== undefined && foreign.getTime() > backoff.gaveUp) backoff.succeeded();
  }

  #failed({ kind, why, state: { replicas } }: Update, error: unknown): Outcome {
    const { journal } = this.options;
    const message = firstLines(error);
    if (messageOf(error).includes(CHANGED_SINCE)) {
      journal.once("hold", `${why}: ${CHANGED_SINCE}`, replicas);
      return "failed";
    }
    if (LOCKED.test(messageOf(error))) {
      const text = "another update of the stack runs, or was killed: `pulumi cancel` ends the lock of that";
      journal.once("hold", `${why}: ${text}`, replicas);
      return "failed";
    }
    if (error instanceof UsageProblem) {
      // Beyond a limit, as for a person: nothing was changed. A price may be within it again by itself.
      if (kind !== "scale") this.#backoff[kind].refused(Date.now());
      journal.once("hold", `${why}: refused. ${message}`, replicas);
      return "refused";
    }
    const pause = this.#backoff[kind].failed(Date.now());
    const next =
      pause === undefined
        ? `after ${TRIES} failures nothing is tried again until somebody has run \`up\``
        : `tried again in ${pause} s`;
    journal.tell("failed", `${why}: ${message} (${next})`, replicas);
    return "failed";
  }
}
