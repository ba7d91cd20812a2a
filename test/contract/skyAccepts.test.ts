/**
 * Compares this project's validation with SkyPilot's: features of each cloud, keys of a task's configuration,
 * and the required user of a pod, with SkyPilot's own check.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUCKETS, CACHE_TYPES, STORES } from "../../config/checks/fileMounts";
import { TASK_CONFIG_KEYS } from "../../config/checks/skyConfig";
import { ACCESS_MODES, CLAIM_KEYS } from "../../config/checks/volumes";
import { ALIASES, runsContainers, type SkyFeature, UNCERTAIN, UNSUPPORTED } from "../../config/infra";
import { ConfigError } from "../../config/problems";
import type { ConfigInput } from "../../config/schema";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { recipeText } from "../../sky/task";
import { skyAnswer } from "./skyAnswer";

/** SkyPilot's name of each feature. */
const FEATURES: Readonly<Record<Exclude<SkyFeature, "registryLogin" | "volumes" | "hourlyCost">, string>> = {
  spot: "SPOT_INSTANCE",
  ports: "OPEN_PORTS",
  stop: "STOP",
  autodown: "AUTODOWN",
  diskTier: "CUSTOM_DISK_TIER",
  networkTier: "CUSTOM_NETWORK_TIER",
  containers: "DOCKER_IMAGE",
  machineImages: "IMAGE_ID",
  severalNodes: "MULTI_NODE",
};

interface Container {
  readonly name: string;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext: { readonly runAsUser?: number; readonly capabilities: unknown };
}

