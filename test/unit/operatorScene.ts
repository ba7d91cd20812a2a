/**
 * An operator with a scripted stack and scripted nodes: without a process, by a clock of its own.
 */
import { afterEach, beforeEach, expect, vi } from "vitest";
import type { Action } from "../../cli/operate/journal";
import type { Nodes } from "../../cli/operate/nodes";
import { Operator } from "../../cli/operate/operator";
import type { PastOperation } from "../../cli/pulumi/cli";
import type { OperationOptions, OperationResult } from "../../cli/pulumi/operation";
import { OperationFailed } from "../../cli/pulumi/problem";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { stackOutputs } from "../outputs";

export const START = Date.parse("2026-11-25T10:00:00Z");
export const UP = stackOutputs({
  endpoint: "http://127.0.0.1:8000",
  model: "m",
  replicas: { decode: 2 },
  look: "bin/dynamo-sky status",
});
export const DECODE: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  engine: "mocker",
  cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100", allowIdleGpus: true },
  pools: [{ role: "prefill" }, { role: "decode", minReplicas: 1, maxReplicas: 4 }],
  autoscale: { cooldownSeconds: 60, changesPerHour: 10 },
};

const PACKS = [{ directory: "/policy", configFile: undefined }];

/** A stack whose updates end as the test says, and that notes them. */
export class ScriptedStack {
  readonly stack = "scripted";
  readonly project = {
    directory: "/somewhere",
    name: "p",
    backendUrl: undefined,
    file: "/somewhere/Pulumi.yaml",
  };
  outputsNow: Readonly<Record<string, unknown>> = UP;
  past: PastOperation[] = [];
  readonly updates: {
    /** Seconds since the start. */
    readonly at: number;
    readonly message: string;
    readonly env: Readonly<Record<string, string>>;
  }[] = [];
  /** Called by each update. */
  onUpdate: () => void = () => undefined;

  outputs = async (): Promise<Readonly<Record<string, unknown>>> => {
    return this.outputsNow;
  };
  readonly history = async () => this.past;
  readonly up = async (options: OperationOptions = {}): Promise<OperationResult> => {
    const { message = "", env = {}, policyPacks } = options;
    // Of every kind of update.
    expect(policyPacks).toBe(PACKS);
    this.updates.push({ at: (Date.now() - START) / 1000, message, env });
    this.onUpdate();
    return {
      seconds: 1,
      steps: [],
      outputs: {},
      changes: {},
      failures: [],
      violations: [],
      mistake: undefined,
    };
  };

  /** As Pulumi notes it. */
  note(kind: string, message: string): void {
    this.past.unshift({ kind, message, started: new Date() });
  }
}

const WELL: Nodes = {
  decision: async () => undefined,
  lost: async () => [],
  onDemand: async () => [],
  giveBack: async () => undefined,
  count: async () => ({ requests: 1, open: 0 }),
  asked: async () => undefined,
};

interface Scene {
  /** How often the operator looks. */
  readonly looks: number;
  /** Seconds between two looks. */
  readonly every?: number;
  /** Seconds between two looks for what is lost. Default: each look does. */
  readonly driftEvery?: number;
  readonly nodes?: Partial<Nodes>;
  /** The stack's file at a look, the first of which is 1. Default: {@link DECODE}. */
  readonly config?: (look: number) => ConfigInput;
  /** Called before each look. */
  readonly before?: (look: number) => void;
}

/** Has an operator look as often as said. @returns What it told. */
export async function operate(
  stack: ScriptedStack,
  {
    looks,
    every = 10,
    driftEvery = every,
    nodes = {},
    config = () => DECODE,
    before = () => undefined,
  }: Scene,
): Promise<Action[]> {
  const told: Action[] = [];
  const end = new AbortController();
  let look = 0;
  const operator = new Operator(stack, {
    lookSeconds: 0,
    driftSeconds: driftEvery,
    tell: (action) => void told.push(action),
    seen: () => {
      look += 1;
      if (look > 1) vi.setSystemTime(Date.now() + every * 1000);
      before(look);
      if (look === looks) end.abort();
    },
    signal: end.signal,
    engineSignal: new AbortController().signal,
    policyPacks: PACKS,
    nodes: { ...WELL, ...nodes },
    config: () => parseConfig(config(look)),
  });
  await operator.run();
  return told;
}

export const texts = (told: readonly Action[], kind: Action["kind"]): string[] =>
  told.filter((action) => action.kind === kind).map(({ text }) => text);

export const decided =
  (decode: number, id = "1"): Nodes["decision"] =>
  async () => ({ id, replicas: { decode } });

export const fails = (message: string) => () => {
  throw new OperationFailed(message);
};

/** Has each test of a file begin at {@link START}. */
export function byOwnClock(): void {
  beforeEach(() => {
    vi.useFakeTimers({ now: START, toFake: ["Date"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}
