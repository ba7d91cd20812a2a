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
import { FAILURES } from "../../sky/causes";
import { cacheDir } from "../../toolchain/index";
import { modelHome } from "../../toolchain/model";
import { TestDeployment } from "./support";

const WORKER = join(__dirname, "standIns", "task_worker.py");
const SERVICES = { discovery: "file", events: "zmq" } as const;

/** A base model: with a tokenizer, and without a chat template. */
let base = "";
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "dsky-model-"));
  const snapshots = join(modelHome(cacheDir()), "hub", "models--Qwen--Qwen3-8B", "snapshots");
  cpSync(join(snapshots, readdirSync(snapshots)[0] ?? ""), base, { recursive: true, dereference: true });
  const path = join(base, "tokenizer_config.json");
  const { chat_template: _, ...rest } = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify(rest));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

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
