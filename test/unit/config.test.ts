import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { DeploymentConfig } from "../../config/deployment";
import { gpusPerReplica } from "../../config/pools";
import { ConfigError, formatProblems, settingName } from "../../config/problems";
import { ROUTER_KNOBS, ROUTER_MODES } from "../../config/router";
import { configSchema } from "../../config/schema";
import { configKeys, parseConfig } from "../../plan/config";
import { messageOf } from "./configMessages";

const MODEL = { model: "Qwen/Qwen3-8B" };
const ROOT = join(__dirname, "../..");

describe("defaults", () => {
  test("a model is enough for a cluster on SkyPilot", () => {
    const config = parseConfig(MODEL);
    expect(config).toMatchObject({
      target: "sky",
      model: "Qwen/Qwen3-8B",
      servedModelName: "Qwen/Qwen3-8B",
      trustRemoteCode: false,
      engine: "sglang",
      // plan/bestLayouts.json
      pools: [{ role: "aggregated", replicas: 4, tensorParallel: 2, dataParallel: 1, pipelineParallel: 1 }],
      cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100", allowIdleGpus: false },
      placement: "shared",
      router: { mode: "kv", kvEvents: true },
      frontend: { replicas: 2, port: 8000, migrationLimit: 6 },
      controlPlane: { discovery: "auto", events: "auto", requestPlane: "tcp", leaseTtlSeconds: 30 },
      kvOffload: {},
      timeouts: { readySeconds: 3600, dependencySeconds: 120, stopSeconds: 30, provisionMinutes: 60 },
      sky: { infra: [], useSpot: false, retryUntilUp: false, autostopDown: true, labels: {}, envs: {} },
    });
    expect(config).not.toHaveProperty("huggingFaceToken");
    expect(config).not.toHaveProperty("contextLength");
  });

  test("on this machine: mocker, a short wait, and just the GPUs that the pools need", () => {
    const config = parseConfig({
      ...MODEL,
      target: "local",
      pools: [{ role: "prefill" }, { role: "decode", replicas: 2 }],
    });
    expect(config.engine).toBe("mocker");
    expect(config.timeouts.readySeconds).toBe(180);
    expect(config.frontend.replicas).toBe(1);
    expect(config.cluster).toMatchObject({ nodes: 1, gpusPerNode: 3, allowIdleGpus: true });
  });

  test.each([
    [2, { access: { gateway: true } }],
    [1, { target: "sky", access: { gateway: false } }],
    [1, { access: { gateway: true }, frontend: { replicas: 1 } }],
    [3, { target: "sky", frontend: { replicas: 3 } }],
  ] as const)("%i frontends with %j", (replicas, settings) => {
    expect(parseConfig({ ...MODEL, target: "local", ...settings }).frontend.replicas).toBe(replicas);
  });

  test.each<[number, { tensorParallel?: number; replicas?: number }[], number]>([
    [2, [{}, { replicas: 2 }], 2],
    [2, [{}, {}], 1],
    [2, [{ tensorParallel: 4, replicas: 2 }], 4],
    [2, [{ tensorParallel: 2, replicas: 3 }], 4],
    [3, [{ tensorParallel: 3 }, { tensorParallel: 2, replicas: 2 }], 3],
  ])("on %i local nodes, pools %j need %i GPUs a node", (nodes, pools, gpusPerNode) => {
    const config = parseConfig({
      ...MODEL,
      target: "local",
      cluster: { nodes },
      pools: pools.map((pool) => ({ role: "aggregated", ...pool })),
    });
    expect(config.cluster.gpusPerNode).toBe(gpusPerNode);
  });

  test("what is written wins over what is derived", () => {
    const config = parseConfig({
      ...MODEL,
      target: "local",
      engine: "sglang",
      servedModelName: "assistant",
      cluster: { gpusPerNode: 4, allowIdleGpus: false },
      timeouts: { readySeconds: 60 },
    });
    expect(config.engine).toBe("sglang");
    expect(config.servedModelName).toBe("assistant");
    expect(config.cluster).toMatchObject({ gpusPerNode: 4, allowIdleGpus: false });
    expect(config.timeouts.readySeconds).toBe(60);
  });

  test("every default is a value that may be written", () => {
    for (const raw of [MODEL, { ...MODEL, target: "local" }]) {
      const config = parseConfig(raw);
      expect(parseConfig(config)).toEqual(config);
    }
  });

  test("the default of the pools is not shared between configurations", () => {
    expect(parseConfig(MODEL).pools[0]).not.toBe(parseConfig(MODEL).pools[0]);
  });
});

