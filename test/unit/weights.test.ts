/** Which nodes get weights, of which models, and where engines find them. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import type { DeploymentPlan } from "../../plan/types";
import { python, textOfTask } from "../runtime";

interface Task {
  readonly resources: Readonly<Record<string, unknown>>;
  readonly file_mounts: Readonly<Record<string, unknown>>;
  readonly setup: string;
  readonly run: string;
}

const FACTS = { discovery: "etcd", events: "nats" } as const;
const planned = (input: ConfigInput): DeploymentPlan => plan(parseConfig(input), FACTS);

/** Tasks by cluster. */
function tasksOf(input: ConfigInput): Readonly<Record<string, Task>> {
  const config = parseConfig(input);
  return Object.fromEntries(
    plan(config, FACTS).clusters.map((cluster) => [cluster.name, parse(textOfTask({ cluster, config }))]),
  );
}

const workersOf = ({ clusters }: DeploymentPlan) =>
  clusters.flatMap(({ nodes }) =>
    nodes.flatMap(({ programs }) => programs.filter(({ gpus }) => gpus.length > 0)),
  );

const DISAGGREGATED = {
  placement: "dedicated",
  pools: [{ role: "prefill" }, { role: "decode" }],
} as const satisfies Partial<ConfigInput>;

describe("with placement dedicated", () => {
  it.each([
    ["a hub", "Qwen/Qwen3-8B"],
    ["a bucket", "s3://weights/qwen"],
  ])("the control plane's cluster gets nothing of a model from %s", (_, model) => {
    const { control, ...workers } = tasksOf({
      ...DISAGGREGATED,
      model,
      modelRevision: model.includes(":") ? undefined : "v1",
    } as ConfigInput);
    expect(Object.keys(control?.file_mounts ?? {})).toEqual(["~/.dynamo-sky/runtime"]);
    expect(control?.setup).not.toMatch(/--(model|revision|also|engine)/);
    expect(control?.run).not.toContain("--models");
    expect(Object.keys(workers)).toEqual(["prefill-0", "decode-0"]);
    for (const { setup, file_mounts } of Object.values(workers))
      expect(setup.includes(`--model '${model}'`) || setup.includes(`--model ${model}`)).toBe(
        Object.keys(file_mounts).length === 1,
      );
  });

  it("the control plane's machine is none that was chosen for weights and GPUs", () => {
    const sky = {
      infra: "aws",
      diskTier: "ultra",
      diskSizeGB: 2000,
      instanceType: "p5.48xlarge",
      networkTier: "best",
    } as const;
    const { control, "decode-0": decode } = tasksOf({ ...DISAGGREGATED, model: "Qwen/Qwen3-8B", sky });
    expect(control?.resources).toEqual({ infra: "aws" });
    expect(decode?.resources).toMatchObject({
      disk_size: 2000,
      disk_tier: "ultra",
      instance_type: "p5.48xlarge",
    });
    const small = tasksOf({
      ...DISAGGREGATED,
      model: "Qwen/Qwen3-8B",
      sky: { infra: "aws", diskSizeGB: 100 },
    });
    expect(small["control"]?.resources).toEqual({ infra: "aws", disk_size: 100 });
  });

  it("frontends take configuration and tokenizer from the workers", () => {
    const plans = planned({ ...DISAGGREGATED, model: "s3://weights/qwen" });
    const tells = workersOf(plans).map(({ name, env }) => [
      name,
      env["DYN_SELF_HOST_METADATA"],
      env["DYN_SYSTEM_HOST"],
    ]);
    expect(tells).toEqual([
      ["prefill-0", "1", "{{NODE_IP}}"],
      ["decode-0", "1", "{{NODE_IP}}"],
    ]);
  });

  it("a pool's own model is fetched where that pool's workers are", () => {
    const pools = [
      { role: "prefill" as const },
      { role: "decode" as const, engineArgs: ["--speculative-draft-model-path", "a/draft"] },
    ];
    const tasks = tasksOf({ ...DISAGGREGATED, model: "Qwen/Qwen3-8B", pools });
    expect(tasks["prefill-0"]?.setup).not.toContain("a/draft");
    expect(tasks["decode-0"]?.setup).toContain("--also a/draft\n");
  });
});

describe("with placement shared", () => {
  it("nodes without an engine get no weights, and all nodes do where each has one", () => {
    const pools = [{ role: "aggregated" as const, replicas: 2, tensorParallel: 8 }];
    const spare = { nodes: 3, allowIdleGpus: true };
    const some = tasksOf({ model: "Qwen/Qwen3-8B", pools, cluster: spare });
    expect(some["main"]?.setup).toContain("--ranks '0 1'\n");
    const every = tasksOf({ model: "Qwen/Qwen3-8B", pools, cluster: { nodes: 2 } });
    expect(every["main"]?.setup).not.toContain("--ranks");
    // A path and the mocker fetch nothing.
    for (const input of [{ model: "/models/x" }, { model: "Qwen/Qwen3-8B", engine: "mocker" as const }])
      expect(tasksOf({ ...input, pools, cluster: spare })["main"]?.setup).not.toContain("--ranks");
  });
});

