import { describe, expect, it } from "vitest";
import { DynamoCluster, type DynamoClusterArgs, type SkyObservation } from "../../components";
import { skyRepairs } from "../../components/skyRepair";
import { runtimeDigests } from "../../lib/runtimeFiles";
import { parseConfig } from "../../plan/config";
import { factsOf } from "../../plan/facts";
import { plan } from "../../plan/plan";
import type { ClusterPlan } from "../../plan/types";
import { GIVEN, known, LAUNCHED, type Registered, runOnMocks, SUFFIX, stdinOf } from "./componentsMocks";

const MULTI: DynamoClusterArgs = {
  clusterPrefix: "dynamo-sky-multi",
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 2 },
  pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
  sky: { infra: ["aws", "gcp"], retryUntilUp: true },
  access: { gateway: false },
};
const DEDICATED: DynamoClusterArgs = {
  clusterPrefix: "dynamo-sky-multi",
  model: "Qwen/Qwen3-8B",
  placement: "dedicated",
  pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
  access: { gateway: false },
};
/** Generated secrets of etcd and NATS. */
const CREDENTIALS = {
  DYNAMO_SKY_NODES_AUTHORITY: "value-of-dynamo-credentials-nodes-authority",
  NATS_AUTH_TOKEN: "value-of-dynamo-credentials-nats",
  DYNAMO_SKY_LOCKSTEP_SECRET: "value-of-dynamo-credentials-lockstep",
};
const PLAN = planOf(MULTI);
const CLUSTER = `dynamo-sky-multi-main-${SUFFIX}`;

function planOf({ clusterPrefix: _, ...input }: DynamoClusterArgs): ClusterPlan {
  const config = parseConfig(input);
  const [cluster] = plan(
    config,
    factsOf(config, () => true),
  ).clusters;
  if (cluster === undefined) throw new RangeError("no cluster");
  return cluster;
}

const make = (args: DynamoClusterArgs) => () => new DynamoCluster("dynamo", args);
const commands = (resources: readonly Registered[]) =>
  resources.filter(({ type }) => type === "command:local:Command").map(({ name }) => name);

