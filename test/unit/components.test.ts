import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { DynamoCluster, type DynamoClusterArgs } from "../../components";
import { known, mocks, type Registered, runOnMocks, SUFFIX, stdinOf, UNKNOWN } from "./componentsMocks";

/** The dev stack: one prefill and two decode workers on one local node. */
const DEV: DynamoClusterArgs = {
  clusterPrefix: "dynamo-sky-dev",
  target: "local",
  model: "Qwen/Qwen3-8B",
  engine: "mocker",
  pools: [
    { role: "prefill", replicas: 1 },
    { role: "decode", replicas: 2 },
  ],
};
const CLUSTER = `dynamo-sky-dev-main-${SUFFIX}`;

const make = (args: DynamoClusterArgs) => () => new DynamoCluster("dynamo", args);

/** Every resource as `type name` below its parent, components without their package. */
function tree(resources: readonly Registered[]): string[] {
  return resources
    .map(({ type, name, parent }) => `${parent} > ${type.split(":").at(-1)} ${name}`)
    .toSorted();
}

/** Names of the commands whose inputs differ between two deployments, or that only one of them has. */
async function differing(before: DynamoClusterArgs, after: DynamoClusterArgs) {
  const inputs = async (args: DynamoClusterArgs) => {
    const { resources } = await runOnMocks("update", make(args));
    return new Map(resources.map((resource) => [resource.name, JSON.stringify(resource.inputs)]));
  };
  const [old, now] = [await inputs(before), await inputs(after)];
  const names = (test: (name: string) => boolean) =>
    [...new Set([...old.keys(), ...now.keys()])].filter(test).toSorted();
  return {
    created: names((name) => !old.has(name)),
    deleted: names((name) => !now.has(name)),
    updated: names((name) => old.has(name) && now.has(name) && old.get(name) !== now.get(name)),
  };
}

