/** Changes the units of a pool one after the other on this machine's clusters. */
import { join } from "node:path";
import type { z } from "zod";
import { tasks } from "../config/task";
import { UserError } from "../lib/errors";
import { beginUnit, changedPrograms, finishUnit, type UnitsState, unitsState } from "../lib/nodeUnits";
import { poll } from "../lib/poll";
import { fillIn } from "../lib/probe";
import { type ProcessId, startTime } from "../lib/processes";
import { type Proof, prove, workerId } from "../lib/proof";
import { stopRollout, type Turn, takeTurn, type UnitState, unitState } from "../lib/rollout";
import type { VerbContext } from "../lib/verb";
import { baseUrl, WORKER_PINS } from "../plan/rollout";
import type { ProgramPlan } from "../plan/types";
import { clusterDirectory, nodeDirectory, ranksOnDisk, readIfThere } from "./directories";
import { writeFiles } from "./node";
import { findNodeRecord, nodeShell, placeholdersOf, readNodeRecord } from "./record";
import { type LocalPrograms, localRolloutSchema } from "./spec";

type Rollout = z.output<typeof localRolloutSchema>;
type Pool = Rollout["pools"][number];

const FILE = "rollout.json";
/** What the commands of a pool tell each other, in the directory of the frontends' cluster. */
const DIRECTORY = "rollouts";
const ANSWER_TOKENS = 4;
/** After which a proof does without what others lack. */
const ELSEWHERE_SECONDS = 20;

/** Keeps how the cluster's units are changed, for the commands that do. */
export function writeRollout(cluster: string, rollout: Rollout | undefined): void {
  writeFiles(clusterDirectory(cluster), { [FILE]: JSON.stringify(rollout ?? null) });
}

function readRollout(cluster: string): Rollout | undefined {
  const text = readIfThere(join(clusterDirectory(cluster), FILE));
  if (text === undefined) return undefined;
  return localRolloutSchema.nullable().parse(JSON.parse(text)) ?? undefined;
}

/** The rollout of one unit's pool. */
export class UnitRollout {
  readonly #input: LocalPrograms;
  readonly #rollout: Rollout;
  readonly #pool: Pool;
  readonly #began = new Date();
  /** This process, as the one that changes the unit. */
  readonly owner: ProcessId = { pid: process.pid, startTime: startTime(process.pid) ?? "" };

  private constructor(input: LocalPrograms, rollout: Rollout, pool: Pool) {
    this.#input = input;
    this.#rollout = rollout;
    this.#pool = pool;
  }

  /** Undefined if the unit is changed at once, whatever others do. */
  static of(input: LocalPrograms): UnitRollout | undefined {
    const rollout = readRollout(input.cluster);
    const pool = rollout?.pools.find(({ units }) =>
      units.some(({ cluster, unit }) => cluster === input.cluster && unit === input.unit),
    );
    return rollout === undefined || pool === undefined ? undefined : new UnitRollout(input, rollout, pool);
  }

  /** Name of its pool. */
  get pool(): string {
    return this.#pool.name;
  }

  /** How long it may wait for its turn, if each before it takes so long. Unit: seconds. */
  waitSeconds(turnSeconds: number): number {
    const { units, maxUnavailable } = this.#pool;
    return Math.ceil(units.length / maxUnavailable) * this.turnSeconds(turnSeconds);
  }

  /** How long its own turn may take, if the change itself takes so long. Unit: seconds. */
  turnSeconds(changeSeconds: number): number {
    return changeSeconds + this.#input.timeoutSeconds + this.#pool.minReadySeconds;
  }

  /** Waits for the unit's turn. @returns whether it is to be proven afterwards. */
  takeTurn(turnSeconds: number, context: VerbContext): Promise<boolean> {
    const { unit, cluster, nodes } = this.#input;
    const { signal } = context;
    const turn: Turn = {
      ...this.#place(),
      maxUnavailable: this.#pool.maxUnavailable,
      timeoutSeconds: this.waitSeconds(turnSeconds),
      began: this.#began,
      look: () => this.#look(signal),
      restarts: async () => {
        const changes = nodes.map(({ rank, programs }) =>
          changedPrograms(shellOf(cluster, rank), unit, programs, signal),
        );
        return (await Promise.all(changes)).flat().length > 0;
      },
      isApart: this.#isApart(),
      begin: async () => {
        const shells = nodes.map(({ rank }) => shellOf(cluster, rank));
        await Promise.all(shells.map((shell) => beginUnit(shell, unit, this.owner, signal)));
      },
    };
    return takeTurn(turn, context);
  }