describe("models", () => {
  test.each([
    ["Qwen/Qwen3-8B", "Qwen/Qwen3-8B"],
    ["deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1"],
    ["meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"],
    ["/models/qwen3-8b", "qwen3-8b"],
    ["/models/qwen3-8b/", "qwen3-8b"],
    ["s3://weights/qwen/Qwen3-8B", "Qwen3-8B"],
    ["gs://weights/qwen3-8b/", "qwen3-8b"],
    ["s3://weights", "weights"],
  ])("%s is served as %s", (model, servedModelName) => {
    expect(parseConfig({ model })).toMatchObject({ model, servedModelName });
  });
});

describe("shapes that users ask for", () => {
  const good: [string, object, Partial<DeploymentConfig> | object][] = [
    [
      "two nodes of eight, attention groups over both",
      {
        cluster: { nodes: 2 },
        pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
        sky: { networkTier: "best" },
      },
      { cluster: { nodes: 2, gpusPerNode: 8 }, sky: { networkTier: "best" } },
    ],
    [
      "several infras",
      { sky: { infra: ["aws/us-east-1", "gcp"] } },
      { sky: { infra: ["aws/us-east-1", "gcp"] } },
    ],
    ["one infra", { sky: { infra: "slurm/lab" } }, { sky: { infra: ["slurm/lab"] } }],
    [
      "a Kubernetes context with slashes and colons",
      { sky: { infra: "k8s/aws:eks:us-east-1:123456789012:cluster/my-cluster" } },
      { sky: { infra: ["k8s/aws:eks:us-east-1:123456789012:cluster/my-cluster"] } },
    ],
    [
      "round robin with a knob of its own",
      { router: { mode: "round-robin", activeDecodeBlocksThreshold: 0.8 } },
      { router: { mode: "round-robin", activeDecodeBlocksThreshold: 0.8 } },
    ],
    [
      "a KV knob at its default beside another mode",
      { router: { mode: "random", temperature: 0 } },
      { router: { mode: "random" } },
    ],
    ["no published events", { router: { kvEvents: false, ttlSecs: 30 } }, { router: { ttlSecs: 30 } }],
    ["moves that are set", { frontend: { migrationLimit: 0 } }, { frontend: { migrationLimit: 0 } }],
    [
      "moves for one worker a node",
      { target: "sky", pools: [{ role: "aggregated", tensorParallel: 8 }], cluster: { gpusPerNode: 8 } },
      { frontend: { migrationLimit: 3 } },
    ],
    [
      "moves away from a node of eight workers",
      { target: "sky", pools: [{ role: "aggregated", replicas: 16 }], cluster: { nodes: 2, gpusPerNode: 8 } },
      { frontend: { migrationLimit: 10 } },
    ],
    [
      "replicas on clusters of their own, of two kinds",
      {
        placement: "dedicated",
        pools: [
          { role: "prefill", accelerator: "H200" },
          { role: "decode", replicas: 4 },
        ],
      },
      { placement: "dedicated" },
    ],
    [
      "offload to host memory and disk",
      { kvOffload: { hostMemoryGB: 64, diskGB: 500, diskPath: "/scratch" }, router: { blockSize: 64 } },
      {},
    ],
    [
      "vLLM with experts over all GPUs",
      { engine: "vllm", pools: [{ role: "aggregated", tensorParallel: 8, expertParallel: 8 }] },
      {},
    ],
    [
      "TensorRT-LLM with attention groups of one GPU",
      { engine: "trtllm", pools: [{ role: "aggregated", dataParallel: 8 }] },
      {},
    ],
    [
      "an argument that is empty",
      { engineArgs: ["--chat-template", ""] },
      { engineArgs: ["--chat-template", ""] },
    ],
    [
      "SkyPilot's own configuration",
      { sky: { config: { kubernetes: { pod_config: { spec: [1, null, "a"] } } } } },
      {},
    ],
  ];
  test.each(good)("%s", (_title, input, expected) => {
    expect(parseConfig({ ...MODEL, ...input })).toMatchObject(expected);
  });

  test.each(ROUTER_MODES)("router mode %s", (mode) => {
    expect(parseConfig({ ...MODEL, router: { mode } }).router.mode).toBe(mode);
  });

  const stacks = readdirSync(ROOT).filter((file) => /^Pulumi\..+\.yaml$/.test(file));
  test.each(stacks)("%s of this repository", (file) => {
    const { config } = parse(readFileSync(join(ROOT, file), "utf8")) as { config: Record<string, unknown> };
    const ours = Object.entries(config).map(([key, value]) => [key.replace(/^dynamo-sky:/, ""), value]);
    expect(parseConfig(Object.fromEntries(ours)).model).toBe(config["dynamo-sky:model"]);
  });
});

