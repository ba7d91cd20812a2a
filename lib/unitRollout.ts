/**
 * Changes a unit of a pool when its turn comes (`rollout.ts`), and proves that it serves before the next one
 * is changed. Nodes are asked by their agents, wherever they are.
 */
import { CausedFailure, UserError } from "./errors";
import type { NodeShell } from "./nodes";
import { beginUnit, callFromNode, finishUnit, pendingChange, type UnitsState, unitsState } from "./nodeUnits";
import { poll } from "./poll";
import type { Probe } from "./probe";
import { type ProcessId, startTime } from "./processes";
import { type Proof, prove, workerId } from "./proof";
import { continueHint, stopRollout, type Turn, takeTurn, type UnitState, unitState } from "./rollout";
import type { VerbContext } from "./verb";

/** After which a proof does without what others lack. */
const ELSEWHERE_SECONDS = 20;

/** Replicas that are changed one after the other. */
export interface RollingPool {
  /** `decode`, `frontend`; with a number where there are several pools of a role. */
  readonly name: string;
  readonly units: readonly {
    readonly cluster: string;
    readonly unit: string;
    /** Nodes of the cluster that have programs of it. */
    readonly ranks: readonly number[];
  }[];
  /** How many may be away at a time. */
  readonly maxUnavailable: number;
  /** How long a changed one must have served before the next one is changed. */
  readonly minReadySeconds: number;
  /**
   * What a prefill and a decode worker must share to exchange caches: those of another generation are changed
   * at once, since an old one must not meet a new one. Absent without disaggregation.
   */
  readonly generation?: string;
  /**
   * Request field with which Dynamo sends a request to one of its workers, and where the answer names it.
   * Absent where requests cannot be sent to one.
   */
  readonly pin?: { readonly ask: string; readonly seen: string };
}

/** How a deployment's units are changed while it serves. */
export interface Rollout {
  /** Pools whose replicas are changed one after the other; those of all others are changed at once. */
  readonly pools: readonly RollingPool[];
  /** Base URLs of the frontends for their own node; may hold placeholders. */
  readonly frontends: readonly string[];
  /** Cluster of the frontends; they are on its first node. */
  readonly home: string;
  readonly model: string;
  /** What proves a replica. */
  readonly request: Proof["request"];
}

interface Program {
  readonly name: string;
  readonly role: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly health: Probe;
  readonly stopSeconds: number;
}

/** A unit to change. */
export interface ChangedUnit {
  readonly cluster: string;
  readonly unit: string;
  readonly nodes: readonly { readonly rank: number; readonly programs: readonly Program[] }[];
  /** Time limit for its programs to become healthy. */
  readonly timeoutSeconds: number;
}

/** Where units run. */
export interface RolloutNodes {
  /** Directory on this machine of what the commands of a pool tell each other. */
  readonly directory: string;
  /** How to reach a node; undefined if there is none. */
  readonly shellOf: (cluster: string, rank: number) => Promise<NodeShell | undefined>;
}

/** The rollout of one unit's pool. */
export class UnitRollout {
  readonly #input: ChangedUnit;
  readonly #rollout: Rollout;
  readonly #pool: RollingPool;
  readonly #nodes: RolloutNodes;
  readonly #began = new Date();
  /** This process, as the one that changes the unit. */
  readonly owner: ProcessId = { pid: process.pid, startTime: startTime(process.pid) ?? "" };

  private constructor(input: ChangedUnit, rollout: Rollout, pool: RollingPool, nodes: RolloutNodes) {
    this.#input = input;
    this.#rollout = rollout;
    this.#pool = pool;
    this.#nodes = nodes;
  }

  /** Undefined if the unit is changed at once, whatever others do. */
  static of(input: ChangedUnit, rollout: Rollout | undefined, nodes: RolloutNodes): UnitRollout | undefined {
    const pool = rollout?.pools.find(({ units }) =>
      units.some(({ cluster, unit }) => cluster === input.cluster && unit === input.unit),
    );
    return rollout && pool && new UnitRollout(input, rollout, pool, nodes);
  }

  /** What the unit runs for, to be kept with it: workers of another one must not meet it. */
  get generation(): string | undefined {
    return this.#pool.generation;
  }

