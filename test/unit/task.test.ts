/** Tasks of models: each engine's flags, rejected combinations, and when a response counts. */

import { describe, expect, it, test } from "vitest";
import { targetOf } from "../../cli/bench/target";
import { chatCommand } from "../../components/topology";
import { TASKS, type TaskName, tasks } from "../../config/task";
import type { ConfigInput } from "../../plan/config";
import type { EngineName } from "../../plan/types";
import { programsOf } from "../../plan/types";
import { stackOutputs } from "../outputs";
import { type Deployment, planned, problemsOf } from "./planShapes";

const MODEL = "Org/Model";
const deployment = (input: Omit<ConfigInput, "model">): Deployment => ({
  model: MODEL,
  pools: [{ role: "aggregated", replicas: 8 }],
  ...input,
});
const programs = (input: Omit<ConfigInput, "model">) => programsOf(planned(deployment(input)));
const commandOf = (engine: EngineName, task: TaskName) =>
  programs({ engine, task })
    .find(({ role }) => role === "aggregated")
    ?.command.join(" ") ?? "";

describe("an engine is told its task", () => {
  test.each<[EngineName, TaskName, string]>([
    ["sglang", "completions", "--endpoint-types completions"],
    ["sglang", "embedding", "--embedding-worker"],
    ["vllm", "completions", "--endpoint-types completions"],
    ["vllm", "embedding", "--embedding-worker --runner pooling"],
    ["vllm", "classify", "--classify-worker --runner pooling"],
    ["trtllm", "completions", "--endpoint-types completions"],
  ])("%s, %s: %s", (engine, task, flags) => {
    expect(commandOf(engine, task)).toContain(` ${flags} `);
    expect(commandOf(engine, "chat")).not.toContain(flags);
  });

  test.each<[EngineName, TaskName]>([
    ["sglang", "classify"],
    ["trtllm", "embedding"],
    ["trtllm", "classify"],
    ["mocker", "embedding"],
    ["mocker", "classify"],
  ])("%s has no %s", (engine, task) => {
    expect(problemsOf(deployment({ engine, task }))).toEqual([
      expect.stringMatching(
        `^task: "${task}" is not possible with engine ${engine}. Allowed: chat, .* It is with engine .*vllm.`,
      ),
    ]);
  });

  test.each(["--endpoint-types", "--dyn-endpoint-types", "--embedding-worker"])("and not by %s", (flag) => {
    for (const engine of ["sglang", "vllm"] as const)
      expect(problemsOf(deployment({ engine, engineArgs: [flag, "x"] }))[0]).toContain("use task instead");
  });
});

describe("without a KV cache", () => {
  it.each(["embedding", "classify"] as const)("%s is routed by turns, and publishes nothing", (task) => {
    expect(planned(deployment({ engine: "vllm", task })).routerMode).toBe("round-robin");
    expect(commandOf("vllm", task)).not.toContain("--kv-events-config");
    expect(planned(deployment({ engine: "vllm", task: "completions" })).routerMode).toBe("kv");
  });

  it("nothing that needs one is accepted", () => {
    const input: Omit<ConfigInput, "model"> = {
      engine: "vllm",
      task: "embedding",
      router: { mode: "kv" },
      pools: [{ role: "prefill" }, { role: "decode" }],
      kvOffload: { hostMemoryGB: 8 },
    };
    expect(problemsOf(deployment(input))).toEqual([
      expect.stringMatching(/^pools.0.role: "prefill" is not possible with task embedding/),
      expect.stringMatching(/^pools.1.role: "decode" is not possible with task embedding/),
      expect.stringMatching(/^router.mode: "kv" does not work with task embedding.*round-robin/),
      expect.stringMatching(/^kvOffload.hostMemoryGB: 8 has no effect with task embedding/),
    ]);
  });

  it("a replica of vLLM is on one node", () => {
    const pools = [{ role: "aggregated", tensorParallel: 16 }] as const;
    const problems = problemsOf(
      deployment({ engine: "vllm", task: "classify", cluster: { nodes: 2 }, pools: [...pools] }),
    );
    expect(problems).toEqual([expect.stringMatching(/^pools.0.tensorParallel: a replica over 2 nodes/)]);
  });
});

describe("an answer counts when something was computed", () => {
  const chat = (content: unknown, tokens = 3, more = {}) => ({
    choices: [{ message: { content, ...more } }],
    usage: { completion_tokens: tokens },
  });
  test.each<[TaskName, unknown, boolean, string]>([
    ["chat", chat("Hello"), true, "3 tokens"],
    ["chat", chat("H", 1), true, "1 token"],
    ["chat", chat(null, 3, { reasoning_content: "Hm" }), true, "3 tokens"],
    ["chat", chat(""), false, "3 tokens and no text"],
    ["chat", chat("Hello", 0), false, "0 tokens and some text"],
    ["chat", { choices: [] }, false, "0 tokens and no text"],
    ["completions", { choices: [{ text: "Hi" }], usage: { completion_tokens: 2 } }, true, "2 tokens"],
    ["completions", chat("Hello"), false, "3 tokens and no text"],
    ["embedding", { data: [{ embedding: [0, 0.5] }] }, true, "a vector of 2 numbers"],
    ["embedding", { data: [{ embedding: [0] }] }, false, "a vector of 1 number, all of them 0"],
    ["embedding", { data: [{ embedding: [] }] }, false, "no vector"],
    ["embedding", { data: [] }, false, "no vector"],
    ["classify", { data: [{ label: "A", probs: [1] }] }, true, "a distribution of 1 number"],
    ["classify", {}, false, "nothing of what it should have"],
    ["embedding", "<html>", false, "nothing of what it should have"],
  ])("%s: %j", (task, answer, isThere, words) => {
    expect(tasks[task].read(answer)).toEqual({ isThere, words });
  });
});

test.each(TASKS)("the chat output asks for %s where it is answered", (task) => {
  const command = chatCommand("http://h:1", { model: MODEL, task });
  expect(command).toContain(`http://h:1/v1/${tasks[task].path} `);
  expect(command).toContain(`"model":"${MODEL}"`);
});

test("a load test is for what writes tokens", () => {
  const outputs = (task: TaskName) => {
    const where = { target: "local" as const, infra: [], namespace: "dynamo", routerMode: "kv", task };
    const workers = { aggregated: 1, prefill: 0, decode: 0 };
    return stackOutputs(
      { endpoint: "http://h:1", model: MODEL, chat: "" },
      { deployment: { ...where, workers } },
    );
  };
  expect(targetOf(outputs("completions")).task).toBe("completions");
  expect(() => targetOf(outputs("embedding"))).toThrow("with task embedding none are");
});
