/** Runs `sky` with a time limit, so that no process of it outlives the driver. */

import { createInterface } from "node:readline";
import type { z } from "zod";
import { UserError } from "../lib/errors";
import { inherited } from "../lib/inherited";
import { printable } from "../lib/progress";
import { bypassProxies } from "../lib/proxies";
import type { VerbContext } from "../lib/verb";
import { findSky, type SkyProgram, skyAtHand } from "../toolchain/skypilot";
import { classify, type Failure, failureMessage } from "./failure";
import { interpreterOf, PLAIN_OUTPUT } from "./interpreter";
import { isPreloaded } from "./preloaded";
import { type SkyProcess, spawnProcess } from "./process";
import {
  type ClusterRecord,
  clusterRecords,
  costRecords,
  type JobRecord,
  jobQueues,
  jsonIn,
  type PriceRecords,
  priceRecords,
  type RequestRecord,
  requestRecords,
} from "./records";
import { type BeforeLaunch, type SkyQuestion, SkySession } from "./session";

const QUESTION_SECONDS = 180;
const KEPT_LINES = 400;

/** How one `sky` command ended. */
export interface SkyOutcome {
  /** Undefined when it was killed, by its time limit or because the driver was stopped. */
  readonly code: number | undefined;
  /** Standard output, unchanged. */
  readonly stdout: string;
  /** The last lines of stdout and stderr, without colours and control characters. */
  readonly lines: readonly string[];
}

export interface SkyRunOptions {
  readonly timeoutSeconds: number;
  /** Values of secrets, by name. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each line of output. */
  readonly onLine?: (line: string) => void;
  /** Stops the command early, besides the driver's own signal. */
  readonly signal?: AbortSignal;
}

/** The `sky` command line of one infra. */
export class Sky {
  private readonly session: SkySession | undefined;
  /** A separate process, so that slow price queries (seconds) do not block the others. */
  private readonly priceSession: SkySession | undefined;
  private readonly closed = new AbortController();

  private constructor(
    private readonly program: SkyProgram,
    private readonly context: VerbContext,
  ) {
    const python = interpreterOf(program.command);
    if (python === undefined) return;
    this.session = new SkySession(program, python, context.signal);
    this.priceSession = isPreloaded(program) ? new SkySession(program, python, context.signal) : this.session;
  }

  /** Finds or installs SkyPilot. */
  static async find(infra: readonly string[], context: VerbContext): Promise<Sky> {
    // SkyPilot's API server and its tunnels to nodes are on loopback.
    bypassProxies();
    return new Sky(await findSky(infra, context.progress.line), context);
  }

  /** Like `find`, but only if no installation is needed; undefined otherwise. */
  static async atHand(infra: readonly string[], context: VerbContext): Promise<Sky | undefined> {
    const program = await skyAtHand(infra);
    return program && new Sky(program, context);
  }

  /** Environment variables that `sky` gets besides this process's own. */
  get env(): Readonly<Record<string, string>> {
    return this.program.env;
  }

  /** Stops the processes kept for the next question, and questions whose answers nobody waits for. */
  close(): void {
    this.closed.abort();
    for (const session of [this.session, this.priceSession]) session?.close();
  }

  /** Runs a command and returns its outcome, also when it fails. */
  async run(args: readonly string[], options: SkyRunOptions): Promise<SkyOutcome> {
    const limit = AbortSignal.timeout(Math.ceil(options.timeoutSeconds * 1000));
    const signals = [this.context.signal, limit, ...(options.signal === undefined ? [] : [options.signal])];
    const signal = AbortSignal.any(signals);
    const env = options.env ?? {};
    const given = await this.session?.become(args, env);
    const all = { ...inherited(), ...env, ...this.program.env, ...PLAIN_OUTPUT };
    const child = given ?? spawnProcess(this.program.command, args, all);
    if (given === undefined) child.input.end();
    return outcomeOf(child, this.program.command, options, signal);
  }

  /** Starts the process for questions that will follow soon. */
  warm(): void {
    if (!isPreloaded(this.program)) this.session?.warm();
  }

  /** Runs a short command in a process that is kept for the next one. */
  async ask(args: readonly string[], timeoutSeconds = QUESTION_SECONDS): Promise<SkyOutcome> {
    return this.answer(args, args, timeoutSeconds);
  }

  /** @throws UserError with the classified cause when the command fails. */
  async must(args: readonly string[], timeoutSeconds?: number): Promise<SkyOutcome> {
    return this.good(args, await this.ask(args, timeoutSeconds));
  }

  /** Clusters known to SkyPilot: the named ones, or all of the user's. */
  async clusters(names: readonly string[] = [], refresh = false): Promise<ClusterRecord[]> {
    const args = ["status", ...(refresh ? ["--refresh"] : []), "-o", "json", ...names];
    return this.records(clusterRecords, { clusters: names, refresh }, args);
  }

  async cluster(name: string): Promise<ClusterRecord | undefined> {
    return (await this.clusters([name])).find((record) => record.name === name);
  }

  /** Jobs by cluster. A cluster without a queue (not up) is left out. */
  async jobs(names: readonly string[]): Promise<Readonly<Record<string, readonly JobRecord[]>>> {
    if (names.length === 0) return {};
    return this.records(jobQueues, { jobs: names }, ["queue", "-o", "json", ...names]);
  }