  /** How long the change of the unit may take with its wait, if each change takes so long. Unit: seconds. */
  limitSeconds(changeSeconds: number): number {
    return this.#waitSeconds(changeSeconds) + this.#turnSeconds(changeSeconds);
  }

  /**
   * Changes the unit when its turn comes, and proves it if it is replaced.
   *
   * @param changeSeconds How long the change of one may take.
   * @throws UserError if that fails, with what it means for the others of the pool, and what to do.
   */
  async change(change: () => Promise<void>, changeSeconds: number, context: VerbContext): Promise<void> {
    const isReplaced = await this.#takeTurn(changeSeconds, context);
    try {
      await change();
      if (isReplaced) await this.#prove(context);
    } catch (error) {
      stopRollout(this.#place());
      throw isReplaced ? this.#stopped(error) : error;
    }
    await this.#onNodes((shell) => finishUnit(shell, this.#input.unit, context.signal));
  }

  /** How long it may wait for its turn. */
  #waitSeconds(changeSeconds: number): number {
    const { units, maxUnavailable } = this.#pool;
    return Math.ceil(units.length / maxUnavailable) * this.#turnSeconds(changeSeconds);
  }

  #turnSeconds(changeSeconds: number): number {
    return changeSeconds + this.#input.timeoutSeconds + this.#pool.minReadySeconds;
  }

  /** The failure, with what it means for the others of the pool, and what to do. */
  #stopped(error: unknown): unknown {
    if (!(error instanceof UserError)) return error;
    const pool = this.#pool.name;
    const advice = `The rollout of ${pool} stops here: the others serve as before. ${continueHint({ pool })}`;
    const message = `${error.message}\n${advice}`;
    if (!(error instanceof CausedFailure)) return new UserError(message);
    return new CausedFailure(error.who, error.reason, message, [error.own ?? [], advice].flat().join("\n"));
  }

  /** Waits for the unit's turn. @returns whether it is to be proven afterwards. */
  async #takeTurn(changeSeconds: number, context: VerbContext): Promise<boolean> {
    const { unit, nodes } = this.#input;
    const { signal } = context;
    const pending = await Promise.all(
      nodes.map(async ({ rank, programs }) =>
        pendingChange(await this.#shell(this.#input.cluster, rank), unit, programs, signal),
      ),
    );
    const { generation } = this.#pool;
    const turn: Turn = {
      ...this.#place(),
      maxUnavailable: this.#pool.maxUnavailable,
      timeoutSeconds: this.#waitSeconds(changeSeconds),
      began: this.#began,
      look: () => this.#look(signal),
      restarts: async () => pending.some(({ changed }) => changed.length > 0),
      isApart:
        generation !== undefined &&
        pending.some(({ generation: before }) => before !== null && before !== generation),
      begin: () => this.#onNodes((shell) => beginUnit(shell, unit, this.owner, signal)),
    };
    return takeTurn(turn, context);
  }

  #place(): Pick<Turn, "directory" | "pool" | "unit"> {
    return { directory: this.#nodes.directory, pool: this.#pool.name, unit: this.#input.unit };
  }

  async #onNodes(action: (shell: NodeShell) => Promise<void>): Promise<void> {
    const { cluster, nodes } = this.#input;
    await Promise.all(nodes.map(async ({ rank }) => action(await this.#shell(cluster, rank))));
  }

  async #shell(cluster: string, rank: number): Promise<NodeShell> {
    const shell = await this.#nodes.shellOf(cluster, rank);
    if (shell !== undefined) return shell;
    throw new UserError(`Node ${rank} of ${cluster} does not exist any more: run \`pulumi up\` again.`);
  }

  async #look(signal: AbortSignal): Promise<Map<string, UnitState>> {
    const { units } = this.#pool;
    const asked = new Map<string, Promise<UnitsState["programs"] | undefined>>();
    const programsOf = (cluster: string, rank: number) => {
      const key = `${cluster} ${rank}`;
      const programs = asked.get(key) ?? this.#programs(cluster, rank, signal);
      asked.set(key, programs);
      return programs;
    };
    const states = units.map(async ({ cluster, unit, ranks }) => {
      const seen = await Promise.all(ranks.map((rank) => programsOf(cluster, rank)));
      // Of a node that does not answer nobody knows, so nothing is changed because of it.
      if (seen.includes(undefined)) return [unit, "down"] as const;
      const own = seen.flatMap((programs) => programs ?? []).filter((program) => program.unit === unit);
      return [unit, unitState(own)] as const;
    });
    return new Map(await Promise.all(states));
  }

  /** All programs on a node, none if it is gone; undefined if it does not answer. */
  async #programs(
    cluster: string,
    rank: number,
    signal: AbortSignal,
  ): Promise<UnitsState["programs"] | undefined> {
    const shell = await this.#nodes.shellOf(cluster, rank);
    if (shell === undefined) return [];
    try {
      return (await unitsState(shell, 0, signal)).programs;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  /**
   * Waits until the unit has answered a request that only it can have answered, and has served for as long as
   * the pool asks.
   *
   * @throws UserError if it does not, or ends meanwhile.
   */
  async #prove(context: VerbContext): Promise<void> {
    const before = await this.#processes(context.signal);
    for (const node of this.#input.nodes) {
      for (const program of node.programs) {
        if (program.role === "frontend" || program.ports["rpc"] !== undefined)
          await this.#proveProgram(program, node.rank, context);
      }
    }
    const { minReadySeconds } = this.#pool;
    const until = performance.now() + minReadySeconds * 1000;
    const { progress, signal } = context;
    await poll({
      timeoutSeconds: minReadySeconds,
      progress,
      signal,
      check: async () => {
        const now = await this.#processes(signal);
        const lost = before.find((one) => !now.includes(one));
        if (lost !== undefined) throw new UserError(`${lost.split(" ")[0]} has ended after it had answered.`);
        const left = Math.ceil((until - performance.now()) / 1000);
        return left > 0 ? `${this.#input.unit} to have served for ${minReadySeconds} s` : undefined;
      },
    });
  }

  /** Name and process id of each program. */
  async #processes(signal: AbortSignal): Promise<string[]> {
    const { cluster, unit, nodes } = this.#input;
    const states = nodes.map(async ({ rank }) => unitsState(await this.#shell(cluster, rank), 0, signal));
    const programs = (await Promise.all(states)).flatMap((state) => state.programs);
    return programs.filter((one) => one.unit === unit).map(({ name, pid }) => `${name} ${pid}`);
  }

  async #proveProgram(program: Program, rank: number, context: VerbContext): Promise<void> {
    const { timeoutSeconds } = this.#input;
    const { progress, signal } = context;
    const started = performance.now();
    let isElsewhere = false;
    const missing = await poll({
      timeoutSeconds,
      progress,
      signal,
      check: async () => {
        const proven = await prove(await this.#proof(program, rank, signal));
        if (proven.kind === "proven") return undefined;
        isElsewhere = proven.kind === "elsewhere" && performance.now() - started > ELSEWHERE_SECONDS * 1000;
        return isElsewhere ? undefined : `${program.name} to answer a request: ${proven.missing}`;
      },
    });
    if (missing !== undefined) {
      throw new UserError(
        `${program.name} is healthy, but was not proven to serve within ${timeoutSeconds} s: waited for ${missing}.`,
      );
    }
    const what = isElsewhere ? "is healthy; nothing can prove yet that it answers" : "has answered a request";
    progress.line(`${program.name} ${what}`);
  }

  /** Frontends answer on their own node alone where a gateway is in front of them, so it asks them. */
  async #proof({ role, health }: Program, rank: number, signal: AbortSignal): Promise<Proof> {
    const { home, frontends, model, request } = this.#rollout;
    const url = health.kind === "http" ? health.url : "";
    const head = await this.#shell(home, 0);
    const call: Proof["call"] = (...asked) => callFromNode(head, ...asked, signal);
    if (role === "frontend") {
      const own = frontends.filter((base) => url.startsWith(`${base}/`));
      return { frontends: own, model, request, role, call };
    }
    const { pin } = this.#pool;
    const node = pin && (await this.#shell(this.#input.cluster, rank));
    const id = node && (await workerId(url, (...asked) => callFromNode(node, ...asked, signal)));
    const worker = pin === undefined || id === undefined ? undefined : { ...pin, id };
    return { frontends, model, request, worker, role, call };
  }
}