describe("workers ask the hub for nothing", () => {
  const offline = (input: Partial<ConfigInput>) => {
    const one = { pools: [{ role: "aggregated" as const }], cluster: { gpusPerNode: 1 } };
    const workers = workersOf(planned({ model: "Qwen/Qwen3-8B", ...one, ...input }));
    expect(workers).not.toHaveLength(0);
    return new Set(workers.map(({ env }) => env["HF_HUB_OFFLINE"]));
  };
  const args = (...engineArgs: string[]) => ({ engineArgs });

  it.each<Partial<ConfigInput>>([
    {},
    { engine: "vllm", modelRevision: "v1" },
    { engine: "trtllm" },
    args("--speculative-draft-model-path", "a/draft"),
    args("--lora-paths", "x=a/one", "b/two"),
    args("--chat-template", "/models/chat.jinja", "--log-level", "warning"),
    { engine: "vllm", ...args("--speculative-config", '{"method":"eagle3","model":"a/draft"}') },
    { engine: "trtllm", engineConfig: { speculative_config: { speculative_model: "a/draft" } } },
    {
      placement: "dedicated",
      pools: [
        { role: "prefill" },
        { role: "decode", engineArgs: ["--speculative-draft-model-path", "a/draft"] },
      ],
    },
  ])("where all was fetched: %j", (input) => {
    expect(offline(input)).toEqual(new Set(["1"]));
  });

  it.each<Partial<ConfigInput>>([
    { engine: "mocker" },
    { target: "local", engine: "mocker" },
    { model: "/models/x" },
    { trustRemoteCode: true },
    { sky: { envs: { HF_HUB_OFFLINE: "0" } } },
    { sky: { envs: { HF_HUB_OFFLINE: "1" } } },
    { engine: "vllm", sky: { envs: { VLLM_ALLOW_RUNTIME_LORA_UPDATING: "1" } } },
    args("--enable-lora"),
    args("--trust-remote-code"),
    { engine: "vllm", ...args("--tokenizer-revision", "v2") },
    args("--download-dir", "/mnt/cache"),
    { engineEnv: { HF_HOME: "/mnt/hf" } },
    { pools: [{ role: "aggregated", engineEnv: { HF_HUB_CACHE: "/mnt/hf" } }] },
    { engineEnv: { SGLANG_USE_MODELSCOPE: "1" } },
    args("--tokenizer-path", "another/tokenizer"),
    args("--tokenizer-path=another/tokenizer"),
    { engine: "vllm", ...args("--enable-lora") },
    { engine: "vllm", ...args("--default-mm-loras", '{"image": "a/one"}') },
    { engine: "vllm", ...args("--speculative-config", '{"model":"a/draft","tokenizer":"b/other"}') },
    { engine: "trtllm", engineConfig: { lora_config: { lora_dir: ["a/one"] } } },
    { pools: [{ role: "aggregated", engineArgs: ["--tokenizer-path", "another/tokenizer"] }] },
  ])("but where something may be missing, or the user has decided: %j", (input) => {
    expect(offline(input)).toEqual(new Set([undefined]));
  });
});