describe.each(["preview", "update"] as const)("DynamoCluster in a %s", (mode) => {
  it("has exactly the children of the dev stack", async () => {
    const { resources } = await runOnMocks(mode, make(DEV));
    expect(tree(resources)).toEqual([
      " > DynamoCluster dynamo",
      "dynamo > ControlPlane dynamo-control-plane",
      "dynamo > Credentials dynamo-credentials",
      "dynamo > DecodeWorkers dynamo-decode",
      "dynamo > Frontend dynamo-frontend",
      "dynamo > LocalCluster dynamo-main",
      "dynamo > PrefillWorkers dynamo-prefill",
      "dynamo > RandomString dynamo-suffix",
      "dynamo > Readiness dynamo-ready",
      "dynamo > Router dynamo-router",
      "dynamo-control-plane > Command dynamo-control-plane-etcd",
      "dynamo-control-plane > Command dynamo-control-plane-nats",
      "dynamo-credentials > RandomPassword dynamo-credentials-etcd",
      "dynamo-credentials > RandomPassword dynamo-credentials-etcd-root",
      "dynamo-credentials > RandomPassword dynamo-credentials-nats",
      "dynamo-decode > Command dynamo-decode-0",
      "dynamo-decode > Command dynamo-decode-1",
      "dynamo-frontend > Command dynamo-frontend-0",
      "dynamo-main > Command dynamo-main-lease",
      "dynamo-prefill > Command dynamo-prefill-0",
      "dynamo-ready > Command dynamo-ready-check",
    ]);
  });

  it("starts things in the order of what they need, and the workers beside the frontend", async () => {
    const { named } = await runOnMocks(mode, make(DEV));
    const passwords = ["etcd", "etcd-root", "nats"].map((name) => `dynamo-credentials-${name}`);
    const lease = ["dynamo-main-lease", "dynamo-suffix"];
    const control = ["dynamo-control-plane-etcd", "dynamo-control-plane-nats", ...lease].toSorted();
    const workers = ["dynamo-decode-0", "dynamo-decode-1", "dynamo-prefill-0"];
    expect(named("dynamo-main-lease").dependsOn).toEqual([...passwords, "dynamo-suffix"]);
    expect(named("dynamo-control-plane-etcd").dependsOn).toEqual(lease);
    expect(named("dynamo-control-plane-nats").dependsOn).toEqual(lease);
    for (const name of ["dynamo-frontend-0", ...workers]) expect(named(name).dependsOn).toEqual(control);
    expect(named("dynamo-ready-check").dependsOn).toEqual(
      [...control, ...workers, ...passwords, "dynamo-frontend-0"].toSorted(),
    );
  });

  it("calls the driver's verbs, one a purpose, and deletes what it makes", async () => {
    const { resources } = await runOnMocks(mode, make(DEV));
    const commands = resources.filter(({ type }) => type === "command:local:Command");
    const verbs = commands.map(({ name, inputs }) => [
      name,
      ...["create", "update", "delete"].map((key) => /dynamo-sky" (.*)$/.exec(String(inputs[key]))?.[1]),
    ]);
    expect(verbs).toEqual([
      ["dynamo-main-lease", "local lease", undefined, "local release"],
      ...["control-plane-etcd", "control-plane-nats", "frontend-0", "prefill-0", "decode-0", "decode-1"].map(
        (unit) => [`dynamo-${unit}`, "local apply", undefined, "local remove"],
      ),
      ["dynamo-ready-check", "ready", undefined, undefined],
    ]);
    for (const { inputs, deleteBeforeReplace, ignoreChanges } of commands) {
      expect(inputs["addPreviousOutputInEnv"]).toBe(false);
      expect(inputs["logging"]).toBe("stderr");
      expect(deleteBeforeReplace).toBe(true);
      expect(ignoreChanges).toEqual(["environment.DYNAMO_SKY_OBSERVED"]);
    }
  });

  it("is replaced by no change but one of the nodes, or of the name", async () => {
    const { resources } = await runOnMocks(mode, make({ ...DEV, cluster: { nodes: 2, gpusPerNode: 2 } }));
    const triggers = resources.flatMap(({ name, inputs }) =>
      inputs["triggers"] ? [[name, inputs["triggers"]]] : [],
    );
    const nodes = '[{"address":"127.0.0.1","rank":0},{"address":"127.0.0.2","rank":1}]';
    const cluster = mode === "preview" ? UNKNOWN : `dynamo-sky-dev-main-${SUFFIX}`;
    expect(triggers).toEqual([["dynamo-main-lease", [nodes, cluster]]]);
  });
});

describe("DynamoCluster in a preview", () => {
  it("does not know the cluster's name yet, and says so instead of inventing one", async () => {
    const { named } = await runOnMocks("preview", make(DEV));
    expect(named("dynamo-main-lease").inputs["stdin"]).toEqual({ secret: UNKNOWN });
    expect(named("dynamo-ready-check").inputs["environment"]).toEqual({
      DYNAMO_SKY_BASIS: { secret: UNKNOWN },
      DYNAMO_SKY_OBSERVED: "healthy",
    });
  });
});

describe("DynamoCluster in an update", () => {
  it("gives each command the part of the plan that it carries out", async () => {
    const { named } = await runOnMocks("update", make(DEV));
    expect(stdinOf(named("dynamo-main-lease"))).toMatchObject({
      cluster: CLUSTER,
      model: "Qwen/Qwen3-8B",
      services: true,
      units: ["etcd", "nats", "frontend-0", "prefill-0", "decode-0", "decode-1"],
      nodes: [{ rank: 0, address: "127.0.0.1" }],
    });
    const decode = stdinOf(named("dynamo-decode-1"));
    expect(decode).toMatchObject({
      cluster: CLUSTER,
      unit: "decode-1",
      nodes: [
        { rank: 0, address: "127.0.0.1", programs: [{ name: "decode-1", role: "decode", replica: 1 }] },
      ],
    });
    expect(named("dynamo-decode-1").inputs["environment"]).toMatchObject({
      DYNAMO_SKY_BASIS: "dynamo-main-lease-id",
    });
    expect(named("dynamo-decode-1").dependenciesOf("environment")).toContain("dynamo-main-lease");
    const log = (program: string) => [`clusters/${CLUSTER}/node0/logs/${program}.log`];
    expect(stdinOf(named("dynamo-ready-check"))).toEqual({
      endpoint: "http://127.0.0.1:8000",
      model: "Qwen/Qwen3-8B",
      task: "chat",
      namespace: "dynamo",
      expectedWorkers: { aggregated: 0, prefill: 1, decode: 2, encode: 0 },
      timeoutSeconds: 180,
      localClusters: [CLUSTER],
      logs: Object.fromEntries(
        ["etcd", "nats", "frontend-0", "prefill-0", "decode-0", "decode-1"].map((name) => [name, log(name)]),
      ),
    });
  });

  it("has the outputs that a user needs", async () => {
    const { result } = await runOnMocks("update", make(DEV));
    expect(await known(result.endpoint)).toBe("http://127.0.0.1:8000");
    expect(await known(result.model)).toBe("Qwen/Qwen3-8B");
    expect(await known(result.apiKey)).toBeUndefined();
    expect(await known(result.chat)).toBe(
      "curl -s http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d " +
        `'{"model":"Qwen/Qwen3-8B","messages":[{"role":"user","content":"Say hello in one sentence."}],"max_tokens":64}'`,
    );
    const [cluster] = await known(result.topology);
    expect(cluster).toMatchObject({ name: "main", cluster: CLUSTER });
    expect(
      cluster?.nodes.map(({ programs }) => programs.map(({ name, role, gpus }) => [name, role, gpus])),
    ).toEqual([
      [
        ["etcd", "etcd", []],
        ["nats", "nats", []],
        ["frontend-0", "frontend", []],
        ["prefill-0", "prefill", [0]],
        ["decode-0", "decode", [1]],
        ["decode-1", "decode", [2]],
      ],
    ]);
    expect(await known(result.deployment)).toEqual({
      target: "local",
      infra: [],
      namespace: "dynamo",
      routerMode: "kv",
      task: "chat",
      workers: { aggregated: 0, prefill: 1, decode: 2, encode: 0 },
    });
    expect(await known(result.urn)).toMatch(/::dynamo-sky:index:DynamoCluster::dynamo$/);
  });

  it("has one component for workers that are not disaggregated, and neither etcd nor NATS with file discovery", async () => {
    const { resources, named } = await runOnMocks(
      "update",
      make({ ...DEV, pools: [{ role: "aggregated", replicas: 2 }], controlPlane: { discovery: "file" } }),
    );
    expect(
      resources.map(({ name }) => name).filter((name) => /aggregated|prefill|decode|etcd|nats/.test(name)),
    ).toEqual(["dynamo-aggregated", "dynamo-aggregated-0", "dynamo-aggregated-1"]);
    expect(stdinOf(named("dynamo-main-lease"))["services"]).toBe(false);
  });

  it("finds neither etcd nor NATS where the machine has none", async () => {
    const { named } = await runOnMocks("update", make({ ...DEV, localServices: false }));
    expect(stdinOf(named("dynamo-main-lease"))["services"]).toBe(false);
  });

  it("keeps several deployments of one stack apart", async () => {
    const { clusterPrefix: _, ...args } = DEV;
    const { result } = await runOnMocks("update", () =>
      ["chat", "code"].map((name) => new DynamoCluster(name, args)),
    );
    const names = await Promise.all(result.map(async ({ topology }) => (await known(topology))[0]?.cluster));
    expect(names).toEqual([`dynamo-sky-dev-chat-main-${SUFFIX}`, `dynamo-sky-dev-code-main-${SUFFIX}`]);
  });
});

describe("a change touches", () => {
  const pools = (prefill: number, decode: number): Pick<DynamoClusterArgs, "pools"> => ({
    pools: [
      { role: "prefill", replicas: prefill },
      { role: "decode", replicas: decode },
    ],
  });

  it("nothing when there is none", async () => {
    expect(await differing(DEV, structuredClone(DEV))).toEqual({ created: [], deleted: [], updated: [] });
  });

  it("of the router mode: the frontend alone, and readiness is proven anew", async () => {
    expect(await differing(DEV, { ...DEV, router: { mode: "round-robin" } })).toEqual({
      created: [],
      deleted: [],
      updated: ["dynamo-frontend-0", "dynamo-ready-check", "dynamo-router"],
    });
  });

  it("of the decode replicas: just the replica that comes or goes", async () => {
    const more = { ...DEV, ...pools(1, 3) };
    const updated = ["dynamo-main-lease", "dynamo-ready-check"];
    expect(await differing(DEV, more)).toEqual({ created: ["dynamo-decode-2"], deleted: [], updated });
    expect(await differing(more, DEV)).toEqual({ created: [], deleted: ["dynamo-decode-2"], updated });
  });

  it("of the prefill replicas: neither frontend nor control plane", async () => {
    const { created, deleted, updated } = await differing(DEV, { ...DEV, ...pools(2, 2) });
    expect({ created, deleted }).toEqual({ created: ["dynamo-prefill-1"], deleted: [] });
    for (const name of ["dynamo-frontend-0", "dynamo-control-plane-etcd", "dynamo-prefill-0"]) {
      expect(updated).not.toContain(name);
    }
  });

  it("of the engine's arguments: the workers, not the frontend and not the control plane", async () => {
    const { updated } = await differing(DEV, { ...DEV, engineArgs: ["--speedup-ratio", "10"] });
    expect(updated).toEqual(["dynamo-decode-0", "dynamo-decode-1", "dynamo-prefill-0", "dynamo-ready-check"]);
  });

  it("of the model: the workers, and the lease that provides its tokenizer", async () => {
    const { updated } = await differing(DEV, { ...DEV, model: "Qwen/Qwen3-0.6B" });
    expect(updated).toEqual([
      // The component itself: its inputs include the inventory for policies.
      "dynamo",
      "dynamo-decode-0",
      "dynamo-decode-1",
      "dynamo-main-lease",
      "dynamo-prefill-0",
      "dynamo-ready-check",
    ]);
  });
});

describe("a wrong deployment", () => {
  it("is refused with all its mistakes at once, before any resource is made", async () => {
    const pools = [{ role: "decode" as const, replicas: 0 }];
    const { result, resources } = await runOnMocks("preview", () => {
      try {
        return make({ ...DEV, model: "", pools })();
      } catch (error) {
        return error;
      }
    });
    // Pulumi shows errors of this class without a stack trace.
    expect(result).toBeInstanceOf(pulumi.RunError);
    expect(String(result)).toContain("dynamo-sky:model: ");
    expect(String(result)).toContain("dynamo-sky:pools[0].replicas: ");
    expect(resources).toEqual([]);
  });
});

describe("the mocks", () => {
  it("refuse what they do not know", () => {
    const pet = { type: "random:index/randomPet:RandomPet", name: "pet", inputs: {}, custom: true };
    expect(() => mocks(false).newResource(pet)).toThrow(
      "is of type random:index/randomPet:RandomPet, which is not mocked",
    );
    expect(() => mocks(false).call({ token: "command:local:run", inputs: {} })).toThrow(
      "which is not mocked",
    );
  });
});
