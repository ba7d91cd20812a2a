/** Dynamo's parsers of what a model thinks and of the tools that it calls: defaults, refusals, flags. */
import { describe, expect, it, test } from "vitest";
import { FAMILIES, familyOf } from "../../config/parsers";
import { parseConfig } from "../../plan/config";
import { textOf } from "../pages";
import { messageOf } from "./configMessages";
import { type Deployment, planned, problemsOf, programOf, SHAPES } from "./planShapes";

const parsersOf = (input: Deployment) => {
  const { reasoningParser, toolCallParser } = parseConfig(input);
  return [reasoningParser, toolCallParser];
};

describe("the default", () => {
  test.each([
    ["openai/gpt-oss-120b", "gpt_oss", "harmony"],
    ["deepseek-ai/DeepSeek-R1", "deepseek_r1", "deepseek_v3"],
    ["nvidia/DeepSeek-R1-0528-FP4", "deepseek_r1", "deepseek_v3"],
    ["deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "deepseek_r1", "none"],
    ["deepseek-ai/DeepSeek-V3-0324", "none", "deepseek_v3"],
    ["deepseek-ai/DeepSeek-V3.1-Terminus", "deepseek_v3_1", "deepseek_v3_1"],
    ["deepseek-ai/DeepSeek-V3.2-Exp", "deepseek_v3_1", "deepseek_v3_1"],
    ["deepseek-ai/DeepSeek-V3.2", "deepseek_v3_2", "deepseek_v3_2"],
    ["deepseek-ai/DeepSeek-V4-Flash", "deepseek_v4", "deepseek_v4"],
    ["deepseek-ai/DeepSeek-V4.1-Pro", "deepseek_v41", "deepseek_v41"],
    ["Qwen/Qwen2.5-72B-Instruct", "none", "hermes"],
    ["Qwen/QwQ-32B", "qwen3", "hermes"],
    ["Qwen/Qwen3-8B", "qwen3", "hermes"],
    ["Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3", "hermes"],
    ["Qwen/Qwen3-Coder-480B-A35B-Instruct", "qwen3", "qwen3_coder"],
    ["Qwen/Qwen3.5-397B-A17B", "qwen3", "qwen3_coder"],
    ["moonshotai/Kimi-K2-Instruct-0905", "kimi_k2", "kimi_k2"],
    ["moonshotai/Kimi-K2.5", "kimi_k25", "kimi_k2"],
    ["moonshotai/Kimi-K3", "kimi_k3", "kimi_k3"],
    ["zai-org/GLM-4.5-Air", "glm45", "none"],
    ["zai-org/GLM-4.7", "glm45", "glm47"],
    ["MiniMaxAI/MiniMax-M2.1", "minimax_m2", "minimax_m2"],
    ["MiniMaxAI/MiniMax-M3", "none", "none"],
    ["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nemotron_v3", "nemotron_nano"],
    ["nvidia/NVIDIA-Nemotron-Nano-9B-v2", "nemotron_nano", "nemotron_deci"],
    ["nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", "nemotron_deci", "nemotron_deci"],
    ["mistralai/Magistral-Small-2506", "mistral", "mistral"],
    ["mistralai/Mixtral-8x7B-Instruct-v0.1", "none", "mistral"],
    ["meta-llama/Llama-4-Scout-17B-16E-Instruct", "none", "pythonic"],
    ["meta-llama/Llama-3.3-70B-Instruct", "none", "llama3_json"],
    ["microsoft/Phi-4-mini-instruct", "none", "phi4"],
    ["microsoft/Phi-4-mini-reasoning", "basic", "phi4"],
    ["ibm-granite/granite-3.3-8b-instruct", "granite", "none"],
    ["NousResearch/Hermes-4-70B", "basic", "hermes"],
    ["NousResearch/Hermes-3-Llama-3.1-8B", "none", "hermes"],
    ["google/gemma-4-27b-it", "gemma4", "gemma4"],
    ["ai21labs/AI21-Jamba-Large-1.7", "none", "jamba"],
    ["allenai/OLMo-2-1124-7B-Instruct", "none", "none"],
    ["/weights/Qwen3-8B", "qwen3", "hermes"],
    ["s3://weights/qwen/Qwen3-8B/", "qwen3", "hermes"],
    ["Qwen/Qwen3-8B-Base", "none", "none"],
    ["google/gemma-4-27b-pt", "none", "none"],
  ] as const)("of %s", (model, reasoning, toolCalls) => {
    expect(parsersOf({ model })).toEqual([reasoning, toolCalls]);
  });

  it("is read off a name that belongs to each family, and each is documented", () => {
    const page = textOf("docs/models.md");
    for (const { models, reasoning = "none", toolCalls = "none" } of FAMILIES)
      expect(page).toContain(`| ${models} | \`${reasoning}\` | \`${toolCalls}\` |`);
  });

  test.each<[string, Deployment]>([
    ["the mocker's text is made up", { model: "Qwen/Qwen3-8B", target: "local" }],
    ["a base model does not chat", { model: "Qwen/Qwen3-8B", task: "completions" }],
    [
      "the engine's own processor parses",
      { model: "Qwen/Qwen3-8B", frontend: { args: ["--dyn-chat-processor", "sglang"] } },
    ],
  ])("is none where %s", (_, input) => {
    expect(parsersOf(input)).toEqual(["none", "none"]);
  });

  it("leaves the tool calls to SGLang's own parser if that is asked for", () => {
    const engineArgs = ["--tool-call-parser", "qwen"];
    expect(parsersOf({ model: "Qwen/Qwen3-8B", engineArgs })).toEqual(["qwen3", "none"]);
    expect(parsersOf({ model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", engineArgs }] })).toEqual([
      "qwen3",
      "none",
    ]);
  });

  it("can be set, or turned off", () => {
    const model = "Qwen/Qwen3-8B";
    expect(parsersOf({ model, reasoningParser: "none" })).toEqual(["none", "hermes"]);
    expect(parsersOf({ model, toolCallParser: "qwen3_coder" })).toEqual(["qwen3", "qwen3_coder"]);
    expect(familyOf("me/my-finetune")).toBeUndefined();
    expect(parsersOf({ model: "me/my-finetune", reasoningParser: "basic" })).toEqual(["basic", "none"]);
  });
});

describe("refused is", () => {
  test.each<[string, object, string]>([
    [
      "a name that is none",
      { reasoningParser: "qwen4" },
      '"qwen4" is not a reasoning parser. Allowed: basic,',
    ],
    ["and what it may mean is said", { reasoningParser: "qwen4" }, 'Did you mean "qwen3"?'],
    ["one of the other kind", { toolCallParser: "gpt_oss" }, '"gpt_oss" is not a tool call parser. Allowed:'],
    [
      "one for the mocker",
      { target: "local", reasoningParser: "qwen3" },
      'reasoningParser: "qwen3" has no meaning for engine mocker, whose text is made up.',
    ],
    [
      "one for completions",
      { task: "completions", toolCallParser: "hermes" },
      'toolCallParser: "hermes" has no effect with task completions: only chat completions are parsed.',
    ],
    [
      "one beside the engine's own processor",
      { engine: "vllm", reasoningParser: "qwen3", frontend: { args: ["--dyn-chat-processor=vllm"] } },
      'reasoningParser: "qwen3" has no effect with --dyn-chat-processor vllm in frontend.args',
    ],
    [
      "two parsers of tool calls",
      { toolCallParser: "hermes", engineArgs: ["--tool-call-parser=qwen"] },
      'toolCallParser: "hermes" excludes --tool-call-parser=qwen in engineArgs',
    ],
  ])("%s", (_, input, message) => {
    expect(messageOf(input)).toContain(message);
  });

  it("Dynamo's variable", () => {
    const engineEnv = { DYN_TOOL_CALL_PARSER: "hermes" };
    expect(problemsOf({ ...SHAPES.single, engineEnv })).toEqual([
      "engineEnv.DYN_TOOL_CALL_PARSER: DYN_TOOL_CALL_PARSER is set by the plan. Remove it; use toolCallParser instead.",
    ]);
  });

  it("Dynamo's flag among the engine's arguments", () => {
    const engineArgs = ["--dyn-reasoning-parser", "qwen3"];
    expect(problemsOf({ ...SHAPES.single, engineArgs }).join()).toContain("use reasoningParser instead");
  });
});

describe.each(["sglang", "vllm", "trtllm"] as const)("with engine %s", (engine) => {
  it("the workers that answer name them, and no others", () => {
    const plan = planned({ ...SHAPES.disagg, engine });
    const flags = ["--dyn-reasoning-parser", "qwen3", "--dyn-tool-call-parser", "hermes"].join(" ");
    const [prefill, decode] = ["prefill-0", "decode-0"].map((name) =>
      programOf(plan, name).command.join(" "),
    );
    expect(decode).toContain(flags);
    expect(prefill).not.toContain("--dyn-");
  });
});
