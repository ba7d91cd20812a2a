/** Models without chat: verified through their own paths, with Dynamo's real frontend and router. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { answerInWords, askModel } from "../../cli/chat";
import type { RunningDeployment } from "../../cli/deployment/running";
import { ask as smoke, smokeLine } from "../../cli/pipeline/smoke";
import { proveRouting } from "../../cli/proof";
import type { TaskName } from "../../config/task";
import type { ProgramPlan } from "../../plan/types";
import { FAILURES } from "../../sky/failureKinds";
import { cacheDir } from "../../toolchain/index";
import { modelHome } from "../../toolchain/model";
import { type Deployment, planned, programOf } from "../unit/planShapes";
import { clientOf } from "./clients";
import { ANSWER, CALL, MARKS, OUTPUTS, THOUGHT, TOOL } from "./modelOutputs";
import { eventually, TestDeployment } from "./support";

const WORKER = join(__dirname, "standIns", "task_worker.py");
const SERVICES = { discovery: "file", events: "zmq" } as const;

const TELLER = join(__dirname, "standIns", "saying_worker.py");
const THINKER = join(__dirname, "standIns", "parsed_mocker.py");

/** A base model: with a tokenizer, and without a chat template. */
let base = "";
/** A model whose tokenizer has marks of thoughts, and their tokens. */
let thinking = "";
let marks: readonly number[] = [];
beforeAll(() => {
  base = copyOfModel();
  const path = join(base, "tokenizer_config.json");
  const { chat_template: _, ...rest } = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify(rest));
  thinking = copyOfModel();
  marks = addMarks(join(thinking, "tokenizer.json"));
});
afterAll(() => {
  for (const directory of [base, thinking]) rmSync(directory, { recursive: true, force: true });
});

function copyOfModel(): string {
  const directory = mkdtempSync(join(tmpdir(), "dsky-model-"));
  const snapshots = join(modelHome(cacheDir()), "hub", "models--Qwen--Qwen3-8B", "snapshots");
  cpSync(join(snapshots, readdirSync(snapshots)[0] ?? ""), directory, { recursive: true, dereference: true });
  return directory;
}

/** Adds them to a tokenizer; their tokens. */
function addMarks(path: string): number[] {
  const tokenizer = JSON.parse(readFileSync(path, "utf8"));
  const first = 1 + Math.max(...Object.values<number>(tokenizer.model.vocab));
  const added = MARKS.map((content, index) => ({
    ...tokenizer.added_tokens[0],
    ...{ id: first + index, content, special: false },
  }));
  writeFileSync(path, JSON.stringify({ ...tokenizer, added_tokens: [...tokenizer.added_tokens, ...added] }));
  return added.map(({ id }) => id);
}

let deployment: TestDeployment | undefined;
afterEach(() => deployment?.close());

/** A deployment planned for an engine that supports the task, with a stand-in for the engine. */
function deploy(task: TaskName, engine: string, env: Readonly<Record<string, string>> = {}): TestDeployment {
  deployment = new TestDeployment({ engine, task, router: { kvEvents: false } }, SERVICES, (program) =>
    program.role === "aggregated"
      ? {
          ...program,
          command: ["python3", WORKER, task, base, "Qwen/Qwen3-8B"],
          env: { ...program.env, ...env },
        }
      : program,
  );
  return deployment;
}

function running({ endpoint, plan, logs }: TestDeployment): RunningDeployment {
  const none = { apiKey: undefined, fingerprint: undefined, engine: undefined, curl: undefined };
  return { ...none, endpoint, model: plan.model, task: plan.task, logs };
}

describe("a model is proven by what it is there for", () => {
  test.each([
    ["completions", "sglang", /^48 tokens, the first after \d+ ms, in all \d+ ms$/],
    ["embedding", "sglang", /^a vector of 2 numbers, after \d+ ms$/],
    ["classify", "vllm", /^a distribution of 2 numbers, after \d+ ms$/],
  ] as const)("%s", async (task, engine, answer) => {
    const made = deploy(task, engine);
    await made.up();
    const { signal } = new AbortController();
    const found = await smoke(running(made), signal);
    expect(answerInWords(found.answer)).toMatch(answer);
    expect(smokeLine(found)).toContain(`\`Qwen/Qwen3-8B\` answered: ${answerInWords(found.answer)}.`);
    await expect(askModel({ ...running(made), task: "chat" }, "Hello?", () => undefined)).rejects.toThrow(
      "404",
    );
  });

  test("an answer without content is none", async () => {
    const made = deploy("embedding", "vllm", { EMPTY: "1" });
    await expect(made.up({ timeoutSeconds: 15 })).rejects.toThrow(
      "waited for aggregated: an embedding came back with a vector of 2 numbers, all of them 0.",
    );
  });
});

