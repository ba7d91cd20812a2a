/** Many `sky` commands in one process (`questions.py`), since starting `sky` takes seconds each time. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { z } from "zod";
import { packageRoot } from "../tools/toolchain/root";
import type { SkyProgram } from "../tools/toolchain/skypilot";

/** Wide and plain: SkyPilot wraps its messages to the terminal's width. */
export const PLAIN_OUTPUT = { COLUMNS: "400", NO_COLOR: "1", PYTHONUNBUFFERED: "1" } as const;

const answerSchema = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() });
export type SkyAnswer = z.output<typeof answerSchema>;

/** The arguments of a `sky` command, or tasks whose prices are wanted. */
export type SkyQuestion = readonly string[] | { readonly prices: readonly unknown[] };

interface Waiting {
  readonly resolve: (answer: SkyAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** Asks one question after the other; several at once wait in line. */
export class Asker {
  private child: ChildProcessWithoutNullStreams | undefined;
  private answers: Interface | undefined;
  private readonly waiting: Waiting[] = [];

  constructor(
    private readonly program: SkyProgram,
    private readonly python: string,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.end("the driver was told to stop"), { once: true });
    process.once("exit", this.close);
  }

  /** Ends the process, which would otherwise keep this one alive. */
  readonly close = (): void => {
    process.removeListener("exit", this.close);
    this.end("the driver ends");
  };

  /** @throws Error when there is no answer within the time, or the process ends without one. */
  ask(question: SkyQuestion, timeoutSeconds: number): Promise<SkyAnswer> {
    this.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.end(`no answer within ${timeoutSeconds} s`), timeoutSeconds * 1000);
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T): void => {
          clearTimeout(timer);
          settle(value);
        };
      };
      this.waiting.push({ resolve: settled(resolve), reject: settled(reject) });
      this.running().stdin.write(`${JSON.stringify(question)}\n`);
    });
  }

  /** Starts the process, so that it has loaded SkyPilot when the next question comes. */
  warm(): void {
    this.running();
  }

  /**
   * The process itself as a command that runs for long: it has SkyPilot loaded already, which starting another one takes seconds
   * for. The next question starts a new one.
   *
   * @returns undefined when there is no process, or it is answering.
   */
  become(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): ChildProcessWithoutNullStreams | undefined {
    const { child } = this;
    if (child === undefined || this.waiting.length > 0) return undefined;
    this.child = undefined;
    this.answers?.close();
    child.stdin.end(`${JSON.stringify({ become: args, env })}\n`);
    return child;
  }

  private running(): ChildProcessWithoutNullStreams {
    if (this.child !== undefined) return this.child;
    const child = spawn(this.python, [join(packageRoot(), "sky", "questions.py")], {
      env: { ...process.env, ...this.program.env, ...PLAIN_OUTPUT },
      detached: true,
    });
    this.child = child;
    let complaint = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-2000);
    });
    // A write to a process that has ended; its end is what is told.
    child.stdin.on("error", () => undefined);
    this.answers = createInterface({ input: child.stdout }).on("line", (line) => {
      const next = this.waiting.shift();
      try {
        next?.resolve(answerSchema.parse(JSON.parse(line)));
      } catch (error) {
        next?.reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    child.once("error", (error) => this.end(error.message));
    child.once("close", (code) => {
      if (this.child === child) this.end(`it ended with code ${code}: ${complaint.trim()}`);
    });
    return child;
  }

  /** Ends the process; all questions that wait fail with this reason. */
  private end(reason: string): void {
    const pid = this.child?.pid;
    this.child = undefined;
    if (pid !== undefined) {
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // It is over.
      }
    }
    for (const { reject } of this.waiting.splice(0)) reject(new Error(`SkyPilot: ${reason}`));
  }
}

/** The interpreter that runs `sky`: beside it, or named in its first line. Undefined when neither is so. */
export function interpreterOf(sky: string): string | undefined {
  const beside = join(dirname(realpathSync(sky)), "python");
  if (existsSync(beside)) return beside;
  const named = /^#!(\S*python\S*)$/.exec(readFileSync(sky, "utf8").split("\n", 1)[0] ?? "")?.[1];
  return named !== undefined && existsSync(named) ? named : undefined;
}