describe("another model that the engine loads", () => {
  const also = (input: Partial<ConfigInput>) => {
    const { main } = tasksOf({ model: "Qwen/Qwen3-8B", ...ONE, ...input });
    return /--also '?([^'\n]*)'?/.exec(main?.setup ?? "")?.[1];
  };
  const ONE = { pools: [{ role: "aggregated" as const }], cluster: { gpusPerNode: 1 } };
  const speculation = (key: string) => ({ speculative_config: { decoding_type: "Eagle", [key]: "a/draft" } });

  it.each<readonly [ConfigInput["engine"], Partial<ConfigInput>, string | undefined]>([
    ["sglang", { engineArgs: ["--speculative-draft-model-path", "a/draft"] }, "a/draft"],
    ["sglang", { engineArgs: ["--speculative-draft-model=a/draft"] }, "a/draft"],
    [
      "sglang",
      { engineArgs: ["--speculative-draft-model-path=a/draft", "--speculative-draft-model-revision", "v2"] },
      "a/draft@v2",
    ],
    [
      "sglang",
      {
        engineArgs: [
          "--lora-paths",
          "x=a/one",
          "b/two",
          '{"lora_name":"y","lora_path":"c/three"}',
          "--enable-metrics",
        ],
      },
      "a/one b/two c/three",
    ],
    ["vllm", { engineArgs: ["--speculative-config", '{"method":"eagle3","model":"a/draft"}'] }, "a/draft"],
    ["vllm", { engineArgs: ['--speculative_config={"model":"a/draft","revision":"v2"}'] }, "a/draft@v2"],
    [
      "vllm",
      { engineArgs: ["--speculative-config.model", "a/draft", "--speculative-config.revision", "v2"] },
      "a/draft@v2",
    ],
    ["trtllm", { engineConfig: speculation("speculative_model") }, "a/draft"],
    ["trtllm", { engineConfig: speculation("speculative_model_dir") }, "a/draft"],
    ["trtllm", { engineArgs: ["--trtllm.speculative_config.speculative_model", "a/draft"] }, "a/draft"],
    ["vllm", { engineArgs: ["--speculative-config", '{"method":"ngram"}'] }, undefined],
    ["sglang", { engineArgs: ["--speculative-draft-model-path", "/models/draft"] }, undefined],
    ["sglang", { engineArgs: ["--speculative-draft-model-path", "a/$(id)"] }, undefined],
    [
      "sglang",
      {
        engineArgs: ["--speculative-draft-model-path", "a/b", "--speculative-draft-model-revision", "$(id)"],
      },
      undefined,
    ],
  ])("is fetched once a node with %s %j", (engine, input, expected) => {
    expect(also({ engine, ...input })).toBe(expected);
  });

  it.each<readonly [ConfigInput["engine"], Partial<ConfigInput>]>([
    [
      "sglang",
      {
        engineArgs: [
          "--speculative-draft-model-path",
          "s3://weights/draft",
          "--lora-paths",
          "x=s3://weights/draft-x",
        ],
      },
    ],
    ["vllm", { engineArgs: ["--speculative-config", '{"method":"eagle3","model":"s3://weights/draft"}'] }],
    ["trtllm", { engineConfig: { speculative_config: { speculative_model: "s3://weights/draft" } } }],
  ])("of a bucket is copied, and %s is told where it is: %j", (engine, input) => {
    const config: ConfigInput = { model: "Qwen/Qwen3-8B", ...ONE, engine, ...input };
    const { main } = tasksOf(config);
    const mounts = Object.entries(main?.file_mounts ?? {}).filter(([path]) => path.includes("/models/"));
    expect(mounts[0]).toEqual([
      expect.stringMatching(/\/draft-[0-9a-f]{8}$/),
      { source: "s3://weights/draft", mode: "COPY" },
    ]);
    const command = workersOf(planned(config))[0]?.command.join(" ") ?? "";
    expect(command).toMatch(/\{\{MODELS\}\}\/draft-[0-9a-f]{8}\b/);
    expect(command).not.toContain("s3://");
    const names = mounts.map(([path]) => path.split("/").at(-1));
    expect(main?.run).toContain(`--models ${names.join(",")} `);
    for (const name of names) expect(command).toContain(`{{MODELS}}/${name}`);
  });
});

describe("the path of a model out of a bucket", () => {
  it.each(["sglang", "vllm", "trtllm", "mocker"] as const)(
    "is the same for every worker of %s, wherever it runs",
    (engine) => {
      const workers = workersOf(
        planned({
          model: "s3://weights/qwen",
          engine,
          servedModelName: "q",
          cluster: { nodes: 2, gpusPerNode: 1 },
          pools: [{ role: "aggregated", replicas: 2 }],
        }),
      );
      const paths = workers.map(({ command }) => command.find((word) => word.includes("qwen")));
      // Dynamo takes workers with different paths for those of different models.
      expect(paths).toEqual([expect.stringMatching(/^\{\{MODELS\}\}\/qwen-[0-9a-f]{8}$/), paths[0]]);
    },
  );

  let scratch: string;
  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), "dsky-weights-"));
  });
  afterEach(() => rmSync(scratch, { recursive: true, force: true }));

  /** What a launcher on the node makes of it; `shared` stands in for the machine's own directory. */
  const reach = (node: string): string =>
    python(
      `import json, os, sys, models, launch
models.shared_path = lambda: os.path.join(${JSON.stringify(join(scratch, "tmp"))}, "models")
os.environ["NODE_DIR"] = json.load(sys.stdin)
print(launch.fill_in("{{MODELS}}/qwen-1"), end="")`,
      node,
    );

  it("leads to the files of the node that starts a program, one after another on one machine", () => {
    for (const name of ["one", "two"]) {
      mkdirSync(join(scratch, name, "models", "qwen-1"), { recursive: true });
      mkdirSync(join(scratch, name, "node0"));
      writeFileSync(join(scratch, name, "models", "qwen-1", "config.json"), name);
      symlinkSync(join(scratch, name, "models"), join(scratch, name, "node0", "models"));
    }
    const [first, second] = ["one", "two"].map((name) => {
      const path = reach(join(scratch, name, "node0"));
      return [path, readFileSync(join(path, "config.json"), "utf8")];
    });
    expect(first).toEqual([join(scratch, "tmp", "models", "qwen-1"), "one"]);
    expect(second).toEqual([first?.[0], "two"]);
  });

  it("is not made where others could lead it elsewhere", () => {
    mkdirSync(join(scratch, "tmp"), { mode: 0o777 });
    mkdirSync(join(scratch, "node0"));
    expect(() => reach(join(scratch, "node0"))).toThrow(/does not belong to this user alone/);
  });
});
