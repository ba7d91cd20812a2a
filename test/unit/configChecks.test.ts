import { describe, expect, test } from "vitest";
import { type BadInput, messageOf } from "./configMessages";

const BAD: readonly BadInput[] = [
  [
    "prefill without decode",
    { pools: [{ role: "prefill" }] },
    [
      "dynamo-sky:pools: there is a pool with role prefill and none with role decode; one cannot answer without the other. Add a decode pool, or use role aggregated.",
    ],
  ],
  [
    "decode without prefill",
    { pools: [{ role: "decode", replicas: 2 }] },
    [
      "dynamo-sky:pools: there is a pool with role decode and none with role prefill; one cannot answer without the other. Add a prefill pool, or use role aggregated.",
    ],
  ],
  [
    "aggregated with disaggregated",
    { pools: [{ role: "aggregated" }, { role: "prefill" }, { role: "decode" }] },
    [
      "dynamo-sky:pools: the roles aggregated, prefill, decode do not go together. Use aggregated alone, or prefill and decode together; encode goes with either.",
    ],
  ],
  [
    "aggregated with one half",
    { pools: [{ role: "aggregated" }, { role: "decode" }] },
    [
      "dynamo-sky:pools: the roles aggregated, decode do not go together. Use aggregated alone, or prefill and decode together; encode goes with either.",
    ],
  ],
  [
    "a replica beyond all bounds",
    { pools: [{ role: "aggregated", tensorParallel: 1024, dataParallel: 8 }] },
    [
      "dynamo-sky:pools[0]: a replica would need 1024 × 8 × 1 = 8192 GPUs (tensorParallel × dataParallel × pipelineParallel). Allowed: at most 4096. Lower one of them.",
    ],
  ],
  [
    "two accelerators on one cluster",
    { pools: [{ role: "prefill" }, { role: "decode", accelerator: "H200" }] },
    [
      'dynamo-sky:pools[1].accelerator: "H200" differs from cluster.accelerator "H100", and with placement shared all pools are on one cluster. Remove it, or set placement to dedicated.',
    ],
  ],
  [
    "two accelerators on this machine",
    {
      target: "local",
      pools: [
        { role: "prefill", accelerator: "H100" },
        { role: "decode", accelerator: "A100" },
      ],
    },
    [
      'dynamo-sky:pools[1].accelerator: "A100" differs from cluster.accelerator "H100", and with target local all pools are on this machine\'s GPUs. Remove it.',
    ],
  ],
  [
    "model in a bucket on this machine",
    { model: "s3://bucket/model", target: "local" },
    [
      'dynamo-sky:model: "s3://bucket/model" is in a bucket, which only target sky mounts. Give a hub id or an absolute path.',
    ],
  ],
  [
    "revision of a path",
    { model: "/models/qwen", modelRevision: "main" },
    [
      'dynamo-sky:modelRevision: "main" has no effect: "/models/qwen" is not on the hub and has no revisions. Remove it.',
    ],
  ],
  [
    "token in plain environment",
    { engineEnv: { HF_TOKEN: "hf_secret" } },
    [
      "dynamo-sky:engineEnv.HF_TOKEN: a token must not stand here in plain text. Remove it and run: pulumi config set --secret dynamo-sky:huggingFaceToken",
    ],
  ],
  [
    "token in a pool's environment",
    { pools: [{ role: "aggregated", engineEnv: { HUGGING_FACE_HUB_TOKEN: "hf_secret" } }] },
    [
      "dynamo-sky:pools[0].engineEnv.HUGGING_FACE_HUB_TOKEN: a token must not stand here in plain text. Remove it and run: pulumi config set --secret dynamo-sky:huggingFaceToken",
    ],
  ],
  [
    "mocker with pipeline stages",
    { engine: "mocker", pools: [{ role: "aggregated", pipelineParallel: 2 }] },
    [
      "dynamo-sky:pools[0].pipelineParallel: 2 has no meaning for engine mocker, which has no layers to cut into stages. Remove it, or use a real engine.",
    ],
  ],
  [
    "mocker with experts",
    { engine: "mocker", pools: [{ role: "aggregated", expertParallel: 2 }] },
    [
      "dynamo-sky:pools[0].expertParallel: 2 has no meaning for engine mocker, which has no experts. Remove it, or use a real engine.",
    ],
  ],
  [
    "mocker with a memory fraction",
    { target: "local", pools: [{ role: "aggregated", gpuMemoryFraction: 0.9 }] },
    [
      "dynamo-sky:pools[0].gpuMemoryFraction: 0.9 has no meaning for engine mocker, which has no GPU memory. Remove it, or use a real engine.",
    ],
  ],
  [
    "an image with another engine",
    { engine: "vllm", sky: { image: "docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1" } },
    [
      'dynamo-sky:sky.image: "docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1" holds another engine than vllm. Use docker:nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1, or remove this.',
    ],
  ],
  [
    "an image of another release",
    { sky: { image: "docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.4.2" } },
    [
      'dynamo-sky:sky.image: "docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.4.2" is not of Dynamo 1.6, whose flags the workers are started with. Use docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1, or remove this.',
    ],
  ],
  [
    "a shared GPU with whole ones, and without a share of its memory",
    { cluster: { workersPerGpu: 2 }, pools: [{ role: "aggregated", tensorParallel: 2, dataParallel: 2 }] },
    [
      "dynamo-sky:pools[0].tensorParallel: 2 does not go together with cluster.workersPerGpu 2: a replica has a share of one GPU. Set it to 1, or that to 1.",
      "dynamo-sky:pools[0].dataParallel: 2 does not go together with cluster.workersPerGpu 2: a replica has a share of one GPU. Set it to 1, or that to 1.",
      "dynamo-sky:pools[0].gpuMemoryFraction: is required with cluster.workersPerGpu 2: left to itself an engine takes nearly all of the GPU's memory. Set it, such as to 0.4.",
    ],
  ],
  [
    "shared GPUs where each replica has its own",
    {
      cluster: { workersPerGpu: 2 },
      placement: "dedicated",
      pools: [{ role: "aggregated", replicas: 2, gpuMemoryFraction: 0.4 }],
    },
    [
      'dynamo-sky:cluster.workersPerGpu: 2 has no effect with placement dedicated, where each replica has a cluster of its own. Remove it, or set placement to "shared".',
    ],
  ],
  [
    "mocker with remote code",
    { target: "local", trustRemoteCode: true },
    [
      "dynamo-sky:trustRemoteCode: true has no meaning for engine mocker, which loads no code of a model. Remove it, or use a real engine.",
    ],
  ],
  [
    "SGLang with a colon in the name",
    { servedModelName: "qwen:latest" },
    [
      'dynamo-sky:servedModelName: "qwen:latest" has a colon, which engine sglang keeps for LoRA adapters (model:adapter). Set a name without one.',
    ],
  ],
  [
    "SGLang with a colon in the path",
    { model: "/models/qwen:8b" },
    [
      'dynamo-sky:servedModelName: "qwen:8b" has a colon, which engine sglang keeps for LoRA adapters (model:adapter). Set a name without one.',
    ],
  ],
  [
    "SGLang with experts that do not divide",
    { pools: [{ role: "aggregated", tensorParallel: 8, expertParallel: 3 }] },
    [
      "dynamo-sky:pools[0].expertParallel: 3 does not divide the 8 GPUs of tensorParallel × dataParallel, as engine sglang demands (--ep-size). Use a divisor of 8.",
    ],
  ],
  [
    "vLLM with experts over some GPUs",
    { engine: "vllm", pools: [{ role: "aggregated", tensorParallel: 8, expertParallel: 4 }] },
    [
      "dynamo-sky:pools[0].expertParallel: 4 is not possible with engine vllm, which spreads experts over all GPUs or none (--enable-expert-parallel). Allowed: 1, 8.",
    ],
  ],
  [
    "vLLM with an odd block size",
    { engine: "vllm", router: { blockSize: 24 } },
    [
      "dynamo-sky:router.blockSize: 24 is not possible with engine vllm. Allowed: a multiple of 16, such as 16 or 32.",
    ],
  ],
  [
    "TensorRT-LLM with groups of several GPUs",
    { engine: "trtllm", pools: [{ role: "aggregated", tensorParallel: 4, dataParallel: 2 }] },
    [
      "dynamo-sky:pools[0].dataParallel: 2 with tensorParallel 4 is not possible with engine trtllm, where every attention group is one GPU (--enable-attention-dp). Use tensorParallel 1 with dataParallel 8, or dataParallel 1 with tensorParallel 8.",
    ],
  ],
  [
    "TensorRT-LLM with experts that do not divide",
    { engine: "trtllm", pools: [{ role: "aggregated", tensorParallel: 8, expertParallel: 3 }] },
    [
      "dynamo-sky:pools[0].expertParallel: 3 does not divide the 8 GPUs of tensorParallel × dataParallel, as engine trtllm demands (--expert-parallel-size). Use a divisor of 8.",
    ],
  ],
  [
    "TensorRT-LLM with a block size that is no power of two",
    { engine: "trtllm", router: { blockSize: 48 } },
    [
      "dynamo-sky:router.blockSize: 48 is not possible with engine trtllm. Allowed: a power of two, such as 16 or 32.",
    ],
  ],
  [
    "dedicated placement on this machine",
    { target: "local", placement: "dedicated" },
    [
      'dynamo-sky:placement: dedicated needs machines of their own, and target local has one. Set it to "shared", or target to "sky".',
    ],
  ],
  [
    "nodes with dedicated placement",
    { placement: "dedicated", cluster: { nodes: 2 } },
    [
      'dynamo-sky:cluster.nodes: 2 has no effect with placement dedicated: each replica gets a cluster with as many nodes as its GPUs need. Remove it, or set placement to "shared".',
    ],
  ],
  [
    "instance type and CPUs",
    { sky: { instanceType: "p5.48xlarge", cpus: "32+" } },
    [
      'dynamo-sky:sky.cpus: "32+" goes beside sky.instanceType "p5.48xlarge", which sets it already. Remove one of the two.',
    ],
  ],
  [
    "autostop that is off and must not tear down",
    { sky: { autostopDown: false } },
    [
      "dynamo-sky:sky.autostopDown: false has no effect without sky.autostopMinutes. Set that too, or remove this.",
    ],
  ],
  [
    "disk without host memory",
    { kvOffload: { diskGB: 100 } },
    [
      "dynamo-sky:kvOffload.diskGB: 100 needs kvOffload.hostMemoryGB: blocks reach the disk through host memory. Set both.",
    ],
  ],
  [
    "path without disk",
    { kvOffload: { diskPath: "/scratch" } },
    [
      'dynamo-sky:kvOffload.diskPath: "/scratch" has no effect without kvOffload.diskGB. Set that too, or remove this.',
    ],
  ],
  [
    "a disk for an engine that has none, or none with a bound",
    { engine: "vllm", kvOffload: { hostMemoryGB: 10, diskGB: 100 } },
    [
      "dynamo-sky:kvOffload.diskGB: 100 is not possible with engine vllm, whose files of KV blocks nothing bounds. Remove it, or use engine sglang.",
    ],
  ],
  [
    "router that waits for ever",
    { router: { minInitialWorkers: 2 }, pools: [{ role: "prefill" }, { role: "decode", replicas: 2 }] },
    [
      "dynamo-sky:router.minInitialWorkers: 2 is more than the number of prefill workers (1), so their router would wait for ever. Allowed: 0 to 1.",
    ],
  ],
  [
    "updates that would leave nobody to serve",
    {
      target: "local",
      pools: [{ role: "aggregated", replicas: 2, update: { maxUnavailable: 2 } }],
      frontend: { replicas: 3, update: { maxUnavailable: 5 } },
    },
    [
      'dynamo-sky:pools[0].update.maxUnavailable: 2 would leave none of the 2 replicas to serve. Allowed: 1; or use strategy "recreate".',
      'dynamo-sky:frontend.update.maxUnavailable: 5 would leave none of the 3 replicas to serve. Allowed: 1 to 2; or use strategy "recreate".',
    ],
  ],
  [
    "updates of what is changed at once",
    {
      target: "local",
      pools: [
        { role: "prefill", update: { strategy: "rolling" } },
        {
          role: "decode",
          replicas: 4,
          update: { strategy: "recreate", maxUnavailable: 2, minReadySeconds: 5 },
        },
      ],
    },
    [
      'dynamo-sky:pools[0].update.strategy: "rolling" has no effect with one replica, which is changed at once. Remove it, or set replicas to 2 or more.',
      "dynamo-sky:pools[1].update.maxUnavailable: 2 has no effect with strategy recreate, which changes all at once. Remove it.",
      "dynamo-sky:pools[1].update.minReadySeconds: 5 has no effect with strategy recreate, which changes all at once. Remove it.",
    ],
  ],
  [
    "limit of migration without migration",
    { frontend: { migrationLimit: 0, migrationMaxSeqLen: 100 } },
    [
      "dynamo-sky:frontend.migrationMaxSeqLen: 100 has no effect while frontend.migrationLimit is 0. Remove it, or raise that.",
    ],
  ],
  [
    "shared directory on two machines",
    { cluster: { nodes: 2 }, controlPlane: { discovery: "file" } },
    [
      'dynamo-sky:controlPlane.discovery: "file" is a directory on one machine, and there are several (2 nodes). Use "etcd" or "auto".',
    ],
  ],
  [
    "shared directory with dedicated placement",
    { placement: "dedicated", controlPlane: { discovery: "file" } },
    [
      'dynamo-sky:controlPlane.discovery: "file" is a directory on one machine, and there are several (placement dedicated). Use "etcd" or "auto".',
    ],
  ],
  [
    "random ports on two machines",
    { cluster: { nodes: 2 }, controlPlane: { events: "zmq" } },
    [
      'dynamo-sky:controlPlane.events: "zmq" opens random ports, which may be closed between machines (2 nodes). Use "nats" or "auto".',
    ],
  ],
  [
    "frontend on etcd's port",
    { frontend: { port: 2379 } },
    ["dynamo-sky:frontend.port: 2379 is the port of dynamo-sky:ports.etcdClient already. Choose another."],
  ],
  [
    "two purposes on one port",
    { ports: { nats: 4500, natsMonitor: 4500 } },
    ["dynamo-sky:ports.natsMonitor: 4500 is the port of dynamo-sky:ports.nats already. Choose another."],
  ],
  [
    "a value and a relation at once",
    { pools: [{ role: "prefill" }], router: { mode: "kvv" }, frontend: { port: 4222 } },
    [
      'dynamo-sky:router.mode: "kvv" is not a router mode. Allowed: kv, round-robin, random, power-of-two, least-loaded, direct, device-aware-weighted. Did you mean "kv"?',
      "dynamo-sky:pools: there is a pool with role prefill and none with role decode; one cannot answer without the other. Add a decode pool, or use role aggregated.",
      "dynamo-sky:frontend.port: 4222 is the port of dynamo-sky:ports.nats already. Choose another.",
    ],
  ],
];

describe("settings that do not go together", () => {
  test.each(BAD)("%s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });
});
