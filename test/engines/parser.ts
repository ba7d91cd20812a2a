/** A process that reports an engine's interpretation of a command line (`parsers/`). */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { locateEngine } from "../../dev/engineEnvironments";
import type { EngineName } from "../../engines";
import type { ProgramPlan } from "../../plan/types";

/** Every real engine. TensorRT-LLM's parser runs in SGLang's environment: Dynamo's own parser is in both. */
export const PARSED_ENGINES = ["sglang", "vllm", "trtllm"] as const;
export type ParsedEngine = (typeof PARSED_ENGINES)[number];

/** Programs of Dynamo that are the same with every engine: their parsers are in every environment. */
export const DYNAMO_PROGRAMS = ["frontend", "mocker"] as const;
export type DynamoProgram = (typeof DYNAMO_PROGRAMS)[number];

const ENVIRONMENTS = { sglang: "sglang", vllm: "vllm", trtllm: "sglang" } as const satisfies Readonly<
  Record<ParsedEngine, EngineName>
>;

const answerSchema = z.object({
  id: z.number(),
  refused: z.string().optional(),
  /** The flags of a program, as its table has them (`FlagTable`). */
  table: z.record(z.string(), z.record(z.string(), z.string())).optional(),
  /** All variables that the engine reads, where it has a list of them. */
  variables: z.array(z.string()).optional(),
  /** Names of all that move or keep KV blocks, where the engine has a list of them. */
  connectors: z.array(z.string()).optional(),
  facts: z
    .object({
      /** Ranks that this process starts on its node, one per GPU. */
      processes: z.number(),
      /** Ranks of the whole replica. */
      world: z.number(),
      /** Tokens; null if the engine decides after loading the model. */
      blockSize: z.number().nullable(),
      role: z.enum(["agg", "prefill", "decode", "encode"]),
      publishesKvEvents: z.boolean(),
      /** Host memory of each GPU's offloaded blocks; null for none. Unit: GB. */
      hostCacheGB: z.number().nullable(),
      /** What the frontend is told to parse by; null for nothing. */
      reasoningParser: z.string().nullable(),
      toolCallParser: z.string().nullable(),
    })
    .optional(),
});

/** An engine's interpretation of a command line: the facts, or why it is rejected. */
export type Answer = Omit<z.infer<typeof answerSchema>, "id">;

/** Configurations of models, by name with `--` for the slash: the files that parsers read of a model. */
const MODELS = join(__dirname, "models");

/** Time limit for an answer. The first one includes importing the engine on a busy machine. */
const ANSWER_MS = 900_000;
const LINES_IN_ERROR = 20;

export class EngineParser {
  /** `HF_HOME`, and every other directory that an engine writes to. */
  private readonly home = mkdtempSync(join(tmpdir(), "dynamo-sky-engines-"));
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private readonly known = new Map<string, Promise<Answer>>();
  private output = "";
  private next = 0;

  constructor(readonly engine: ParsedEngine) {
    const python = locateEngine(ENVIRONMENTS[engine]);
    if (python === undefined) throw new Error(`${engine} is not installed. Run: npm run test:engines`);
    layOutModels(this.home);
    this.child = spawn(python, [join(__dirname, "parsers", `${engine}_parser.py`)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: this.home,
        HF_HOME: this.home,
        HF_HUB_OFFLINE: "1",
        VLLM_NO_USAGE_STATS: "1",
        PYTHONDONTWRITEBYTECODE: "1",
      },
    });
    if (this.child.stdout === null || this.child.stderr === null) throw new Error("no pipes to the parser");
    createInterface(this.child.stdout).on("line", (line) => this.take(line));
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.output = (this.output + text).slice(-100_000);
    });
  }

  /**
   * The engine's interpretation of a program's command, in the program's environment, on a node at 127.0.0.1.
   * Of a program of Dynamo only whether its parser takes it.
   */
  ask({ command, env, mpi }: Pick<ProgramPlan, "command" | "env" | "mpi">): Promise<Answer> {
    // The command that MPI starts on each rank comes after the launcher's.
    const [python, dashM, module = "", ...argv] = command.slice(mpi?.worker ?? 0).map(filledIn);
    const program = [this.engine, ...DYNAMO_PROGRAMS].find((name) => module === `dynamo.${name}`);
    if (python !== "python3" || dashM !== "-m" || program === undefined)
      throw new Error(`not a command of ${this.engine}, nor of Dynamo: ${command.join(" ")}`);
    const filledEnv = Object.entries(env).map(([name, value]) => [name, filledIn(value)]);
    return this.askOnce(JSON.stringify({ program, argv, env: Object.fromEntries(filledEnv) }));
  }

  /** The flags of a program of Dynamo: this engine's worker, or what is the same with every engine. */
  flags(program: ParsedEngine | DynamoProgram): Promise<Answer> {
    return this.askOnce(JSON.stringify({ flags: program }));
  }

  /** Cached: many random deployments share commands. */
  private askOnce(question: string): Promise<Answer> {
    const known = this.known.get(question) ?? this.send(question);
    this.known.set(question, known);
    return known;
  }

  private send(question: string): Promise<Answer> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const fail = (what: string) => {
        const tail = this.output.trim().split("\n").slice(-LINES_IN_ERROR).join("\n");
        reject(new Error(`${this.engine}'s parser ${what}; the end of its output:\n${tail}`));
      };
      const timer = setTimeout(() => fail(`did not answer for ${ANSWER_MS / 1000} s`), ANSWER_MS);
      const died = () => fail("ended without an answer");
      this.child.once("close", died);
      this.waiting.set(id, (answer) => {
        clearTimeout(timer);
        this.child.off("close", died);
        resolve(answer);
      });
      this.child.stdin?.write(`${JSON.stringify({ id, ...JSON.parse(question) })}\n`);
    });
  }

  private take(line: string): void {
    const read = answerSchema.safeParse(JSON.parse(line));
    if (!read.success) {
      this.output += `\n${line} is not an answer: ${read.error.message}`;
      this.child.kill();
      return;
    }
    const { id, ...answer } = read.data;
    this.waiting.get(id)?.(answer);
    this.waiting.delete(id);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.child.once("close", resolve));
    const isRunning = this.child.exitCode === null && this.child.signalCode === null;
    this.child.stdin?.end();
    if (isRunning) await closed;
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** The launcher on a node does this: `runtime/launch.py`. */
function filledIn(text: string): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => (name.endsWith("_DIR") ? "/tmp" : "127.0.0.1"));
}

/** The models in the layout of the hub's cache. */
function layOutModels(home: string): void {
  const revision = "0".repeat(40);
  for (const file of readdirSync(MODELS)) {
    const model = join(home, "hub", `models--${file.replace(/\.json$/, "")}`);
    const snapshot = join(model, "snapshots", revision);
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(model, "refs"));
    writeFileSync(join(model, "refs", "main"), revision);
    writeFileSync(join(snapshot, "config.json"), readFileSync(join(MODELS, file)));
  }
}
