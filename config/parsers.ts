/**
 * Which parser takes a model's output apart: what it thinks (`reasoning_content`) and the tools that it calls
 * (`tool_calls`). Dynamo's frontend parses, by the name that a worker registers; it never chooses by model.
 */
import { type EngineName, engines } from "../engines";
import { NO_PARSER } from "./names";
import { reservedFlag } from "./reserved";

/**
 * Dynamo's own names, its aliases included: `get_reasoning_parser_names()` and `get_tool_parser_names()` in
 * `dynamo._core`. A test compares them with the installed Dynamo's.
 */
export const REASONING_PARSERS = [
  ...["basic", "deepseek-v4", "deepseek_r1", "deepseek_v3", "deepseek_v3_1", "deepseek_v3_2", "deepseek_v4"],
  ...["deepseek_v41", "deepseekv4", "gemma-4", "gemma4", "glm45", "glm47", "gpt_oss", "granite", "inkling"],
  ...["kimi", "kimi-k3", "kimi_k2", "kimi_k25", "kimi_k3", "minimax-m3", "minimax_append_think"],
  ...["minimax_m2", "minimax_m3", "mistral", "muse", "muse_glimmer", "nemotron3", "nemotron_deci"],
  ...["nemotron_nano", "nemotron_v3", "qwen3", "qwen3_coder", "step3"],
] as const;
export type ReasoningParser = (typeof REASONING_PARSERS)[number];

/** The same for calls of tools. */
export const TOOL_CALL_PARSERS = [
  ...["deepseek-v4", "deepseek_v3", "deepseek_v3_1", "deepseek_v3_2", "deepseek_v4", "deepseek_v41"],
  ...["deepseekv4", "default", "gemma-4", "gemma4", "glm45", "glm47", "harmony", "hermes", "inkling"],
  ...["jamba", "kimi-k3", "kimi_k2", "kimi_k25", "kimi_k3", "llama3_json", "minimax-m3"],
  ...["minimax-m3-nom", "minimax_m2", "minimax_m3", "minimax_m3_nom", "mistral", "muse", "muse_glimmer"],
  ...["nemotron_deci", "nemotron_nano", "phi4", "pythonic", "qwen25", "qwen3", "qwen3_coder"],
] as const;
export type ToolCallParser = (typeof TOOL_CALL_PARSERS)[number];

/** The two settings. */
export interface Parsers {
  readonly reasoningParser: ReasoningParser | typeof NO_PARSER;
  readonly toolCallParser: ToolCallParser | typeof NO_PARSER;
}

/** Models of one output format. */
export interface Family {
  /** For the documentation. */
  readonly models: string;
  /** Of the name's last part, in lower case. */
  readonly pattern: RegExp;
  readonly reasoning?: ReasoningParser;
  readonly toolCalls?: ToolCallParser;
}

/**
 * The first that matches counts. Source: the tables of parsers and of pairs in
 * https://docs.nvidia.com/dynamo/v1.6.1/parsing/tool-call-parsing and `…/reasoning-parsing`. Left out is what
 * was seen to lose text in 1.6.1: `minimax_m3` drops an answer without a thought, and `glm47` the arguments
 * of GLM 4.5 and 4.6.
 */
