/**
 * A process that answers many questions about SkyPilot (`questions.py`), since loading SkyPilot takes seconds
 * each time.
 */

import { createInterface, type Interface } from "node:readline";
import { z } from "zod";
import { inherited } from "../lib/inherited";
import type { HubQuestion } from "../plan/hub";
import type { SkyProgram } from "../toolchain/skypilot";
import { PLAIN_OUTPUT, QUESTIONS } from "./interpreter";
import { isPreloaded, preloadedProcess } from "./preloaded";
import { type ProcessEnd, type SkyProcess, spawnProcess } from "./process";

const answerSchema = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() });
export type SkyAnswer = z.output<typeof answerSchema>;

/** What is asked together with prices. */
export interface BeforeLaunch {
  /** Infras whose access to check. Default: no server and no cloud is queried. */
  readonly access?: readonly string[] | undefined;
  /** Models to look up on their hub, with the token that the nodes will have. Default: none. */
  readonly hub?: (HubQuestion & { readonly token?: string | undefined }) | undefined;
}

/** The arguments of a `sky` command, or a question defined in `questions.py`. */
export type SkyQuestion =
  | readonly string[]
  /** Tasks whose prices are wanted, and what else to check before a launch. */
  | ({ readonly prices: readonly unknown[] } & BeforeLaunch)
  /** Names of clusters; if empty, all of the user's. `refresh` makes SkyPilot query the clouds. */
  | { readonly clusters: readonly string[]; readonly refresh: boolean }
  /** Names of the clusters whose jobs to return. */
  | { readonly jobs: readonly string[] }
  /** Name of the cluster whose requests to return. */
  | { readonly requests: string };

interface Waiting {
  readonly resolve: (answer: SkyAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** A running question process. */
interface Answering {
  readonly process: SkyProcess;
  readonly answers: Interface;
}

/** Asks one question at a time; others are queued. */
export class SkySession {
  private running: Promise<Answering> | undefined;
  /** Stops the process that runs or is being started. */
  private stop = new AbortController();
  private readonly waiting: Waiting[] = [];

  constructor(
    private readonly program: SkyProgram,
    private readonly python: string,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.end("the driver was told to stop"), { once: true });
    process.once("exit", this.close);
  }

  /** Stops the process, which would otherwise keep this one alive. */
  readonly close = (): void => {
    process.removeListener("exit", this.close);
    this.end("the driver ends");
  };

  /** @throws Error if there is no answer within the time limit, or the process ends without one. */
  ask(question: SkyQuestion, timeoutSeconds: number): Promise<SkyAnswer> {
    this.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.end(`no answer within ${timeoutSeconds} s`), timeoutSeconds * 1000);
      const answered = <T>(settle: (value: T) => void) => {
        return (value: T): void => {
          clearTimeout(timer);
          settle(value);
        };
      };
      const waiting = { resolve: answered(resolve), reject: answered(reject) };
      this.waiting.push(waiting);
      void this.start().then(({ process }) => {
        // It may have timed out meanwhile.
        if (this.waiting.includes(waiting)) process.input.write(`${JSON.stringify(question)}\n`);
      });
    });
  }

  /** Starts the process, so that SkyPilot is loaded when the next question comes. */
  warm(): void {
    void this.start();
  }

  /**
   * Turns the process into a long-running command: it has SkyPilot loaded already. The next question starts a
   * new one.
   *
   * @returns undefined if there is no such process, it is busy, or it is not a child of this one: the driver
   * must see the end of a command that changes something.
   */
  async become(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<SkyProcess | undefined> {
    const { running } = this;
    if (running === undefined || this.waiting.length > 0 || isPreloaded(this.program)) return undefined;
    this.running = undefined;
    this.stop = new AbortController();
    const { process, answers } = await running;
    answers.close();
    process.input.write(`${JSON.stringify({ become: args, env })}\n`);
    return process;
  }

  private start(): Promise<Answering> {
    this.running ??= this.open(this.stop.signal);
    return this.running;
  }

  private async open(stop: AbortSignal): Promise<Answering> {
    const forked = isPreloaded(this.program) ? await preloadedProcess(stop) : undefined;
    const env = { ...inherited(), ...this.program.env, ...PLAIN_OUTPUT };
    const opened = forked ?? spawnProcess(this.python, [QUESTIONS], env);
    if (stop.aborted) opened.kill();
    else stop.addEventListener("abort", opened.kill, { once: true });
    let complaint = "";
    opened.errors?.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-2000);
    });
    const answers = createInterface({ input: opened.output }).on("line", (line) => {
      const next = this.waiting.shift();
      try {
        next?.resolve(answerSchema.parse(JSON.parse(line)));
      } catch (error) {
        next?.reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    void opened.ended.then((end) => {
      if (this.stop.signal === stop) this.end(endInWords(end, complaint));
    });
    return { process: opened, answers };
  }

  /** Stops the process; all queued questions fail with this reason. */
  private end(reason: string): void {
    this.stop.abort();
    this.stop = new AbortController();
    this.running = undefined;
    for (const { reject } of this.waiting.splice(0)) reject(new Error(`SkyPilot: ${reason}`));
  }
}

function endInWords({ code, problem }: ProcessEnd, complaint: string): string {
  return problem ?? `it ended with code ${code}: ${complaint.trim()}`;
}