describe("strings that Pulumi hands over", () => {
  test("numbers, true and false, lists and objects at the top level", () => {
    const config = parseConfig({
      model: "Qwen/Qwen3-8B",
      contextLength: "8192",
      trustRemoteCode: "true",
      engineArgs: '["--max-running-requests","8"]',
      pools: '[{"role":"prefill"},{"role":"decode","replicas":2}]',
      router: '{"mode":"random"}',
    });
    expect(config).toMatchObject({
      contextLength: 8192,
      trustRemoteCode: true,
      engineArgs: ["--max-running-requests", "8"],
      pools: [{ role: "prefill" }, { role: "decode", replicas: 2 }],
      router: { mode: "random" },
    });
  });

  test("text stays text, whatever it looks like", () => {
    expect(parseConfig({ ...MODEL, servedModelName: "8", modelRevision: "true" })).toMatchObject({
      servedModelName: "8",
      modelRevision: "true",
    });
  });

  test.each(["0x10", "1e3", " 8", "8 ", "", "+8", "٣"])("%j is no number", (contextLength) => {
    expect(messageOf({ contextLength })).toBe(
      `dynamo-sky:contextLength: ${JSON.stringify(contextLength)} is not a whole number. Allowed: 1 to 100000000.${hintFor(contextLength)}`,
    );
  });

  test.each(["True", "yes", "1", "on", ""])("%j is not true", (trustRemoteCode) => {
    expect(messageOf({ trustRemoteCode })).toBe(
      `dynamo-sky:trustRemoteCode: ${JSON.stringify(trustRemoteCode)} is neither true nor false.`,
    );
  });

  test("inside groups a number in quotes is a mistake", () => {
    expect(messageOf({ cluster: '{"nodes":"2"}' })).toBe(
      'dynamo-sky:cluster.nodes: "2" is not a whole number. Allowed: 1 to 10000. Write it without quotes: 2.',
    );
  });
});

/** Text that JavaScript parses as a number gets the hint, even if it is too unusual to be accepted. */
function hintFor(text: string): string {
  return text.trim() !== "" && Number.isFinite(Number(text))
    ? ` Write it without quotes: ${Number(text)}.`
    : "";
}

describe("secrets", () => {
  test("the token never enters the configuration", () => {
    const config = parseConfig({ ...MODEL, huggingFaceToken: "hf_secret" });
    expect(config.huggingFaceToken).toBe(true);
    expect(JSON.stringify(config)).not.toContain("hf_secret");
  });

  test("a token held elsewhere is told by true", () => {
    expect(parseConfig({ ...MODEL, huggingFaceToken: true }).huggingFaceToken).toBe(true);
  });

  test.each([
    { huggingFaceToken: "hf secret" },
    { huggingFaceToken: ["secret"] },
    { engineEnv: { HF_TOKEN: "secret" } },
    { engineEnv: { MY_SECRET: ["secret"] } },
    { frontend: { env: { HF_TOKEN: "secret" } } },
    { sky: { envs: { HUGGING_FACE_HUB_TOKEN: "secret" } } },
  ])("no message shows it: %j", (input) => {
    expect(messageOf(input)).not.toMatch(/[" ]secret/);
  });
});

describe("problems", () => {
  test("names are as the user writes them", () => {
    expect(settingName([])).toBe("dynamo-sky");
    expect(settingName(["pools", 1, "tensorParallel"])).toBe("dynamo-sky:pools[1].tensorParallel");
    expect(settingName(["engineEnv", "a b"])).toBe('dynamo-sky:engineEnv["a b"]');
  });

  test("an error says all of its problems, one a line", () => {
    const problems = [
      { path: ["model"], message: "one." },
      { path: ["pools", 0], message: "two." },
    ];
    const error = new ConfigError(problems);
    expect(error.message).toBe("dynamo-sky:model: one.\ndynamo-sky:pools[0]: two.");
    expect(error.message).toBe(formatProblems(problems));
    expect(error.problems).toBe(problems);
    expect(error.name).toBe("ConfigError");
  });
});

describe("what others build upon", () => {
  test("the keys are those of the schema", () => {
    expect(configKeys).toEqual(Object.keys(configSchema.shape));
  });

  test("a replica's GPUs", () => {
    expect(gpusPerReplica({ tensorParallel: 4, dataParallel: 2, pipelineParallel: 3 })).toBe(24);
  });

  test("every knob of the router is a flag, once", () => {
    const flags = ROUTER_KNOBS.map(({ flag }) => flag);
    expect(new Set(flags).size).toBe(flags.length);
    for (const { key, flag } of ROUTER_KNOBS) {
      const words = flag.replace(/^--(router-)?/, "").split("-");
      const camel = words.map((word, at) => (at === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)));
      expect(camel.join("")).toBe(key);
    }
  });
});
