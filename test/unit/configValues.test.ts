import { describe, expect, test } from "vitest";
import { type BadInput, messageOf } from "./configMessages";

const BAD: readonly BadInput[] = [
  [
    "target is no target",
    { target: "aws" },
    ['dynamo-sky:target: "aws" is not a target. Allowed: sky, local.'],
  ],
  [
    "target in capitals",
    { target: "Local" },
    ['dynamo-sky:target: "Local" is not a target. Allowed: sky, local. Did you mean "local"?'],
  ],
  [
    "role is the beginning of one",
    { pools: [{ role: "agg" }] },
    [
      'dynamo-sky:pools[0].role: "agg" is not a role. Allowed: aggregated, prefill, decode, encode. Did you mean "aggregated"?',
    ],
  ],
  [
    "task is the beginning of one",
    { task: "embed" },
    [
      'dynamo-sky:task: "embed" is not a task. Allowed: chat, completions, embedding, classify. Did you mean "embedding"?',
    ],
  ],
  [
    "task is what it is called elsewhere",
    { task: "generate" },
    [
      'dynamo-sky:task: "generate" is not a task. Allowed: chat, completions, embedding, classify. Did you mean "completions"?',
    ],
  ],
  [
    "task is none that Dynamo has",
    { task: "rerank" },
    ['dynamo-sky:task: "rerank" is not a task. Allowed: chat, completions, embedding, classify.'],
  ],
  ["target is null", { target: null }, ["dynamo-sky:target: null is not a target. Allowed: sky, local."]],
  [
    "model is a number",
    { model: 8 },
    [
      'dynamo-sky:model: 8 is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/). Write it in quotes: "8".',
    ],
  ],
  [
    "model is empty",
    { model: "" },
    [
      'dynamo-sky:model: "" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/).',
    ],
  ],
  [
    "model without organisation",
    { model: "gpt2" },
    [
      'dynamo-sky:model: "gpt2" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/). Write it with its organisation: Org/gpt2.',
    ],
  ],
  [
    "model is a relative path",
    { model: "./models/qwen" },
    [
      'dynamo-sky:model: "./models/qwen" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/). Write the whole path, from /.',
    ],
  ],
  [
    "model is below the home directory",
    { model: "~/models/qwen" },
    [
      'dynamo-sky:model: "~/models/qwen" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/). Write the whole path, from /.',
    ],
  ],
  [
    "model is a link to the hub",
    { model: "https://huggingface.co/Qwen/Qwen3-8B" },
    [
      'dynamo-sky:model: "https://huggingface.co/Qwen/Qwen3-8B" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/). Did you mean "Qwen/Qwen3-8B"?',
    ],
  ],
  [
    "model with spaces",
    { model: "Qwen/Qwen3 8B" },
    [
      'dynamo-sky:model: "Qwen/Qwen3 8B" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/).',
    ],
  ],
  [
    "model with two slashes",
    { model: "Qwen/Qwen3/8B" },
    [
      'dynamo-sky:model: "Qwen/Qwen3/8B" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/).',
    ],
  ],
  [
    "model with two hyphens",
    { model: "Qwen/Qwen3--8B" },
    [
      'dynamo-sky:model: "Qwen/Qwen3--8B" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/).',
    ],
  ],
  [
    "model is the root directory",
    { model: "/" },
    [
      'dynamo-sky:model: "/" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/).',
    ],
  ],
  [
    "model on a file server",
    { model: "ftp://host/model" },
    [
      'dynamo-sky:model: "ftp://host/model" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/).',
    ],
  ],
  [
    "revision with spaces",
    { modelRevision: "my branch" },
    [
      'dynamo-sky:modelRevision: "my branch" is not a revision. Allowed: a branch, tag or commit of the hub, by git\'s rules for names.',
    ],
  ],
  [
    "served name with spaces",
    { servedModelName: "my model" },
    [
      'dynamo-sky:servedModelName: "my model" is not a model name. Allowed: text without spaces, commas and control characters.',
    ],
  ],
  [
    "served name is a number",
    { servedModelName: 7 },
    [
      'dynamo-sky:servedModelName: 7 is not a model name. Allowed: text without spaces, commas and control characters. Write it in quotes: "7".',
    ],
  ],
  [
    "yes instead of true",
    { trustRemoteCode: "yes" },
    ['dynamo-sky:trustRemoteCode: "yes" is neither true nor false.'],
  ],
  [
    "one instead of true",
    { trustRemoteCode: 1 },
    ["dynamo-sky:trustRemoteCode: 1 is neither true nor false."],
  ],
  [
    "context length of zero",
    { contextLength: 0 },
    ["dynamo-sky:contextLength: 0 is too small. Allowed: 1 to 100000000."],
  ],
  [
    "context length with a unit",
    { contextLength: "32k" },
    ['dynamo-sky:contextLength: "32k" is not a whole number. Allowed: 1 to 100000000.'],
  ],
  [
    "context length with decimals",
    { contextLength: 4096.5 },
    ["dynamo-sky:contextLength: 4096.5 is not a whole number. Allowed: 1 to 100000000."],
  ],
  [
    "engine is no engine",
    { engine: "tgi" },
    ['dynamo-sky:engine: "tgi" is not an engine. Allowed: sglang, vllm, trtllm, mocker.'],
  ],
  [
    "engine nearly right",
    { engine: "vlm" },
    [
      'dynamo-sky:engine: "vlm" is not an engine. Allowed: sglang, vllm, trtllm, mocker. Did you mean "vllm"?',
    ],
  ],
  [
    "engine spelled out",
    { engine: "tensorrt-llm" },
    ['dynamo-sky:engine: "tensorrt-llm" is not an engine. Allowed: sglang, vllm, trtllm, mocker.'],
  ],
  [
    "engine arguments as one text",
    { engineArgs: "--max-running-requests 8" },
    ['dynamo-sky:engineArgs: "--max-running-requests 8" is not a list. Allowed: a list of arguments.'],
  ],
  [
    "engine argument is a number",
    { engineArgs: ["--max-running-requests", 8] },
    [
      'dynamo-sky:engineArgs[1]: 8 is not an argument. Allowed: text on one line, a flag and its value as two arguments or with =, such as "--max-running-requests", "64". Write it in quotes: "8".',
    ],
  ],
  [
    "engine argument with a line break",
    { engineArgs: ["--a\n--b"] },
    [
      'dynamo-sky:engineArgs[0]: "--a\\n--b" is not an argument. Allowed: text on one line, a flag and its value as two arguments or with =, such as "--max-running-requests", "64".',
    ],
  ],
  [
    "environment as a list",
    { engineEnv: ["NCCL_DEBUG=INFO"] },
    [
      'dynamo-sky:engineEnv: ["NCCL_DEBUG=INFO"] is not an object. Allowed: an object with environment variables and their values as text.',
    ],
  ],
  [
    "environment value is a number",
    { engineEnv: { NCCL_P2P_LEVEL: 5 } },
    ["dynamo-sky:engineEnv.NCCL_P2P_LEVEL: a number is not text. Allowed: text. Write it in quotes."],
  ],
  [
    "environment value is null",
    { engineEnv: { NCCL_DEBUG: null } },
    ["dynamo-sky:engineEnv.NCCL_DEBUG: null is not text. Allowed: text. Write it in quotes."],
  ],
  [
    "environment name with a hyphen",
    { engineEnv: { "NCCL-DEBUG": "INFO" } },
    [
      'dynamo-sky:engineEnv.NCCL-DEBUG: "NCCL-DEBUG" is not the name of an environment variable. Allowed: letters, digits and _, not starting with a digit.',
    ],
  ],
  [
    "pools is an object",
    { pools: { role: "aggregated" } },
    ['dynamo-sky:pools: {"role":"aggregated"} is not a list. Allowed: a list of pools, at least 1.'],
  ],
  ["no pools", { pools: [] }, ["dynamo-sky:pools: [] is too short. Allowed: a list of pools, at least 1."]],
  [
    "pools as broken JSON",
    { pools: '[{"role":' },
    [
      'dynamo-sky:pools: "[{\\"role\\":" is not a list. Allowed: a list of pools, at least 1. It is not valid JSON.',
    ],
  ],
  [
    "pool is a word",
    { pools: ["decode"] },
    ['dynamo-sky:pools[0]: "decode" is not an object. Allowed: an object with settings.'],
  ],
  [
    "pool without a role",
    { pools: [{ replicas: 2 }] },
    ["dynamo-sky:pools[0].role: is required. Allowed: aggregated, prefill, decode, encode."],
  ],
  [
    "role is no role",
    { pools: [{ role: "decoder" }] },
    [
      'dynamo-sky:pools[0].role: "decoder" is not a role. Allowed: aggregated, prefill, decode, encode. Did you mean "decode"?',
    ],
  ],
  [
    "replicas zero",
    { pools: [{ role: "aggregated", replicas: 0 }] },
    ["dynamo-sky:pools[0].replicas: 0 is too small. Allowed: 1 to 10000."],
  ],
  [
    "replicas negative",
    { pools: [{ role: "prefill" }, { role: "decode", replicas: -1 }] },
    ["dynamo-sky:pools[1].replicas: -1 is too small. Allowed: 1 to 10000."],
  ],
  [
    "replicas in quotes",
    { pools: [{ role: "aggregated", replicas: "2" }] },
    [
      'dynamo-sky:pools[0].replicas: "2" is not a whole number. Allowed: 1 to 10000. Write it without quotes: 2.',
    ],
  ],
  [
    "replicas too many",
    { pools: [{ role: "aggregated", replicas: 1000000 }] },
    ["dynamo-sky:pools[0].replicas: 1000000 is too big. Allowed: 1 to 10000."],
  ],
  [
    "tensorParallel with decimals",
    { pools: [{ role: "aggregated", tensorParallel: 1.5 }] },
    ["dynamo-sky:pools[0].tensorParallel: 1.5 is not a whole number. Allowed: 1 to 1024."],
  ],
  [
    "tensorParallel is a word",
    { pools: [{ role: "prefill" }, { role: "decode", tensorParallel: "auto" }] },
    ['dynamo-sky:pools[1].tensorParallel: "auto" is not a whole number. Allowed: 1 to 1024.'],
  ],
  [
    "dataParallel zero",
    { pools: [{ role: "aggregated", dataParallel: 0 }] },
    ["dynamo-sky:pools[0].dataParallel: 0 is too small. Allowed: 1 to 1024."],
  ],
  [
    "memory fraction as percentage",
    { pools: [{ role: "aggregated", gpuMemoryFraction: 90 }] },
    ["dynamo-sky:pools[0].gpuMemoryFraction: 90 is too big. Allowed: above 0, at most 1."],
  ],
  [
    "memory fraction zero",
    { pools: [{ role: "aggregated", gpuMemoryFraction: 0 }] },
    ["dynamo-sky:pools[0].gpuMemoryFraction: 0 is too small. Allowed: above 0, at most 1."],
  ],
  [
    "accelerator with a count",
    { cluster: { accelerator: "H100:8" } },
    [
      'dynamo-sky:cluster.accelerator: "H100:8" is not the name of an accelerator. Allowed: a name from `sky gpus list` without a count, such as H100 or A100-80GB.',
    ],
  ],
  [
    "nodes zero",
    { cluster: { nodes: 0 } },
    ["dynamo-sky:cluster.nodes: 0 is too small. Allowed: 1 to 10000."],
  ],
  [
    "GPUs as text",
    { cluster: { gpusPerNode: "eight" } },
    ['dynamo-sky:cluster.gpusPerNode: "eight" is not a whole number. Allowed: 1 to 1024.'],
  ],
  [
    "placement is no placement",
    { placement: "dedicate" },
    [
      'dynamo-sky:placement: "dedicate" is not a placement. Allowed: shared, dedicated. Did you mean "dedicated"?',
    ],
  ],
];

describe("values that are not allowed: model, engine, pools, nodes", () => {
  test.each(BAD)("%s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });
});