  /** Unfinished requests of the API server about a cluster. */
  async requests(name: string): Promise<RequestRecord[]> {
    return this.records(requestRecords, { requests: name }, ["api", "status", "-o", "json", "-c", name]);
  }

  /**
   * @param question Question for `questions.py`.
   * @param args Equivalent `sky` command, used if there is no question process.
   */
  private async records<S extends z.ZodType>(
    schema: S,
    question: SkyQuestion,
    args: readonly string[],
  ): Promise<z.output<S>> {
    const { stdout } = this.good(args, await this.answer(question, args, QUESTION_SECONDS));
    return parsed(`sky ${args[0]}`, schema, stdout);
  }

  private good(args: readonly string[], outcome: SkyOutcome): SkyOutcome {
    this.context.signal.throwIfAborted();
    if (outcome.code === 0) return outcome;
    const failure: Failure =
      outcome.code === undefined
        ? { kind: "unreachable", cause: outcome.lines.join(" ") }
        : classify(outcome.lines);
    throw new UserError(failureMessage(`'sky ${args[0]}' failed`, failure));
  }

  private async answer(
    question: SkyQuestion,
    args: readonly string[],
    timeoutSeconds: number,
  ): Promise<SkyOutcome> {
    if (this.session === undefined) return this.run(args, { timeoutSeconds, signal: this.closed.signal });
    try {
      const { code, stdout, stderr } = await this.session.ask(question, timeoutSeconds);
      return { code, stdout, lines: nonEmpty(`${stdout}\n${stderr}`) };
    } catch (error) {
      this.context.signal.throwIfAborted();
      const lines = nonEmpty(error instanceof Error ? error.message : String(error));
      return { code: undefined, stdout: "", lines };
    }
  }

  /**
   * What SkyPilot may take for each of some tasks (`num_nodes` and `resources`), and for how much. Never
   * fails: where SkyPilot cannot say it, the answer has the reason.
   *
   * @param asked What else is asked. Default: nothing.
   */
  async prices(tasks: readonly unknown[], asked: BeforeLaunch = {}): Promise<PriceRecords> {
    if (tasks.length === 0) return { prices: [], obstacles: [], models: [] };
    const none = (problem: string): PriceRecords => ({
      prices: tasks.map(() => ({ candidates: [], problem, misses: [], refused: null })),
      obstacles: [],
      models: [],
    });
    const session = this.priceSession;
    if (session === undefined) return none(`the Python that runs ${this.program.command} was not found`);
    try {
      const { stdout } = await session.ask({ prices: tasks, ...asked }, QUESTION_SECONDS);
      return priceRecords.parse(JSON.parse(stdout));
    } catch (error) {
      this.context.signal.throwIfAborted();
      return none(error instanceof Error ? error.message : String(error));
    }
  }

  /** US dollars an hour for the whole cluster; undefined if SkyPilot does not know it. */
  async hourlyCost(name: string): Promise<number | undefined> {
    const outcome = await this.ask(["cost-report", "-o", "json"]);
    if (outcome.code !== 0) return undefined;
    const cost = costRecords.safeParse(jsonIn(outcome.stdout)).data?.find((record) => record.name === name);
    if (!cost?.duration || cost.total_cost == null) return undefined;
    return (cost.total_cost / cost.duration) * 3600;
  }
}

function parsed<S extends z.ZodType>(what: string, schema: S, stdout: string): z.output<S> {
  let raw: unknown;
  try {
    raw = jsonIn(stdout);
  } catch {
    throw new UserError(`'${what}' did not print JSON but: ${stdout.trim().slice(0, 200) || "nothing"}`);
  }
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new UserError(`'${what}' printed JSON of another shape: ${issue?.path.join(".")}: ${issue?.message}`);
}

function outcomeOf(
  child: SkyProcess,
  command: string,
  options: SkyRunOptions,
  signal: AbortSignal,
): Promise<SkyOutcome> {
  return new Promise((resolve, reject) => {
    const chunks: string[] = [];
    const lines: string[] = [];
    const take = (raw: string): void => {
      for (const line of nonEmpty(raw)) {
        lines.push(line);
        if (lines.length > KEPT_LINES) lines.shift();
        options.onLine?.(line);
      }
    };
    child.output.setEncoding("utf8").on("data", (text: string) => chunks.push(text));
    for (const stream of [child.output, ...(child.errors === undefined ? [] : [child.errors])])
      createInterface({ input: stream }).on("line", take);
    signal.addEventListener("abort", child.kill, { once: true });
    process.once("exit", child.kill);
    void child.ended.then(({ code, problem }) => {
      signal.removeEventListener("abort", child.kill);
      process.removeListener("exit", child.kill);
      if (problem !== undefined) return reject(new UserError(`${command} could not be started: ${problem}`));
      resolve({ code: signal.aborted ? undefined : code, stdout: chunks.join(""), lines });
    });
    if (signal.aborted) child.kill();
  });
}

function nonEmpty(text: string): string[] {
  return printable(text).filter((line) => line.trim() !== "");
}