export const FAMILIES: readonly Family[] = [
  { models: "gpt-oss", pattern: /gpt-oss/, reasoning: "gpt_oss", toolCalls: "harmony" },
  {
    models: "DeepSeek R1 distilled into other models",
    pattern: /deepseek-r1.*distill/,
    reasoning: "deepseek_r1",
  },
  { models: "DeepSeek R1", pattern: /deepseek-r1/, reasoning: "deepseek_r1", toolCalls: "deepseek_v3" },
  {
    models: "DeepSeek V4.1",
    pattern: /deepseek-v4\.1/,
    reasoning: "deepseek_v41",
    toolCalls: "deepseek_v41",
  },
  { models: "DeepSeek V4", pattern: /deepseek-v4/, reasoning: "deepseek_v4", toolCalls: "deepseek_v4" },
  {
    // The experimental release still has the format of V3.1.
    models: "DeepSeek V3.1, V3.2-Exp",
    pattern: /deepseek-v3\.(1|2-exp)/,
    reasoning: "deepseek_v3_1",
    toolCalls: "deepseek_v3_1",
  },
  {
    models: "DeepSeek V3.2",
    pattern: /deepseek-v3\.2/,
    reasoning: "deepseek_v3_2",
    toolCalls: "deepseek_v3_2",
  },
  { models: "DeepSeek V3", pattern: /deepseek-v3/, toolCalls: "deepseek_v3" },
  {
    models: "Nemotron 3",
    pattern: /nemotron-(nano-|super-|ultra-)?3/,
    reasoning: "nemotron_v3",
    toolCalls: "nemotron_nano",
  },
  {
    models: "Nemotron Nano 2",
    pattern: /nvidia-nemotron-nano-\d+b-v2/,
    reasoning: "nemotron_nano",
    toolCalls: "nemotron_deci",
  },
  {
    models: "Llama Nemotron",
    pattern: /llama-.*nemotron-(nano|super|ultra)/,
    reasoning: "nemotron_deci",
    toolCalls: "nemotron_deci",
  },
  { models: "Hermes 4", pattern: /hermes-4/, reasoning: "basic", toolCalls: "hermes" },
  { models: "Hermes 2, 3", pattern: /hermes-[23]/, toolCalls: "hermes" },
  {
    models: "Qwen3-Coder, Qwen3.5 and later",
    pattern: /qwen(3-coder|3\.[5-9]|[4-9])/,
    reasoning: "qwen3",
    toolCalls: "qwen3_coder",
  },
  { models: "Qwen3, QwQ", pattern: /qwen3|qwq/, reasoning: "qwen3", toolCalls: "hermes" },
  { models: "Qwen2.5", pattern: /qwen2\.5/, toolCalls: "hermes" },
  { models: "Kimi K3", pattern: /kimi-k3/, reasoning: "kimi_k3", toolCalls: "kimi_k3" },
  { models: "Kimi K2.5 and later", pattern: /kimi-k2\.\d/, reasoning: "kimi_k25", toolCalls: "kimi_k2" },
  { models: "Kimi K2", pattern: /kimi-k2/, reasoning: "kimi_k2", toolCalls: "kimi_k2" },
  { models: "GLM 4.5, 4.6", pattern: /glm-4\.[56]/, reasoning: "glm45" },
  { models: "GLM 4.7, 5", pattern: /glm-(4\.7|5)/, reasoning: "glm45", toolCalls: "glm47" },
  { models: "MiniMax M2", pattern: /minimax-m2/, reasoning: "minimax_m2", toolCalls: "minimax_m2" },
  { models: "Magistral", pattern: /magistral/, reasoning: "mistral", toolCalls: "mistral" },
  { models: "Mistral, Mixtral", pattern: /mistral|mixtral/, toolCalls: "mistral" },
  { models: "Llama 4", pattern: /llama-4/, toolCalls: "pythonic" },
  { models: "Llama 3", pattern: /llama-3/, toolCalls: "llama3_json" },
  { models: "Phi-4 that reasons", pattern: /phi-4.*reasoning/, reasoning: "basic", toolCalls: "phi4" },
  { models: "Phi-4", pattern: /phi-4/, toolCalls: "phi4" },
  { models: "Granite 3", pattern: /granite-3/, reasoning: "granite" },
  { models: "Gemma 4", pattern: /gemma-4/, reasoning: "gemma4", toolCalls: "gemma4" },
  { models: "Jamba", pattern: /jamba/, toolCalls: "jamba" },
  { models: "Step 3", pattern: /step-?3/, reasoning: "step3" },
];

/** A base model continues text: it neither thinks nor calls. */
const BASE = /(^|[-_.])(base|pt)([-_.]|$)/;

/** The family of a model by its name: a hub id, a path or a bucket's URL. Undefined if none is known. */
export function familyOf(model: string): Family | undefined {
  const name = (model.split("/").findLast((part) => part !== "") ?? model).toLowerCase();
  return BASE.test(name) ? undefined : FAMILIES.find(({ pattern }) => pattern.test(name));
}

/** What the defaults depend on. */
interface Setting {
  readonly model: string;
  readonly engine: EngineName;
  readonly task: string;
  readonly engineArgs: readonly string[];
  readonly pools: readonly { readonly engineArgs: readonly string[] }[];
  readonly frontend: { readonly args: readonly string[] };
}

/** The part of it that is valid. */
type Known = { readonly [K in keyof Setting]?: Setting[K] | undefined };

/** The parsers by the model's family, where Dynamo parses at all. */
export function defaultParsers(setting: Setting): Parsers {
  const { reasoning, toolCalls } = familyOf(setting.model) ?? {};
  const isParsed = unparsed(setting) === undefined;
  return {
    reasoningParser: isParsed && reasoning !== undefined ? reasoning : NO_PARSER,
    toolCallParser:
      isParsed && toolCalls !== undefined && ownToolParser(setting) === undefined ? toolCalls : NO_PARSER,
  };
}

/** Why nothing is parsed; undefined if Dynamo's frontend parses. */
export function unparsed({ engine, task, frontend }: Known): string | undefined {
  const none = engine && engines[engine].unparsed;
  if (none !== undefined) return none;
  if (task !== undefined && task !== "chat")
    return `has no effect with task ${task}: only chat completions are parsed. Remove it.`;
  const processor = chatProcessor(frontend?.args ?? []);
  return processor === undefined || processor === "dynamo"
    ? undefined
    : `has no effect with --dyn-chat-processor ${processor} in frontend.args, which parses by its own names (--reasoning-parser and --tool-call-parser there). Remove one of the two.`;
}

/** The value of `--dyn-chat-processor`; undefined if it is not set. */
export function chatProcessor(args: readonly string[]): string | undefined {
  const flag = "--dyn-chat-processor";
  return args
    .map((argument, at) =>
      argument.startsWith(`${flag}=`)
        ? argument.slice(flag.length + 1)
        : argument === flag
          ? args[at + 1]
          : undefined,
    )
    .findLast((value) => value !== undefined);
}

/** The engine's own parser of tool calls in the user's arguments, if it refuses that beside Dynamo's. */
export function ownToolParser({ engine, engineArgs = [], pools = [] }: Known): string | undefined {
  const name = engine && engines[engine].ownToolParser;
  if (name === undefined) return undefined;
  const own = { [name]: undefined };
  const shortest = name.indexOf("-", "--".length) + 1;
  return [...engineArgs, ...pools.flatMap((pool) => pool.engineArgs)].find(
    (argument) => argument.length > shortest && reservedFlag(own, argument) !== undefined,
  );
}