  /** Ends its turn: it serves as planned. */
  async finish(signal: AbortSignal): Promise<void> {
    const { unit, cluster, nodes } = this.#input;
    await Promise.all(nodes.map(({ rank }) => finishUnit(shellOf(cluster, rank), unit, signal)));
  }

  /** Whether it runs for another engine, model or parallelism than it is to. */
  #isApart(): boolean {
    const { generation } = this.#pool;
    const before = readGeneration(this.#input.cluster, this.#input.unit);
    return generation !== undefined && before !== undefined && before !== generation;
  }

  /** Keeps what the unit runs for now. */
  keepGeneration(): void {
    const { cluster, unit } = this.#input;
    if (this.#pool.generation !== undefined)
      writeFiles(clusterDirectory(cluster), { [generationFile(unit)]: this.#pool.generation });
  }

  /** Stops the rollout, for the change of this unit has failed. */
  stop(): void {
    stopRollout(this.#place());
  }

  #place(): Pick<Turn, "directory" | "pool" | "unit"> {
    const directory = join(clusterDirectory(this.#rollout.home), DIRECTORY);
    return { directory, pool: this.#pool.name, unit: this.#input.unit };
  }

  async #look(signal: AbortSignal): Promise<Map<string, UnitState>> {
    const seen = new Map<string, UnitsState["programs"]>();
    for (const cluster of new Set(this.#pool.units.map((unit) => unit.cluster)))
      seen.set(cluster, await programsOf(cluster, ranksOnDisk(cluster), signal));
    return new Map(
      this.#pool.units.map(({ cluster, unit }) => [
        unit,
        unitState((seen.get(cluster) ?? []).filter((program) => program.unit === unit)),
      ]),
    );
  }

  /**
   * Waits until the unit has answered a request that only it can have answered, and has served for as long as
   * the pool asks.
   *
   * @throws UserError if it does not, or ends meanwhile.
   */
  async prove(context: VerbContext): Promise<void> {
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
    const programs = await programsOf(
      cluster,
      nodes.map(({ rank }) => rank),
      signal,
    );
    return programs.filter((one) => one.unit === unit).map(({ name, pid }) => `${name} ${pid}`);
  }

  async #proveProgram(program: ProgramPlan, rank: number, context: VerbContext): Promise<void> {
    const { timeoutSeconds } = this.#input;
    const { progress, signal } = context;
    const started = performance.now();
    let isElsewhere = false;
    const missing = await poll({
      timeoutSeconds,
      progress,
      signal,
      check: async () => {
        const proven = await prove(await this.#proof(program, rank, signal), signal);
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

  async #proof(program: ProgramPlan, rank: number, signal: AbortSignal): Promise<Proof> {
    const { home, model, task: name } = this.#rollout;
    const task = tasks[name];
    const statusUrl = (of: ProgramPlan, cluster: string, node: number) =>
      of.health.kind === "http" ? fillIn(of.health.url, placeholdersOf(cluster, node)) : "";
    const request = {
      path: task.path,
      body: task.body(model, "Say hello.", ANSWER_TOKENS),
      isAnswer: (response: unknown) => task.read(response).isThere,
    };
    const own = statusUrl(program, this.#input.cluster, rank);
    if (program.role === "frontend") return { frontends: [baseUrl(own)], model, request, role: program.role };
    const values = placeholdersOf(home, 0);
    const frontends = this.#rollout.frontends.map((url) => fillIn(url, values));
    const pin = name === "chat" ? WORKER_PINS[program.role] : undefined;
    const id = pin && (await workerId(own, signal).catch(() => undefined));
    const worker = pin === undefined || id === undefined ? undefined : { ...pin, id };
    return { frontends, model, request, worker, role: program.role };
  }
}

function generationFile(unit: string): string {
  return join(DIRECTORY, `${unit}.generation`);
}

function readGeneration(cluster: string, unit: string): string | undefined {
  return readIfThere(join(clusterDirectory(cluster), generationFile(unit)));
}

function shellOf(cluster: string, rank: number) {
  return nodeShell(nodeDirectory(cluster, rank), readNodeRecord(cluster, rank));
}

/** All programs on these nodes; none where a node is gone. */
async function programsOf(
  cluster: string,
  ranks: readonly number[],
  signal: AbortSignal,
): Promise<UnitsState["programs"]> {
  const states = ranks
    .filter((rank) => findNodeRecord(cluster, rank) !== undefined)
    .map((rank) => unitsState(shellOf(cluster, rank), 0, signal));
  return (await Promise.all(states)).flatMap(({ programs }) => programs);
}