describe.each(["preview", "update"] as const)("DynamoCluster on SkyPilot in a %s", (mode) => {
  it("has a lease, a launch and the nodes of the cluster, and a resource a unit", async () => {
    const { resources, named } = await runOnMocks(mode, make(MULTI));
    expect(commands(resources).toSorted()).toEqual([
      "dynamo-aggregated-0",
      "dynamo-control-plane-etcd",
      "dynamo-control-plane-nats",
      "dynamo-frontend-0",
      "dynamo-main-launch",
      "dynamo-main-lease",
      "dynamo-main-nodes",
      "dynamo-ready-check",
    ]);
    expect(named("dynamo-main-launch").dependsOn).toContain("dynamo-main-lease");
    expect(named("dynamo-main-nodes").dependsOn).toContain("dynamo-main-launch");
    expect(named("dynamo-aggregated-0").dependsOn).toContain("dynamo-main-nodes");
    expect(named("dynamo-ready-check").dependsOn).toContain("dynamo-aggregated-0");
  });

  it("takes the cluster down with the lease, the old one before a new one", async () => {
    const { named } = await runOnMocks(mode, make(MULTI));
    const lease = named("dynamo-main-lease");
    expect(lease.inputs["create"]).toMatch(/bin\/dynamo-sky" sky lease$/);
    expect(lease.inputs["delete"]).toMatch(/bin\/dynamo-sky" sky down$/);
    expect(lease.deleteBeforeReplace).toBe(true);
    expect(named("dynamo-main-launch").inputs["delete"]).toBeUndefined();
  });
});

describe("launch", () => {
  it("is given the task, the time limit and the port", async () => {
    const { named } = await runOnMocks("update", make(MULTI));
    const { task, ...rest } = stdinOf(named("dynamo-main-launch"));
    expect(rest).toEqual({
      cluster: CLUSTER,
      infra: ["aws", "gcp"],
      port: 8000,
      // A change of a file that runs on the nodes shows in a preview.
      runtime: runtimeDigests(),
      retryUntilUp: true,
      timeoutSeconds: 3600,
    });
    expect(task).toMatchObject({ num_nodes: 2, resources: { accelerators: "H100:8" } });
    expect(stdinOf(named("dynamo-main-lease"))).toEqual({ cluster: CLUSTER, infra: ["aws", "gcp"] });
  });

  it("is given by default the key, and what the certificate is made from", async () => {
    const { access: _, ...byDefault } = MULTI;
    const { named, result } = await runOnMocks("update", make(byDefault));
    expect(stdinOf(named("dynamo-main-launch"))["tls"]).toBe(true);
    const nodes = named("dynamo-main-nodes");
    expect(nodes.additionalSecretOutputs).toEqual(["stdout", "stderr"]);
    const { secrets, tls } = stdinOf(nodes);
    expect(secrets).toEqual({ ...CREDENTIALS, DYNAMO_SKY_API_KEY: "default:value-of-dynamo-key-default" });
    expect(tls).toEqual({ seed: "value-of-dynamo-tls", names: ["localhost", "127.0.0.1"] });
    expect(await known(result.certificateFingerprint)).toBe(GIVEN.certificate.fingerprint);
    expect(await known(result.apiKey)).toBe("value-of-dynamo-key-default");
  });

  it("tells the endpoint", async () => {
    const { result, named } = await runOnMocks("update", make(MULTI));
    expect(await known(result.endpoint)).toBe(LAUNCHED.endpoint);
    expect(stdinOf(named("dynamo-ready-check"))["endpoint"]).toBe(LAUNCHED.endpoint);
  });

  it("keeps the Hugging Face token a secret, and out of the task", async () => {
    const token = "hf_notARealToken";
    const { named, result } = await runOnMocks("update", make({ ...MULTI, huggingFaceToken: token }));
    const launch = named("dynamo-main-launch");
    expect(JSON.stringify(launch.inputs)).not.toContain(token);
    const nodes = named("dynamo-main-nodes");
    expect(nodes.inputs["stdin"]).toHaveProperty("secret");
    expect(nodes.additionalSecretOutputs).toEqual(["stdout", "stderr"]);
    expect(stdinOf(nodes)["secrets"]).toEqual({ ...CREDENTIALS, HF_TOKEN: token });
    expect(await known(result.endpoint)).toBe(LAUNCHED.endpoint);
  });
});

describe("a change of", () => {
  const replicas = (count: number): DynamoClusterArgs => ({
    ...MULTI,
    cluster: { nodes: 2, allowIdleGpus: true },
    pools: [{ role: "aggregated", tensorParallel: 8, replicas: count }],
  });
  const changes: [string, DynamoClusterArgs, string[], DynamoClusterArgs?][] = [
    [
      "the router's mode touches the frontend",
      { ...MULTI, router: { mode: "round-robin" } },
      ["dynamo-frontend-0"],
    ],
    [
      "an engine argument touches the replicas",
      { ...MULTI, engineArgs: ["--log-level", "debug"] },
      ["dynamo-aggregated-0"],
    ],
    [
      "the number of replicas, on a node that had no engine, touches that replica",
      replicas(2),
      ["dynamo-aggregated-1", "dynamo-main-nodes", "dynamo-ready-check"],
      replicas(1),
    ],
    [
      "the model's revision touches the replicas",
      { ...MULTI, modelRevision: "0".repeat(40) },
      ["dynamo-aggregated-0"],
    ],
    [
      "an environment of the task touches the launch",
      { ...MULTI, sky: { ...MULTI.sky, envs: { A: "1" } } },
      ["dynamo-main-launch"],
    ],
  ];
  it.each(changes)("%s", async (_what, changed, touched, before = MULTI) => {
    const inputs = async (args: DynamoClusterArgs) => {
      const { resources } = await runOnMocks("update", make(args));
      const all = resources.filter(({ type }) => type === "command:local:Command");
      return new Map(all.map((one) => [one.name, JSON.stringify(one.inputs["stdin"])]));
    };
    const [former, after] = [await inputs(before), await inputs(changed)];
    const differ = [...after.keys()].filter((name) => after.get(name) !== former.get(name));
    expect(differ.toSorted()).toEqual(touched);
  });
});

describe("replicas that are changed one after the other", () => {
  const units = (role: string, cluster: (replica: number) => string, ranks: readonly number[]) =>
    ranks.map((rank, replica) => ({ cluster: cluster(replica), unit: `${role}-${replica}`, ranks: [rank] }));
  const rolloutOf = (nodes: Registered) => stdinOf(nodes)["rollout"];

  it("are told to the cluster's nodes, and start side by side", async () => {
    const pools = [{ role: "aggregated" as const, tensorParallel: 8, replicas: 2 }];
    const args = { ...MULTI, pools, access: { gateway: true }, frontend: { replicas: 2 } };
    const { named } = await runOnMocks("update", make(args));
    const cluster = String(stdinOf(named("dynamo-main-nodes"))["cluster"]);
    expect(rolloutOf(named("dynamo-main-nodes"))).toMatchObject({
      home: cluster,
      pools: [
        { name: "frontend", maxUnavailable: 1, units: units("frontend", () => cluster, [0, 0]) },
        { name: "aggregated", units: units("aggregated", () => cluster, [0, 1]) },
      ],
    });
    expect(named("dynamo-frontend-1").dependsOn).not.toContain("dynamo-frontend-0");
    for (const name of ["dynamo-frontend-0", "dynamo-aggregated-1"])
      expect(stdinOf(named(name))["home"]).toBe(cluster);
    expect(stdinOf(named("dynamo-control-plane-etcd"))).not.toHaveProperty("home");
  });

  it("are told to the cluster of the frontends alone, with the names of all, whatever those are made of", async () => {
    const args = { ...DEDICATED, sky: { ...DEDICATED.sky, deleteBeforeReplace: false } };
    const { named, resources } = await runOnMocks("update", make(args));
    const nameOf = (cluster: string) => String(stdinOf(named(`dynamo-${cluster}-nodes`))["cluster"]);
    const head = named("dynamo-control-nodes");
    expect(rolloutOf(head)).toMatchObject({
      home: nameOf("control"),
      pools: [{ units: units("aggregated", (replica) => nameOf(`aggregated-${replica}`), [0, 0]) }],
    });
    expect(stdinOf(named("dynamo-aggregated-0-nodes"))).not.toHaveProperty("rollout");
    // Its cluster has the same name.
    const unit = resources.filter(({ type }) => type === "command:local:Command");
    const [worker] = unit.filter(({ name }) => name === "dynamo-aggregated-0");
    expect(worker && stdinOf(worker)["home"]).toBe(nameOf("control"));
  });

  it("are none where there is one of each", async () => {
    const { named } = await runOnMocks("update", make(MULTI));
    expect(rolloutOf(named("dynamo-main-nodes"))).toBeNull();
  });
});

/** The inputs of the lease that decide whether the cluster is replaced. */
async function identity(args: DynamoClusterArgs): Promise<unknown> {
  const { named } = await runOnMocks("update", make(args));
  return named("dynamo-main-lease").inputs["triggers"];
}

describe("identity", () => {
  const changedInPlace: [string, DynamoClusterArgs][] = [
    ["the router's mode", { ...MULTI, router: { mode: "round-robin" } }],
    ["an engine argument", { ...MULTI, engineArgs: ["--log-level", "debug"] }],
    ["a label", { ...MULTI, sky: { ...MULTI.sky, labels: { team: "search" } } }],
    ["autostop", { ...MULTI, sky: { ...MULTI.sky, autostopMinutes: 30 } }],
  ];
  it.each(changedInPlace)("stays with another value of %s", async (_what, changed) => {
    expect(await identity(changed)).toEqual(await identity(MULTI));
  });

  const replaced: [string, DynamoClusterArgs][] = [
    ["accelerator", { ...MULTI, cluster: { nodes: 2, accelerator: "H200" } }],
    ["infra", { ...MULTI, sky: { infra: "aws" } }],
    ["image", { ...MULTI, sky: { ...MULTI.sky, image: "docker:ubuntu:24.04" } }],
    [
      "number of nodes",
      { ...MULTI, cluster: { nodes: 1 }, pools: [{ role: "aggregated", tensorParallel: 8 }] },
    ],
  ];
  it.each(replaced)("is another with another %s", async (_what, changed) => {
    expect(await identity(changed)).not.toEqual(await identity(MULTI));
  });
});

describe("a cluster that is replaced without a gap", () => {
  it("has a name of its own for each identity, and goes after the new one", async () => {
    const patient = { ...MULTI, sky: { ...MULTI.sky, deleteBeforeReplace: false } };
    const { named } = await runOnMocks("update", make(patient));
    expect(named("dynamo-main-lease").deleteBeforeReplace).toBe(false);
    const { keepers } = named("dynamo-main-suffix").inputs;
    const other = await runOnMocks(
      "update",
      make({ ...patient, cluster: { nodes: 2, accelerator: "H200" } }),
    );
    expect(other.named("dynamo-main-suffix").inputs["keepers"]).not.toEqual(keepers);
    const same = await runOnMocks("update", make({ ...patient, router: { mode: "round-robin" } }));
    expect(same.named("dynamo-main-suffix").inputs["keepers"]).toEqual(keepers);
  });

  it("keeps its name while it is asleep, and while its workers are", async () => {
    const { sky, ...rest } = DEDICATED;
    const patient = { ...rest, sky: { ...sky, deleteBeforeReplace: false }, access: { gateway: true } };
    const suffixes = async (args: object) => {
      const { resources } = await runOnMocks("update", make({ ...patient, ...args }));
      return resources
        .filter(({ name }) => name.endsWith("-suffix"))
        .map(({ name, inputs }) => [name, inputs["keepers"]]);
    };
    const awake = await suffixes({});
    expect(awake.map(([name]) => name)).toContain("dynamo-control-suffix");
    expect(await suffixes({ asleep: true })).toEqual(awake);
    expect(await suffixes({ workersDown: true })).toEqual(awake);
  });
});

describe("dedicated placement", () => {
  it("gives workers the address of the control plane's cluster", async () => {
    const { resources, named } = await runOnMocks("update", make(DEDICATED));
    expect(commands(resources).filter((name) => name.endsWith("-launch"))).toHaveLength(3);
    const worker = named("dynamo-aggregated-0-launch");
    const options = expect.arrayContaining(["--keep", "--control-ip", LAUNCHED.headAddress]) as unknown;
    expect(stdinOf(worker)["task"]).toMatchObject({ run: { options } });
    // The administrator's password of etcd stays on etcd's node, and no replica spans nodes here.
    const { NATS_AUTH_TOKEN } = CREDENTIALS;
    expect(stdinOf(named("dynamo-aggregated-0-nodes"))["secrets"]).toEqual({
      ETCD_AUTH_PASSWORD: "value-of-dynamo-credentials-etcd",
      NATS_AUTH_TOKEN,
    });
    expect(worker.dependenciesOf("stdin")).toContain("dynamo-control-launch");
    expect(stdinOf(named("dynamo-control-launch"))["task"]).toMatchObject({
      run: { options: ["--keep"] },
    });
  });
});

describe("repairs of a cluster", () => {
  const base = "dynamo-sky-multi-main";
  const at = "2026-01-01T00:00:00.000Z";
  const up = { status: "UP", clusterHash: "b3f1" };
  const seen = (clusters: SkyObservation["clusters"]): SkyObservation => ({ at, clusters });
  const repairsOf = (clusters: SkyObservation["clusters"]) => skyRepairs(PLAN, base, seen(clusters));
  const name = `${base}-${SUFFIX}`;

  it("finds nothing wrong with a cluster whose task runs or is about to", () => {
    for (const status of ["RUNNING", "PENDING", "SETTING_UP", "INIT"])
      expect(repairsOf({ [name]: { ...up, job: { status } } })).toEqual({ units: new Map() });
  });

  it("finds that a task is gone by a node without a supervisor, whatever SkyPilot says of it", () => {
    const node = { rank: 0, supervisor: true, programs: [] };
    const nodes = [node, { ...node, rank: 1, supervisor: false }];
    const status = (job: string) => ({ [name]: { ...up, job: { status: job }, nodes } });
    expect(repairsOf(status("RUNNING"))).toEqual({
      launch: `no supervisor runs on node 1, though SkyPilot says that the task does, seen ${at}`,
      units: new Map(),
    });
    expect(repairsOf(status("SETTING_UP")).launch).toBeUndefined();
  });

  it("finds the units that are lost, unfinished or stopped on nodes that answer", async () => {
    const program = (unit: string, state = "RUNNING", suffix = "") => ({ name: unit + suffix, unit, state });
    const job = { name: "d", status: "RUNNING" };
    const head = [program("etcd"), program("nats", "UNFINISHED"), program("aggregated-0", "STARTING")];
    const node = { rank: 0, supervisor: true, programs: head };
    const clusters = { [name]: { ...up, job, nodes: [node] } };
    // Nothing is known of the second node.
    const lost = {
      nats: `the last change of nats failed, seen ${at}`,
      "frontend-0": `frontend-0 does not run, seen ${at}`,
    };
    expect(repairsOf(clusters)).toEqual({ units: new Map(Object.entries(lost)) });
    const both = { [name]: { ...up, job, nodes: [node, { ...node, rank: 1, programs: [] }] } };
    expect(repairsOf(both).units.get("aggregated-0")).toBe(`aggregated-0-rank1 does not run, seen ${at}`);

    const { named } = await runOnMocks("update", make({ ...MULTI, observedSky: seen(clusters) }));
    const reasonOf = (command: string) => named(command).inputs["environment"];
    expect(reasonOf("dynamo-frontend-0")).toMatchObject({ DYNAMO_SKY_OBSERVED: lost["frontend-0"] });
    expect(named("dynamo-frontend-0").beforeUpdate).toHaveLength(1);
    for (const healthy of ["dynamo-main-launch", "dynamo-main-nodes", "dynamo-aggregated-0"])
      expect(reasonOf(healthy)).toMatchObject({ DYNAMO_SKY_OBSERVED: "healthy" });
  });

  const lost: [SkyObservation["clusters"], string][] = [
    [{}, "SkyPilot knows no such cluster"],
    [{ [`${base}-other-${SUFFIX}`]: up }, "SkyPilot knows no such cluster"],
    [{ [name]: { ...up, status: "STOPPED" } }, "the cluster is STOPPED"],
    [
      { [name]: { ...up, status: "INIT", reason: "one or more nodes terminated" } },
      "the cluster is INIT: one or more nodes terminated",
    ],
    [{ [name]: up }, "the cluster runs no task"],
    [{ [name]: { ...up, job: { status: "FAILED" } } }, "the cluster's task is FAILED"],
  ];
  it.each(lost)("says of %j: %s", (clusters, reason) => {
    expect(repairsOf(clusters)).toEqual({ launch: `${reason}, seen ${at}`, units: new Map() });
  });

  it("marks the launch, and only where something is lost", async () => {
    const marked = async (clusters: SkyObservation["clusters"]) => {
      const { named } = await runOnMocks("update", make({ ...MULTI, observedSky: seen(clusters) }));
      const { inputs, ignoreChanges } = named("dynamo-main-launch");
      return { inputs: inputs["environment"], ignoreChanges };
    };
    const healthy = await marked({ [name]: { ...up, job: { status: "RUNNING" } } });
    expect(healthy.ignoreChanges).toEqual(["environment.DYNAMO_SKY_OBSERVED"]);
    const gone = await marked({});
    expect(gone.ignoreChanges).toEqual([]);
    expect(gone.inputs).toMatchObject({
      DYNAMO_SKY_OBSERVED: `SkyPilot knows no such cluster, seen ${at}`,
    });
  });
});