interface Answer {
  /** Other names of clouds. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly unsupported: Readonly<Record<string, readonly string[]>>;
  readonly logins: readonly string[];
  readonly dropsHourlyCost: readonly string[];
  readonly volumeKinds: readonly string[];
  readonly configKeys: readonly string[];
  readonly container: boolean;
  readonly privilegeCheck: string;
  readonly insufficient: number;
  readonly pods: readonly { readonly spec: { readonly containers: readonly Container[] } }[];
  readonly copied: readonly Readonly<Record<string, readonly [source: string, mode: string]>>[];
  readonly refusals: readonly (string | null)[];
  readonly mounts: readonly (string | null)[];
  readonly volumes: readonly (string | null)[];
  readonly words: Readonly<Record<"stores" | "types" | "schemes" | "access" | "claims", readonly string[]>>;
}

/** File mounts, right and wrong. */
const MOUNTS = [
  "ftp://host/a",
  "hf://org/repo",
  {},
  { mode: "MOUNT" },
  { store: "s3" },
  { name: "mine" },
  { name: "mine", store: "s4" },
  { name: "mine", store: "GCS" },
  { name: "s3://bucket" },
  { source: "/etc" },
  { source: "/etc", name: "mine", mode: "copy" },
  { source: ["s3://bucket"], name: "mine" },
  { source: "s3://bucket" },
  { source: "s3://bucket", name: "mine" },
  { source: "s3://bucket/data" },
  { source: "s3://bucket/data", mode: "COPY" },
  { source: "cos://us-east/bucket" },
  { source: "cos://us-east/bucket/data", mode: "MOUNT_CACHED" },
  { source: "hf://datasets/a/b" },
  { source: "ftp://host/a", mode: "COPY" },
  { source: "s3://bucket", type: "fast" },
  { source: "s3://bucket", type: "dataset_ro" },
  { source: "s3://bucket", type: "dataset_ro", mode: "mount_cached" },
] as const;

/** Volumes, right and wrong. */
const VOLUMES = [
  { name: "disk" },
  { name: "disk", sub_path: "team/a" },
  { name: "disk", sub_path: "../a" },
  { name: "disk", sub_path: "/a" },
  { size: "100Gi" },
  { size: "100" },
  { size: "1tb" },
  { size: "0" },
  { size: "many" },
  { size: "100Gi", type: "k8s-pvc" },
  { size: "100Gi", type: "k8s-hostpath" },
  { host_path: "/lustre" },
  { host_path: "/lustre", mode: "rw" },
  { host_path: "/lustre", mode: "w" },
  { host_path: "lustre" },
  { host_path: "/" },
  { sub_path: "a" },
] as const;

function isRefused(sky: object): boolean {
  try {
    parseConfig({
      model: "Qwen/Qwen3-8B",
      cluster: { nodes: 1 },
      pools: [{ role: "aggregated", replicas: 8 }],
      sky,
    });
    return false;
  } catch (error) {
    if (error instanceof ConfigError) return true;
    throw error;
  }
}

function taskOf(sky: ConfigInput["sky"]): string {
  const config = parseConfig({
    model: "Qwen/Qwen3-8B",
    pools: [{ role: "aggregated", tensorParallel: 8 }],
    access: { gateway: true },
    ...(sky === undefined ? {} : { sky }),
  });
  const { clusters, endpoint } = plan(config, { discovery: "etcd", events: "nats" });
  const [cluster] = clusters;
  if (cluster === undefined) throw new Error("no cluster");
  return recipeText({ cluster, config, endpointPort: endpoint.port }, join(packageRoot(), "runtime"));
}

/** The tasks of all clusters. */
function tasksOf(input: ConfigInput): string[] {
  const config = parseConfig(input);
  const { clusters } = plan(config, { discovery: "etcd", events: "nats" });
  return clusters.map((cluster) => recipeText({ cluster, config }, join(packageRoot(), "runtime")));
}

/** A model and one that drafts its tokens, in buckets, on clusters of their own. */
const FROM_BUCKETS: ConfigInput = {
  model: "s3://some-bucket/models/qwen",
  engine: "sglang",
  placement: "dedicated",
  pools: [
    { role: "prefill" },
    { role: "decode", engineArgs: ["--speculative-draft-model-path", "gs://another-bucket/draft"] },
  ],
};

const OWN_ENV = [{ name: "NCCL_DEBUG", value: "INFO" }];
/** Whether the pod's user must be root, and the task. */
const PODS: readonly (readonly [
  title: string,
  section: string,
  uid: number | undefined,
  sky: ConfigInput["sky"],
])[] = [
  ["the default image", "kubernetes", 0, { infra: "kubernetes" }],
  ["a context", "kubernetes", 0, { infra: "k8s/team" }],
  ["Kubernetes beside a cloud", "kubernetes", 0, { infra: ["aws", "k8s"] }],
  ["whatever infra there is", "kubernetes", 0, {}],
  ["a pool of machines by ssh", "ssh", 0, { infra: "ssh/rack" }],
  ["an image of one's own", "kubernetes", 0, { infra: "k8s", image: "docker:registry.example.com/mine:1" }],
  [
    "more for the container, without a name",
    "kubernetes",
    0,
    { infra: "k8s", config: { kubernetes: { pod_config: { spec: { containers: [{ env: OWN_ENV }] } } } } },
  ],
  [
    "more for the container, by its name",
    "kubernetes",
    0,
    {
      infra: "k8s",
      config: { kubernetes: { pod_config: { spec: { containers: [{ name: "ray-node", env: OWN_ENV }] } } } },
    },
  ],
  [
    "a container beside it",
    "kubernetes",
    0,
    {
      infra: "k8s",
      config: { kubernetes: { pod_config: { spec: { containers: [{ name: "logs", image: "busybox" }] } } } },
    },
  ],
  [
    "an image of one's own whose user has sudo",
    "kubernetes",
    1000,
    {
      infra: "k8s",
      image: "docker:registry.example.com/mine:1",
      config: {
        kubernetes: { pod_config: { spec: { containers: [{ securityContext: { runAsUser: 1000 } }] } } },
      },
    },
  ],
];

/** All features that a task can request of an infra, where SkyPilot supports them. */
const TASKS: readonly ConfigInput["sky"][] = [
  {
    infra: "aws",
    useSpot: true,
    autostopMinutes: 10,
    autostopDown: false,
    diskSizeGB: 500,
    diskTier: "ultra",
    networkTier: "best",
    openEndpoint: true,
    cpus: "32+",
    memory: "256+",
    maxHourlyCost: 120.5,
    labels: { team: "search" },
    config: { docker: { run_options: ["--ulimit=memlock=-1"] } },
  },
  { infra: "gcp", config: { gcp: { enable_gvnic: true, subnet_names: ["a"] } } },
  { infra: "slurm/hpc", autostopMinutes: 10, config: { slurm: { sbatch_options: { account: "ml" } } } },
  {
    infra: "k8s",
    fileMounts: {
      "/data/readme": join(packageRoot(), "README.md"),
      "~/one": "s3://some-bucket/one",
    },
    volumes: { "/mnt/data": "shared-data" },
  },
  { infra: "k8s", autostopMinutes: 10, diskTier: "best", config: { kubernetes: { provision_timeout: 900 } } },
];

let answer: Answer;
const home = mkdtempSync(join(tmpdir(), "dsky-accepts-"));
/** Programs of an image without sudo. */
const bin = join(home, "bin");

beforeAll(async () => {
  mkdirSync(bin);
  chmodSync(home, 0o755);
  for (const program of ["id", "timeout"]) symlinkSync(`/usr/bin/${program}`, join(bin, program));
  const pods = PODS.map(([, section, , sky]) => ({ section, task: taskOf(sky) }));
  answer = await skyAnswer<Answer>(
    "skyAccepts.py",
    { pods, tasks: TASKS.map(taskOf), clusters: tasksOf(FROM_BUCKETS), mounts: MOUNTS, volumes: VOLUMES },
    home,
  );
}, 900_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("what an infra cannot do", () => {
  it("is known of every cloud that SkyPilot has", () => {
    expect(Object.keys(UNSUPPORTED).toSorted()).toEqual(Object.keys(answer.unsupported).toSorted());
    expect(ALIASES).toEqual(answer.aliases);
  });

  it("is what SkyPilot says, but for what it finds out of a cluster", () => {
    const ours = Object.entries(UNSUPPORTED).map(([cloud, features]) => {
      const known = [...features.filter((one) => one in FEATURES), ...(UNCERTAIN[cloud] ?? [])];
      return [cloud, known.map((one) => FEATURES[one as keyof typeof FEATURES]).toSorted()];
    });
    const named = new Set(Object.values(FEATURES));
    const theirs = Object.entries(answer.unsupported).map(([cloud, features]) => {
      // Listed in `Kubernetes._unsupported_features_for_resources` itself, whose packages are not installed.
      const all = ["kubernetes", "ssh"].includes(cloud) ? [...features, "STOP"] : features;
      const relevant = all.filter((one) => named.has(one));
      return [cloud, [...new Set(relevant)].toSorted()];
    });
    expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
  });

  it("is a login at a registry where no template of SkyPilot's has it", () => {
    const ours = Object.keys(UNSUPPORTED).filter((cloud) => !UNSUPPORTED[cloud]?.includes("registryLogin"));
    expect(ours.toSorted()).toEqual(answer.logins.toSorted());
  });

  it("is a volume where SkyPilot has no kind of them", () => {
    const kinds = [...new Set(answer.volumeKinds.map((kind) => kind.split("-")[0]))].toSorted();
    expect(kinds).toEqual(["k8s", "runpod"]);
    const ours = Object.keys(UNSUPPORTED).filter((cloud) => !UNSUPPORTED[cloud]?.includes("volumes"));
    // Node pools by ssh are Kubernetes to SkyPilot.
    expect(ours.toSorted()).toEqual(["kubernetes", "runpod", "ssh"]);
  });

  it("is a limit on a machine's price where SkyPilot drops it", () => {
    const ours = Object.keys(UNSUPPORTED).filter((cloud) => UNSUPPORTED[cloud]?.includes("hourlyCost"));
    expect(ours.toSorted()).toEqual(answer.dropsHourlyCost.toSorted());
  });

  it("decides where NVIDIA's image is what the nodes run", () => {
    expect(["aws", "k8s/a", "ssh/rack"].filter(runsContainers)).toEqual(["aws", "k8s/a", "ssh/rack"]);
    const without = ["slurm/hpc", "oci", "ibm", "scp", "fluidstack", "runpod", "vast", "yotta"];
    expect(without.filter(runsContainers)).toEqual([]);
  });
});

describe("a task", () => {
  it("may say of SkyPilot's configuration what SkyPilot takes from one", () => {
    expect([...TASK_CONFIG_KEYS].filter((key) => key !== "hooks")).toEqual(answer.configKeys.toSorted());
  });

  it("is accepted by SkyPilot with all that can be asked for", () => {
    expect(answer.refusals).toEqual(TASKS.map(() => null));
  });
});

describe("what is mounted", () => {
  it.each(MOUNTS.map((mount, index) => ({ mount, index })))(
    "is refused where SkyPilot does: $mount",
    ({ mount, index }) => {
      expect(isRefused({ infra: "aws", fileMounts: { "/mnt": mount } })).toBe(answer.mounts[index] !== null);
    },
  );

  it.each(VOLUMES.map((volume, index) => ({ volume, index })))(
    "is a volume where SkyPilot has it: $volume",
    ({ volume, index }) => {
      const sky = "host_path" in volume ? { infra: "slurm/hpc", image: "docker:me/own:1" } : { infra: "k8s" };
      expect(isRefused({ ...sky, volumes: { "/mnt": volume } })).toBe(answer.volumes[index] !== null);
    },
  );

  it("is named in SkyPilot's words", () => {
    const { stores, types, schemes, access, claims } = answer.words;
    expect([...STORES, "volume"].toSorted()).toEqual(stores.map((one) => one.toLowerCase()).toSorted());
    expect(CACHE_TYPES).toEqual(types);
    expect([...BUCKETS, "https"].toSorted()).toEqual(schemes.toSorted());
    expect(ACCESS_MODES).toEqual(access);
    expect(CLAIM_KEYS).toEqual(claims);
  });
});

/** SkyPilot's check in an environment like a pod's: this user, and no sudo. */
function exitCodeOf(uid: number): number | null {
  const isRoot = process.getuid?.() === 0;
  const check = `PATH=${bin}; ${answer.privilegeCheck}`;
  const as =
    uid === 0
      ? isRoot
        ? []
        : ["unshare", "--map-root-user"]
      : isRoot
        ? ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"]
        : [];
  const [program = "", ...words] = [...as, "/bin/bash", "-c", check];
  return spawnSync(program, words, { env: { PATH: process.env["PATH"], HOME: home } }).status;
}

describe("a model in a bucket", () => {
  it("is copied by SkyPilot where engines load it, and nowhere else", () => {
    const byDirectory = answer.copied.map((mounts) =>
      Object.fromEntries(
        Object.entries(mounts).map(([path, mount]) => [path.replace(/-[0-9a-f]{8}$/, ""), mount]),
      ),
    );
    const model = { "~/.dynamo-sky/models/qwen": ["s3://some-bucket/models/qwen", "COPY"] };
    const draft = { "~/.dynamo-sky/models/draft": ["gs://another-bucket/draft", "COPY"] };
    expect(byDirectory).toEqual([{}, model, { ...model, ...draft }]);
  });
});

describe("SkyPilot's check of a pod's user", () => {
  it("refuses the user of NVIDIA's images, who has no sudo", () => {
    expect(exitCodeOf(1000)).toBe(answer.insufficient);
  });

  it.each(PODS.map(([title, , uid], index) => ({ title, uid, index })))(
    "has $uid with $title",
    ({ uid, index }) => {
      const containers = answer.pods[index]?.spec.containers ?? [];
      const container = containers.find(({ name }) => name === "ray-node");
      expect(answer.container).toBe(true);
      expect(container?.securityContext).toMatchObject({
        runAsUser: uid,
        capabilities: { add: ["IPC_LOCK"] },
      });
      const env = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
      expect(env["HOME"]).toBe(uid === 0 ? "/root" : undefined);
      expect(env["SKYPILOT_POD_NODE_TYPE"]).toBe("head");
      if (uid === 0) expect(exitCodeOf(uid)).toBe(0);
    },
  );

  it("leaves alone what the configuration says of the container", () => {
    const at = (title: string) => PODS.findIndex(([one]) => one === title);
    for (const title of ["more for the container, without a name", "more for the container, by its name"])
      expect(answer.pods[at(title)]?.spec.containers).toMatchObject([
        { name: "ray-node", env: [{}, ...OWN_ENV, { name: "HOME" }] },
      ]);
    expect(answer.pods[at("a container beside it")]?.spec.containers).toMatchObject([
      { name: "ray-node" },
      { name: "logs", image: "busybox" },
    ]);
  });
});
