/** What models of different families write when they think, answer and call a tool, in their own formats. */

export const THOUGHT = "Hmm.";
export const ANSWER = "It is sunny.";
/** The call that every `calls` below is. */
export const CALL = { name: "get_weather", arguments: { city: "Rome", days: 2 } };
export const TOOL = {
  type: "function" as const,
  function: {
    name: CALL.name,
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
    },
  },
};

/** Marks that are one token each in the families' tokenizers; parsers expect them whole. */
export const MARKS = ["<think>", "</think>"];

interface Output {
  readonly model: string;
  /** An answer without a thought; absent for models that always think. */
  readonly plain?: string;
  readonly thinks?: string;
  readonly calls?: string;
}

const json = JSON.stringify(CALL);
const values = JSON.stringify(CALL.arguments);
const thinking = `<think>${THOUGHT}</think>${ANSWER}`;
const xml =
  "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>";
const dsml = (list: string) =>
  `<｜DSML｜${list}>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Rome</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜${list}>`;
const deepseek = (call: string) =>
  `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>${call}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`;
const kimi = `<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>${values}<|tool_call_end|><|tool_calls_section_end|>`;

/** One of each family whose format is written as text. The first is the deployment's own model. */
export const OUTPUTS: readonly Output[] = [
  { model: "Qwen/Qwen3-8B", plain: ANSWER, thinks: thinking, calls: `<tool_call>\n${json}\n</tool_call>` },
  { model: "Qwen/Qwen3-Coder-30B-A3B-Instruct", plain: ANSWER, calls: xml },
  { model: "Qwen/Qwen3.5-27B", plain: ANSWER, thinks: thinking, calls: xml },
  { model: "Qwen/Qwen2.5-7B-Instruct", plain: ANSWER, calls: `<tool_call>\n${json}\n</tool_call>` },
  {
    model: "deepseek-ai/DeepSeek-R1",
    thinks: thinking,
    calls: `${THOUGHT}</think>${deepseek(`function<｜tool▁sep｜>get_weather\n\`\`\`json\n${values}\n\`\`\``)}`,
  },
  { model: "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", thinks: thinking },
  {
    model: "deepseek-ai/DeepSeek-V3-0324",
    plain: ANSWER,
    calls: deepseek(`function<｜tool▁sep｜>get_weather\n\`\`\`json\n${values}\n\`\`\``),
  },
  {
    model: "deepseek-ai/DeepSeek-V3.1",
    plain: ANSWER,
    calls: deepseek(`get_weather<｜tool▁sep｜>${values}`),
  },
  {
    model: "deepseek-ai/DeepSeek-V3.2",
    thinks: `${THOUGHT}</think>${ANSWER}`,
    calls: `${THOUGHT}</think>${dsml("function_calls")}`,
  },
  {
    model: "deepseek-ai/DeepSeek-V4-Flash",
    plain: ANSWER,
    thinks: thinking,
    calls: `<think>${THOUGHT}</think>${dsml("tool_calls")}`,
  },
  { model: "moonshotai/Kimi-K2-Thinking", plain: ANSWER, thinks: thinking, calls: kimi },
  { model: "moonshotai/Kimi-K2.5", thinks: thinking, calls: `${THOUGHT}</think>${kimi}` },
  { model: "zai-org/GLM-4.5-Air", plain: ANSWER, thinks: thinking },
  {
    model: "zai-org/GLM-4.7",
    plain: ANSWER,
    thinks: thinking,
    calls:
      "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Rome</arg_value><arg_key>days</arg_key><arg_value>2</arg_value></tool_call>",
  },
  {
    model: "MiniMaxAI/MiniMax-M2.1",
    thinks: `${THOUGHT}</think>${ANSWER}`,
    calls: `${THOUGHT}</think><minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>`,
  },
  {
    model: "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    thinks: `${THOUGHT}</think>${ANSWER}`,
    calls: `${THOUGHT}</think>${xml}`,
  },
  {
    model: "nvidia/NVIDIA-Nemotron-Nano-9B-v2",
    thinks: `${THOUGHT}</think>${ANSWER}`,
    calls: `${THOUGHT}</think><TOOLCALL>[${json}]</TOOLCALL>`,
  },
  {
    model: "nvidia/Llama-3_3-Nemotron-Super-49B-v1",
    plain: ANSWER,
    thinks: thinking,
    calls: `<TOOLCALL>[${json}]</TOOLCALL>`,
  },
  { model: "mistralai/Mistral-7B-Instruct-v0.3", plain: ANSWER, calls: `[TOOL_CALLS][${json}]` },
  {
    model: "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    plain: ANSWER,
    calls: '[get_weather(city="Rome", days=2)]',
  },
  {
    model: "meta-llama/Llama-3.3-70B-Instruct",
    plain: ANSWER,
    calls: `{"name": "get_weather", "parameters": ${values}}`,
  },
  { model: "microsoft/Phi-4-mini-instruct", plain: ANSWER, calls: `functools[${json}]` },
  { model: "microsoft/Phi-4-mini-reasoning", plain: ANSWER, thinks: thinking },
  {
    model: "ibm-granite/granite-3.3-8b-instruct",
    plain: ANSWER,
    thinks: `Here is my thought process:${THOUGHT}Here is my response:${ANSWER}`,
  },
  {
    model: "NousResearch/Hermes-4-70B",
    plain: ANSWER,
    thinks: thinking,
    calls: `<tool_call>\n${json}\n</tool_call>`,
  },
  { model: "ai21labs/AI21-Jamba-Large-1.7", plain: ANSWER, calls: `<tool_calls>[${json}]</tool_calls>` },
];
