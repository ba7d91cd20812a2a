import { describe, expect, test } from "vitest";
import { type BadInput, messageOf } from "./configMessages";

const BAD: readonly BadInput[] = [
  [
    "no object",
    "hello",
    [
      'dynamo-sky: "hello" is not a configuration. Allowed: an object with settings, of which model is required.',
    ],
  ],
  [
    "a list",
    [1],
    ["dynamo-sky: [1] is not a configuration. Allowed: an object with settings, of which model is required."],
  ],
  [
    "typo in a top-level key",
    { model: "Qwen/Qwen3-8B", modle: "x" },
    ['dynamo-sky:modle: unknown key. Did you mean "model"?'],
  ],
  [
    "key of a group at the top level",
    { routerMode: "kv" },
    ["dynamo-sky:routerMode: unknown key here. Write it as dynamo-sky:router.mode."],
  ],
  [
    "key that belongs into a pool",
    { tensorParallel: 8 },
    ["dynamo-sky:tensorParallel: unknown key here. Write it as dynamo-sky:pools[].tensorParallel."],
  ],
  [
    "key that exists in several groups",
    { replicas: 2 },
    [
      "dynamo-sky:replicas: unknown key here. Write it as dynamo-sky:pools[].replicas or dynamo-sky:frontend.replicas.",
    ],
  ],
  [
    "key that nobody knows",
    { colour: "red" },
    ["dynamo-sky:colour: unknown key. Remove it; docs/configuration.md lists all keys."],
  ],
  [
    "typo in a group",
    { router: { mdoe: "kv" } },
    ['dynamo-sky:router.mdoe: unknown key. Did you mean "mode"?'],
  ],
  [
    "unknown key of a small group",
    { kvOffload: { tape: 3 } },
    ["dynamo-sky:kvOffload.tape: unknown key. Known here: hostMemoryGB, diskGB, diskPath."],
  ],
  [
    "unknown key of a large group",
    { router: { colour: 1 } },
    ["dynamo-sky:router.colour: unknown key. Remove it; docs/configuration.md lists all keys."],
  ],
  [
    "typo in a pool",
    { pools: [{ role: "aggregated", tensorParalell: 2 }] },
    ['dynamo-sky:pools[0].tensorParalell: unknown key. Did you mean "tensorParallel"?'],
  ],
  [
    "Python spelling",
    { pools: [{ role: "aggregated", tensor_parallel: 2 }] },
    ['dynamo-sky:pools[0].tensor_parallel: unknown key. Did you mean "tensorParallel"?'],
  ],
  ["wrong case", { Target: "local" }, ['dynamo-sky:Target: unknown key. Did you mean "target"?']],
  [
    "two typos",
    { taget: "local", engin: "mocker" },
    [
      'dynamo-sky:taget: unknown key. Did you mean "target"?',
      'dynamo-sky:engin: unknown key. Did you mean "engine"?',
    ],
  ],
  [
    "many at once",
    {
      taget: "local",
      model: "gpt2",
      pools: [{ role: "prefil", tensorParallel: 0 }],
      router: { mode: "kvv" },
    },
    [
      'dynamo-sky:model: "gpt2" is not the name of a model. Allowed: a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/). Write it with its organisation: Org/gpt2.',
      'dynamo-sky:pools[0].role: "prefil" is not a role. Allowed: aggregated, prefill, decode, encode. Did you mean "prefill"?',
      "dynamo-sky:pools[0].tensorParallel: 0 is too small. Allowed: 1 to 1024.",
      'dynamo-sky:router.mode: "kvv" is not a router mode. Allowed: kv, round-robin, random, power-of-two, least-loaded, direct, device-aware-weighted. Did you mean "kv"?',
      'dynamo-sky:taget: unknown key. Did you mean "target"?',
    ],
  ],
];

describe("keys that there are not", () => {
  test.each(BAD)("%s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });
});
