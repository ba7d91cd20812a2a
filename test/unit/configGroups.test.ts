import { describe, expect, test } from "vitest";
import { CLOUDS } from "../../config/infra";
import { parseConfig } from "../../plan/config";
import { type BadInput, messageOf } from "./configMessages";

const INFRAS = `what \`sky launch --infra\` takes, such as aws, gcp/us-central1, k8s/my-context or slurm/lab: one of ${CLOUDS.join(", ")}, or *, perhaps with a place`;

const BAD: readonly BadInput[] = [
  [
    "router is a word",
    { router: "kv" },
    ['dynamo-sky:router: "kv" is not an object. Allowed: an object with settings.'],
  ],
  [
    "router mode nearly right",
    { router: { mode: "kvv" } },
    [
      'dynamo-sky:router.mode: "kvv" is not a router mode. Allowed: kv, round-robin, random, power-of-two, least-loaded, direct, device-aware-weighted. Did you mean "kv"?',
    ],
  ],
  [
    "router mode with underscore",
    { router: { mode: "round_robin" } },
    [
      'dynamo-sky:router.mode: "round_robin" is not a router mode. Allowed: kv, round-robin, random, power-of-two, least-loaded, direct, device-aware-weighted. Did you mean "round-robin"?',
    ],
  ],
  [
    "router mode far off",
    { router: { mode: "fastest" } },
    [
      'dynamo-sky:router.mode: "fastest" is not a router mode. Allowed: kv, round-robin, random, power-of-two, least-loaded, direct, device-aware-weighted.',
    ],
  ],
  [
    "block size zero",
    { router: { blockSize: 0 } },
    ["dynamo-sky:router.blockSize: 0 is too small. Allowed: 1 to 1024."],
  ],
  [
    "temperature negative",
    { router: { temperature: -0.5 } },
    ["dynamo-sky:router.temperature: -0.5 is too small. Allowed: 0 or more."],
  ],
  [
    "weight above one",
    { router: { hostCacheHitWeight: 2 } },
    ["dynamo-sky:router.hostCacheHitWeight: 2 is too big. Allowed: 0 to 1."],
  ],
  [
    "time-to-live of zero",
    { router: { ttlSecs: 0 } },
    ["dynamo-sky:router.ttlSecs: 0 is too small. Allowed: above 0."],
  ],
  [
    "queue policy is no policy",
    { router: { queuePolicy: "lifo" } },
    ['dynamo-sky:router.queuePolicy: "lifo" is not a queue policy. Allowed: fcfs, wspt.'],
  ],
  [
    "relative path of a key",
    { router: { trackingKeyFile: "key.bin" } },
    [
      'dynamo-sky:router.trackingKeyFile: "key.bin" is not an absolute path. Allowed: a path that starts with /, or {{FILES}}/ and a name of `files`.',
    ],
  ],
  [
    "port below 1024",
    { frontend: { port: 80 } },
    ["dynamo-sky:frontend.port: 80 is too small. Allowed: 1024 to 65535."],
  ],
  [
    "port above 65535",
    { ports: { nats: 70000 } },
    ["dynamo-sky:ports.nats: 70000 is too big. Allowed: 1024 to 65535."],
  ],
  [
    "port is text",
    { ports: { etcdClient: "2379" } },
    [
      'dynamo-sky:ports.etcdClient: "2379" is not a port. Allowed: 1024 to 65535. Write it without quotes: 2379.',
    ],
  ],
  [
    "port with a typo in its purpose",
    { ports: { ectdClient: 2379 } },
    ['dynamo-sky:ports.ectdClient: unknown key. Did you mean "etcdClient"?'],
  ],
  [
    "migration limit negative",
    { frontend: { migrationLimit: -1 } },
    ["dynamo-sky:frontend.migrationLimit: -1 is too small. Allowed: 0 to 100."],
  ],
  [
    "discovery unknown",
    { controlPlane: { discovery: "etdc" } },
    [
      'dynamo-sky:controlPlane.discovery: "etdc" is not a kind of discovery. Allowed: auto, etcd, file. Did you mean "etcd"?',
    ],
  ],
  [
    "discovery that Dynamo has and this does not",
    { controlPlane: { discovery: "kubernetes" } },
    [
      'dynamo-sky:controlPlane.discovery: "kubernetes" is not a kind of discovery. Allowed: auto, etcd, file.',
    ],
  ],
  [
    "event plane unknown",
    { controlPlane: { events: "kafka" } },
    ['dynamo-sky:controlPlane.events: "kafka" is not an event plane. Allowed: auto, nats, zmq.'],
  ],
  [
    "request plane unknown",
    { controlPlane: { requestPlane: "http" } },
    ['dynamo-sky:controlPlane.requestPlane: "http" is not a request plane. Allowed: tcp, nats.'],
  ],
  [
    "lease of one second",
    { controlPlane: { leaseTtlSeconds: 1 } },
    ["dynamo-sky:controlPlane.leaseTtlSeconds: 1 is too small. Allowed: 2 to 3600."],
  ],
  [
    "update with an unknown strategy, none away, a wait with a unit, a typo",
    {
      pools: [
        { role: "aggregated", replicas: 2, update: { strategy: "roling" } },
        { role: "aggregated", replicas: 2, update: { maxUnavailable: 0, minReadySeconds: "5s" } },
      ],
      frontend: { update: { maxUnavailible: 1 } },
    },
    [
      'dynamo-sky:pools[0].update.strategy: "roling" is not a strategy. Allowed: rolling, recreate. Did you mean "rolling"?',
      "dynamo-sky:pools[1].update.maxUnavailable: 0 is too small. Allowed: 1 to 10000.",
      'dynamo-sky:pools[1].update.minReadySeconds: "5s" is not a whole number of seconds. Allowed: 0 to 86400.',
      'dynamo-sky:frontend.update.maxUnavailible: unknown key. Did you mean "maxUnavailable"?',
    ],
  ],
  [
    "time limit of zero",
    { timeouts: { readySeconds: 0 } },
    ["dynamo-sky:timeouts.readySeconds: 0 is too small. Allowed: 1 to 86400."],
  ],
  [
    "time limit with a unit",
    { timeouts: { stopSeconds: "30s" } },
    ['dynamo-sky:timeouts.stopSeconds: "30s" is not a whole number of seconds. Allowed: 1 to 3600.'],
  ],
  [
    "host memory negative",
    { kvOffload: { hostMemoryGB: -4 } },
    ["dynamo-sky:kvOffload.hostMemoryGB: -4 is too small. Allowed: above 0."],
  ],
  [
    "infra is a number",
    { sky: { infra: 3 } },
    [
      "dynamo-sky:sky.infra: 3 is not an infra or a list of infras. Allowed: an infra such as aws, gcp/us-central1, k8s/my-context or slurm/lab, or a list of them.",
    ],
  ],
  [
    "infra with a space",
    { sky: { infra: ["aws", "gcp us-central1"] } },
    [`dynamo-sky:sky.infra[1]: "gcp us-central1" is not an infra. Allowed: ${INFRAS}.`],
  ],
  [
    "infra that SkyPilot does not know",
    { sky: { infra: ["gpc/us-central1", "AWS/us-east-1", "digitalocean"] } },
    [`dynamo-sky:sky.infra[0]: "gpc/us-central1" is not an infra. Allowed: ${INFRAS}.`],
  ],
  [
    "disk tier unknown",
    { sky: { diskTier: "fast" } },
    ['dynamo-sky:sky.diskTier: "fast" is not a disk tier. Allowed: low, medium, high, ultra, best, none.'],
  ],
  [
    "network tier unknown",
    { sky: { networkTier: "rdma" } },
    ['dynamo-sky:sky.networkTier: "rdma" is not a network tier. Allowed: standard, best.'],
  ],
  [
    "CPUs as a word, and memory in a unit that there is not",
    { sky: { cpus: "many", memory: "256GiB" } },
    [
      'dynamo-sky:sky.cpus: "many" is not a number of CPUs. Allowed: a number, or in quotes with + for at least, such as 32 or "32+".',
      'dynamo-sky:sky.memory: "256GiB" is not an amount of memory. Allowed: a number, or in quotes with + for at least and a unit (KB, MB, GB, TB, PB), such as 256, "256+" or "1TB".',
    ],
  ],
  [
    "label value is a number",
    { sky: { labels: { team: 4 } } },
    ['dynamo-sky:sky.labels.team: 4 is not text. Allowed: text on one line. Write it in quotes: "4".'],
  ],
  [
    "label name with a space",
    { sky: { labels: { "my team": "a" } } },
    [
      'dynamo-sky:sky.labels["my team"]: "my team" is not the name of a label. Allowed: letters, digits and . _ / : = + @ -, as the cloud allows it.',
    ],
  ],
  [
    "token with a space",
    { huggingFaceToken: "hf_secret value" },
    ["dynamo-sky:huggingFaceToken: not a token (its value is not shown). Allowed: text without spaces."],
  ],
  [
    "token is a number",
    { huggingFaceToken: 123456 },
    ["dynamo-sky:huggingFaceToken: not a token (its value is not shown). Allowed: text without spaces."],
  ],
];

describe("values that are not allowed: router, services, ports, SkyPilot", () => {
  test.each(BAD)("%s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });
});

test("everyday values of SkyPilot's are taken as they are written", () => {
  const { sky } = parseConfig({
    model: "Qwen/Qwen3-8B",
    modelRevision: "feature/fp8+awq@v1.0",
    cluster: { accelerator: "3g.40gb" },
    sky: { infra: ["*/us-east-1", "slurm/hpc/h100,h200"], cpus: 32, memory: "1TB+" },
  });
  expect(sky).toMatchObject({ infra: ["*/us-east-1", "slurm/hpc/h100,h200"], cpus: "32", memory: "1TB+" });
  for (const modelRevision of ["v1..v2", "-x", "a b", "main.lock", "a/", "a~1", "a:b"])
    expect(messageOf({ modelRevision })).toContain("is not a revision");
});