test("a model without a chat template that is said to chat is not waited for until the time is over", async () => {
  const made = new TestDeployment({}, SERVICES, (program) =>
    program.role === "aggregated"
      ? {
          ...program,
          command: program.command.map((part, at, all) => (all[at - 1] === "--model-path" ? base : part)),
        }
      : program,
  );
  deployment = made;
  const started = Date.now();
  await expect(made.up({ timeoutSeconds: 300 })).rejects.toThrow(
    new RegExp(
      `${FAILURES.template.title}: frontend-0 says: .*\\n.*Next: .*'dynamo-sky:task' to completions`,
    ),
  );
  expect(Date.now() - started).toBeLessThan(150_000);
});

test("completions of a model that chats too are routed by cache, and the proof says so", async () => {
  deployment = new TestDeployment(
    { task: "completions", pools: [{ role: "aggregated", replicas: 2 }] },
    SERVICES,
  );
  await deployment.up();
  expect(await proveRouting(running(deployment))).toMatchObject({ cacheAware: true });
});

/** Dynamo's flags of parsers as planned for a model. */
function parserFlags(model: string): Readonly<Record<string, string>> {
  const { command } = planOf({ model, pools: [{ role: "aggregated" }] });
  return Object.fromEntries(
    command.flatMap((flag, at) => (/^--dyn-.*-parser$/.test(flag) ? [[flag, command[at + 1] ?? ""]] : [])),
  );
}

function planOf(input: Deployment): ProgramPlan {
  return programOf(planned({ ...input, cluster: { allowIdleGpus: true } }), "aggregated-0");
}

describe("what a model thinks and the tools that it calls arrive apart from its answer", () => {
  test("with the parsers of its family, for every family", async () => {
    const models = OUTPUTS.map(({ model, plain = "", thinks = "", calls = "" }) => ({
      name: model,
      flags: parserFlags(model),
      texts: [plain || thinks, thinks, calls],
    }));
    deployment = new TestDeployment({ engine: "sglang", router: { kvEvents: false } }, SERVICES, (program) =>
      program.role === "aggregated"
        ? { ...program, command: ["python3", TELLER, thinking, JSON.stringify(models)] }
        : program,
    );
    await deployment.up();
    const client = clientOf(deployment);
    await eventually(async () => (await client.models.list()).data.length === models.length);
    const ask = async (model: string, number: number) => {
      const messages = [{ role: "user" as const, content: `Say text ${number}` }];
      const { choices } = await client.chat.completions.create({ model, messages, tools: [TOOL] });
      const message = choices[0]?.message as Answered | undefined;
      return {
        thought: message?.reasoning_content?.trim() || undefined,
        answer: message?.content?.trim() || undefined,
        calls: message?.tool_calls?.map(({ function: called }) => ({
          name: called.name,
          arguments: JSON.parse(called.arguments),
        })),
      };
    };
    for (const { model, plain, thinks, calls } of OUTPUTS) {
      if (plain !== undefined) expect([model, await ask(model, 0)]).toEqual([model, { answer: ANSWER }]);
      if (thinks !== undefined)
        expect([model, await ask(model, 1)]).toEqual([model, { thought: THOUGHT, answer: ANSWER }]);
      if (calls !== undefined) expect([model, await ask(model, 2)]).toMatchObject([model, { calls: [CALL] }]);
    }
  });

  test("piece by piece, with the mocker that thinks", async () => {
    const [start, end] = marks;
    const thoughts = { start_thinking_token_id: start, end_thinking_token_id: end, thinking_ratio: 0.5 };
    const parser = ["--dyn-reasoning-parser", parserFlags("Qwen/Qwen3-8B")["--dyn-reasoning-parser"] ?? ""];
    deployment = new TestDeployment(
      { engineArgs: ["--reasoning", JSON.stringify(thoughts)] },
      SERVICES,
      (program) =>
        program.role === "aggregated"
          ? {
              ...program,
              command: [
                ...["python3", THINKER, ...parser],
                ...program.command
                  .slice(3)
                  .map((part, at, all) => (all[at - 1] === "--model-path" ? thinking : part)),
              ],
            }
          : program,
    );
    await deployment.up();
    const stream = await clientOf(deployment).chat.completions.create({
      model: "Qwen/Qwen3-8B",
      messages: [{ role: "user", content: "Hello?" }],
      max_tokens: 40,
      stream: true,
    });
    const kinds: string[] = [];
    for await (const { choices } of stream) {
      const piece = choices[0]?.delta as Answered | undefined;
      if (piece?.reasoning_content) kinds.push("thought");
      if (piece?.content) kinds.push("answer");
      expect(JSON.stringify(piece ?? {})).not.toMatch(/<.?think>/);
    }
    expect(kinds.length).toBeGreaterThan(10);
    expect(kinds.filter((kind, at) => kind !== kinds[at - 1])).toEqual(["thought", "answer"]);
    // The demo, the smoke test and `ask` count what it thinks as an answer: it may be all there is.
    const said: string[] = [];
    const { tokens } = await askModel(running(deployment), "Hello?", (text) => said.push(text));
    expect(tokens).toBe(48);
    expect(said.length).toBeGreaterThan(30);
  });
});

/** The fields that Dynamo adds to OpenAI's. */
interface Answered {
  readonly content?: string | null;
  readonly reasoning_content?: string | null;
  readonly tool_calls?: readonly {
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
}
