/** Runs the verbs of the SkyPilot driver against a stand-in for `sky`. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { z } from "zod";
import { Progress } from "../../lib/progress";
import type { Verb } from "../../lib/verb";
import type { SkyTask } from "../../sky/spec";
import { taskName } from "../../sky/taskName";

/** A launch, as most tests ask for it. */
export const CLUSTER = "demo-main-abc123";
export const TASK: SkyTask = {
  num_nodes: 2,
  resources: { accelerators: "H100:8" },
  setup: "echo set up",
  run: "echo run",
};
export const launchInput = { cluster: CLUSTER, infra: ["aws"], task: TASK, port: 8000 };

/** The name of a cluster's task. */
export function nameOf(task: SkyTask): string {
  return taskName(CLUSTER, task, {}).name;
}

/** State and behaviour of the stand-in; see `fakeSky/sky`. */
export interface FakeState {
  clusters?: Record<string, FakeCluster>;
  requests?: { request_id: string; name: string; status: string }[];
  launch?: FakeLaunch;
  /** What the next launches do, before `launch`. */
  launches?: FakeLaunch[];
  down?: string[];
  stays?: boolean;
  log?: string;
  provisionLog?: string;
  unreachable?: boolean;
  /** Whether a queue is never told. */
  queueHangs?: boolean;
  /** Address of every cluster without its own. */
  ip?: string;
}

export interface FakeLaunch {
  lines?: string[];
  exit?: number;
  status?: string;
  reason?: string;
  hang?: boolean;
  left?: boolean;
  job?: string[];
}

export interface FakeCluster {
  status: string;
  hash: string;
  nodes: number;
  ip?: string;
  endpoint?: string;
  /** How often its port is said to have no address yet. Default: never. */
  unopened?: number;
  reason?: string;
  /** Whether it was up once. Default: false. */
  everUp?: boolean;
  /** Lost, which SkyPilot does not know before it queries the cloud. */
  lost?: boolean;
  /** Whether some of its nodes are lost, which SkyPilot does not know before it queries the cloud. */
  partial?: boolean;
  /** Whether its head does not answer, though it runs. */
  busy?: boolean;
  jobs: { id: number; name: string; status: string; started?: number; next?: string[] }[];
}

/** Result of a verb. */
export interface Outcome {
  readonly error: string | undefined;
  readonly output: string;
  readonly result: unknown;
}

export class FakeSky {
  private readonly directory = mkdtempSync(join(tmpdir(), "fake-sky-"));

  constructor(state: FakeState = {}) {
    this.set(state);
  }

  set(state: FakeState): void {
    writeFileSync(join(this.directory, "state.json"), JSON.stringify({ clusters: {}, ...state }));
  }

  /**
   * How its nodes answer: `fakeSky/ssh` says what each word means. Default: by the agent, on this machine.
   */
  nodesAre(word: "willing-node" | "empty-node"): void {
    writeFileSync(join(this.directory, word), "");
  }

  get state(): FakeState & { clusters: Record<string, FakeCluster> } {
    return JSON.parse(this.read("state.json"));
  }

  /** Arguments of every call, without the queries. */
  get changes(): string[][] {
    const questions = new Set(["status", "queue", "cost-report", "logs", "--version"]);
    return this.calls.filter(([verb = "", second]) => !questions.has(verb) && second !== "status");
  }

  get calls(): string[][] {
    return this.read("calls")
      .split("\n")
      .filter(Boolean)
      .map((line): string[] => JSON.parse(line));
  }

  read(name: string): string {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  /** The environment in which `sky` is the stand-in. */
  get env(): Record<string, string> {
    return {
      PATH: [join(__dirname, "fakeSky"), process.env["PATH"] ?? ""].join(delimiter),
      FAKE_SKY: this.directory,
      DYNAMO_SKY_CACHE: this.directory,
      TMPDIR: this.directory,
    };
  }

  /** Runs a verb within this process. */
  async run<S extends z.ZodType>(
    verb: Verb<S>,
    input: z.input<S>,
    signal = new AbortController().signal,
  ): Promise<Outcome> {
    const before = { ...process.env };
    Object.assign(process.env, this.env);
    const lines: string[] = [];
    const progress = new Progress((line) => lines.push(line));
    let result: unknown;
    try {
      const context = {
        progress,
        signal,
        result: (value: unknown) => {
          result = value;
        },
      };
      await verb.run(verb.input.parse(input), context);
      return { error: undefined, output: lines.join(""), result };
    } catch (error) {
      return {
        error: error instanceof Error ? error.message : String(error),
        output: lines.join(""),
        result,
      };
    } finally {
      for (const name of Object.keys(this.env)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
