/** Supervisors of local nodes: http://supervisord.org/api.html, called by the runtime's own client. */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { runtimeDirectory } from "../lib/runtimeFiles";
import { readRecord } from "./record";

// Codes of `supervisor/xmlrpc.py`.
const BAD_NAME = 10;
const ALREADY_ADDED = 90;

const ALREADY_STARTED = 60;

const programsSchema = z.array(
  z
    .object({ name: z.string(), statename: z.string(), pid: z.number() })
    .transform(({ name, statename, pid }): ProgramState => ({ name, state: statename, pid })),
);

/** Supervisor's state of one program. */
export interface ProgramState {
  readonly name: string;
  /** `RUNNING`, `STARTING`, `BACKOFF`, `STOPPING`, `STOPPED`, `EXITED`, `FATAL`. */
  readonly state: string;
  readonly pid: number;
}

const names = z.array(z.string());
const reloadSchema = z
  .tuple([z.tuple([names, names, names])])
  .transform(([[added, changed, removed]]): Reload => ({ added, changed, removed }));

/** Differences between the files on disk and the running programs, by program name. */
export interface Reload {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export class SupervisorClient {
  constructor(private readonly nodeDirectory: string) {}

  /** Whether supervisor answers; false if its socket is missing or dead. */
  async answers(): Promise<boolean> {
    try {
      await this.call("getState", [], 2);
      return true;
    } catch {
      return false;
    }
  }

  async programs(): Promise<ProgramState[]> {
    return programsSchema.parse(await this.call("getAllProcessInfo"));
  }

  /** Reloads the files. Starts and stops nothing. */
  async reload(): Promise<Reload> {
    return reloadSchema.parse(await this.call("reloadConfig"));
  }

  /** Adds a program from the files, which starts it. */
  async add(program: string): Promise<void> {
    await this.unlessFault(ALREADY_ADDED, "addProcessGroup", [program]);
  }

  /** Starts a stopped program; fine if it is running. */
  async start(program: string): Promise<void> {
    await this.unlessFault(ALREADY_STARTED, "startProcess", [program, false]);
  }

  /**
   * Stops and removes a program; fine if it is unknown.
   *
   * @param stopSeconds Time after which supervisor kills it.
   */
  async remove(program: string, stopSeconds: number): Promise<void> {
    await this.unlessFault(BAD_NAME, "stopProcessGroup", [program, true], stopSeconds + 15);
    await this.unlessFault(BAD_NAME, "removeProcessGroup", [program]);
  }

  /** Removes the socket that a killed supervisor has left. */
  async removeSocket(): Promise<void> {
    await this.call("removeSocket");
  }

  private async unlessFault(code: number, ...call: Parameters<SupervisorClient["call"]>): Promise<void> {
    try {
      await this.call(...call);
    } catch (error) {
      if (!(error instanceof CallFailure && error.fault === code)) throw error;
    }
  }

  private async call(
    method: string,
    args: readonly (string | boolean)[] = [],
    seconds = 15,
  ): Promise<unknown> {
    const { pythonBin } = readRecord(this.nodeDirectory);
    const answer = await Caller.with(pythonBin).call({ node: this.nodeDirectory, method, args, seconds });
    if (answer.error !== undefined) throw new CallFailure(`${method}: ${answer.error}`, answer.fault);
    return answer.result;
  }
}

class CallFailure extends Error {
  constructor(
    message: string,
    /** Supervisor's code, if it answered. */
    readonly fault: number | undefined,
  ) {
    super(message);
  }
}

const answerSchema = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.string().optional(),
  fault: z.number().optional(),
});
type Answer = Omit<z.output<typeof answerSchema>, "id">;

/**
 * `runtime/supervisor_client.py`: one process for all calls of this one, since the start of a Python takes
 * longer than a call. It ends with this process, which does not wait for it.
 */
class Caller {
  private static readonly running = new Map<string, Caller>();
  private readonly pending = new Map<number, (answer: Answer) => void>();
  private readonly child: ChildProcess;
  private calls = 0;

  /** The caller with this interpreter, started if there is none. */
  static with(pythonBin: string): Caller {
    const caller = Caller.running.get(pythonBin) ?? new Caller(pythonBin);
    Caller.running.set(pythonBin, caller);
    return caller;
  }

  private constructor(pythonBin: string) {
    const script = join(runtimeDirectory(), "supervisor_client.py");
    // Detached, since an interrupt of this process group must not end it.
    this.child = spawn(pythonBin, ["-B", script], {
      env: {},
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    const end = (problem: string) => {
      Caller.running.delete(pythonBin);
      for (const id of [...this.pending.keys()]) this.settle(id, { error: problem });
    };
    this.child.once("error", (error) => end(error.message));
    this.child.once("close", (code) => end(`${pythonBin} ${script} ended with code ${code}`));
    // What it has not read when it ends is answered by its end.
    this.child.stdin?.on("error", () => undefined);
    if (this.child.stdout !== null)
      createInterface({ input: this.child.stdout }).on("line", (line) => {
        const { id, ...answer } = answerSchema.parse(JSON.parse(line));
        this.settle(id, answer);
      });
    this.hold(false);
  }

  call(call: object): Promise<Answer> {
    this.calls += 1;
    const id = this.calls;
    return new Promise((resolve) => {
      this.pending.set(id, resolve);
      this.hold(true);
      this.child.stdin?.write(`${JSON.stringify({ id, ...call })}\n`);
    });
  }

  private settle(id: number, answer: Answer): void {
    this.pending.get(id)?.(answer);
    this.pending.delete(id);
    if (this.pending.size === 0) this.hold(false);
  }

  /** Whether this process waits for the other. */
  private hold(isHeld: boolean): void {
    const { child } = this;
    for (const handle of [child, child.stdin, child.stdout]) {
      if (!(handle === child || handle instanceof Socket)) continue;
      if (isHeld) handle.ref();
      else handle.unref();
    }
  }
}
