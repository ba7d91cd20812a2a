import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { ConfigInput } from "../../config/schema";
import { hereDocument, quoted } from "../../lib/shell";
import { fingerprintOf, problemOfPair } from "../../lib/tls/served";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { secretsOfProgram } from "../../plan/types";
import { launchedTask } from "../../sky/task";
import { planIn, programsOfPlans, RUNTIME, textOfTask } from "../runtime";

interface Task {
  readonly num_nodes: number;
  readonly resources: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, unknown>>;
  readonly setup: string;
  readonly run: string;
}

const multi: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 2 },
  pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
};

function text(input: ConfigInput, standalone = false): string {
  const config = parseConfig(input);
  const planned = plan(config, { discovery: "etcd", events: "nats" });
  const [cluster] = planned.clusters;
  if (cluster === undefined) throw new Error("no cluster");
  return textOfTask({ cluster, config, endpointPort: planned.endpoint.port, standalone });
}

const task = (input: ConfigInput): Task => parse(text(input));
/** Secrets of etcd and NATS, by their names in a task. */
const OF_ONE_NODE = { DYNAMO_SKY_ETCD_ROOT_PASSWORD: null, ETCD_AUTH_PASSWORD: null, NATS_AUTH_TOKEN: null };
/** The same where there are several nodes. */
const CREDENTIALS = { DYNAMO_SKY_NODES_AUTHORITY: null, NATS_AUTH_TOKEN: null };
/** If a replica spans nodes its launchers have a secret too. */
const SPANNING = { ...CREDENTIALS, DYNAMO_SKY_LOCKSTEP_SECRET: null };

/** Secrets of the gateway. */
const ACCESS = { DYNAMO_SKY_API_KEY: null, DYNAMO_SKY_TLS: null };

describe("task", () => {
  it("is the same text for the same configuration", () => {
    expect(text(multi)).toBe(text(multi));
  });

  it("asks for nodes, GPUs, RDMA and the engine's image", () => {
    const { num_nodes, resources } = task(multi);
    expect(num_nodes).toBe(2);
    expect(resources).toEqual({
      accelerators: "H100:8",
      network_tier: "best",
      image_id: "docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1",
    });
  });

  it("lets SkyPilot choose among several infras", () => {
    expect(task({ ...multi, sky: { infra: ["aws/us-east-1", "gcp"] } }).resources).toMatchObject({
      any_of: [{ infra: "aws/us-east-1" }, { infra: "gcp" }],
    });
  });

  it("asks for RDMA where it can be asked for, so that no other place is left out", () => {
    const at = (infra: readonly string[], networkTier?: "best") =>
      task({ ...multi, sky: { infra: [...infra], ...(networkTier && { networkTier }) } }).resources;
    expect(at(["aws/us-east-1", "kubernetes", "lambda"])).toEqual({
      any_of: [
        { infra: "aws/us-east-1", network_tier: "best" },
        { infra: "kubernetes" },
        { infra: "lambda" },
      ],
      accelerators: "H100:8",
      image_id: expect.any(String),
    });
    expect(at(["kubernetes"])).not.toHaveProperty("network_tier");
    expect(at(["kubernetes"], "best")).toMatchObject({ infra: "kubernetes", network_tier: "best" });
    expect(at(["aws", "gcp"])).toMatchObject({
      any_of: [{ infra: "aws" }, { infra: "gcp" }],
      network_tier: "best",
    });
  });

  it("asks Slurm for neither container nor network tier", () => {
    const { resources } = task({ ...multi, access: { gateway: true }, sky: { infra: "slurm/lab" } });
    expect(resources).toEqual({ infra: "slurm/lab", accelerators: "H100:8" });
  });

  it("opens the endpoint's port only when asked to", () => {
    expect(task(multi).resources["ports"]).toBeUndefined();
    const open = { ...multi, access: { gateway: true }, sky: { openEndpoint: true } };
    expect(task(open).resources["ports"]).toEqual([8000]);
  });

  it("passes on everything that the configuration says of resources", () => {
    const sky = {
      infra: "aws",
      useSpot: true,
      autostopMinutes: 30,
      diskSizeGB: 500,
      diskTier: "best",
      networkTier: "standard",
      image: "docker:ubuntu:24.04",
      cpus: "32+",
      memory: "256+",
      labels: { team: "search" },
    } as const;
    expect(task({ ...multi, sky }).resources).toEqual({
      infra: "aws",
      accelerators: "H100:8",
      cpus: "32+",
      memory: "256+",
      use_spot: true,
      disk_size: 500,
      disk_tier: "best",
      network_tier: "standard",
      image_id: "docker:ubuntu:24.04",
      labels: { team: "search" },
      autostop: { idle_minutes: 30, down: true },
    });
  });

  it("passes on an instance type", () => {
    const sky = { infra: "aws", instanceType: "p5.48xlarge" };
    expect(task({ ...multi, sky }).resources).toMatchObject({ instance_type: "p5.48xlarge" });
  });

  const checks = ({ run }: Task) => /start\.py *(.*?) *<</.exec(run)?.[1];

  it("has nodes checked for the driver of the engine, for RDMA where workers talk, and for NIXL where they hand over blocks", () => {
    const one: ConfigInput = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", tensorParallel: 8 }] };
    const apart: ConfigInput = {
      model: "Qwen/Qwen3-8B",
      cluster: { nodes: 2, gpusPerNode: 1 },
      pools: [{ role: "prefill" }, { role: "decode" }],
      sky: { rdma: "required" },
    };
    expect(checks(task(one))).toBe("--driver 580");
    expect(checks(task({ ...one, sky: { networkTier: "best" } }))).toBe("--driver 580");
    // SkyPilot's own choice of a network is no demand of the user's.
    expect(checks(task(multi))).toBe("--driver 580 --rdma expected");
    expect(checks(task({ ...multi, sky: { networkTier: "best" } }))).toBe("--driver 580 --rdma required");
    expect(checks(task(apart))).toBe("--driver 580 --rdma required --nixl UCX");
    expect(checks(task({ ...apart, cluster: { gpusPerNode: 2 } }))).toBe("--driver 580 --nixl UCX");
    expect(checks(task({ ...apart, kvTransfer: { backend: "LIBFABRIC" } }))).toMatch(/ --nixl LIBFABRIC$/);
    expect(checks(task({ ...apart, kvTransfer: { connector: "mooncake" } }))).not.toContain("nixl");
    const accepted = { networkTier: "best", rdma: "optional" } as const;
    expect(checks(task({ ...multi, sky: accepted }))).toBe("--driver 580 --rdma expected");
    expect(checks(task({ ...one, sky: { image: "docker:example.org/of/the/user:1" } }))).toBe("");
    expect(checks(task({ ...multi, engine: "mocker" }))).toBe("");
  });

  it("names secrets and holds no value of one", () => {
    const { secrets } = task({ ...multi, huggingFaceToken: "hf_notARealToken" });
    expect(secrets).toEqual({ ...SPANNING, ...ACCESS, HF_TOKEN: null });
    expect(text({ ...multi, huggingFaceToken: "hf_notARealToken" })).not.toContain("notARealToken");
  });

  it("copies a model from a bucket once a node", () => {
    const parsed: Task & { readonly file_mounts?: unknown } = task({ ...multi, model: "s3://weights/qwen" });
    expect(parsed.file_mounts).toEqual({
      "~/.dynamo-sky/runtime": RUNTIME,
      "~/.dynamo-sky/models/qwen-e5fc47f4": { source: "s3://weights/qwen", mode: "COPY" },
    });
    expect(parsed.run).toContain("start.py --models qwen-e5fc47f4 --driver 580 --rdma expected <<");
  });

  it("is small: the programs' files come as files", () => {
    expect(task(multi).run.split("\n").length).toBeLessThan(100);
    const eight: ConfigInput = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] };
    expect(task(eight).run.match(/python3 -m dynamo.sglang/g)).toHaveLength(1);
  });

  it("is a shell script that bash can read", () => {
    for (const input of [multi, { ...multi, engineArgs: ["--chat-template", "'; $(id) `id` %s \""] }]) {
      const { setup, run } = task(input);
      for (const script of [setup, run]) {
        const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      }
    }
  });

  it("hands what a user wrote to the node as it is", () => {
    const hostile = "'; $(touch x) `id` %(ENV_X)s \" EOF";
    const { run } = task({ ...multi, engineArgs: ["--chat-template", hostile] });
    const [nodes] = programsOfPlans([parse(planIn(run), { version: "1.1" })]);
    const program = nodes?.["0"]?.find(({ name }) => name === "aggregated-0");
    expect(program?.command).toContain(hostile);
  });
});

describe("a recipe, which nobody hands generated secrets", { timeout: 90_000 }, () => {
  const SECRET = "c".repeat(64);
  const recipe = (input: ConfigInput): Task => parse(text(input, true));
  const home = mkdtempSync(join(tmpdir(), "recipe-"));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  /** The secrets file written by a node of the recipe. */
  const written = (input: ConfigInput, env: Record<string, string>, rank = 0) => {
    const [nodes] = programsOfPlans([parse(planIn(recipe(input).run), { version: "1.1" })], "Qwen/Qwen3-8B");
    const names = [...new Set((nodes?.[rank] ?? []).flatMap(secretsOfProgram))].toSorted();
    const script = `import json, sys, start
names, home = sys.argv[1].split(), sys.argv[2]
print(json.dumps(start.values_of(names, home, True)))`;
    return spawnSync("python3", ["-B", "-c", script, names.join(" "), home], {
      encoding: "utf8",
      cwd: RUNTIME,
      env: { PATH: process.env["PATH"] ?? "", SKYPILOT_NODE_IPS: "10.0.0.7\n10.0.0.8", ...env },
    });
  };

  it("asks for one secret where there are several nodes, from which each derives the same passwords", () => {
    expect(recipe(multi).secrets).toEqual({ DYNAMO_SKY_CLUSTER_SECRET: null });
    const [head = {}, second = {}] = [0, 1].map((rank): Record<string, string> => {
      const { stdout, stderr } = written(multi, { DYNAMO_SKY_CLUSTER_SECRET: SECRET }, rank);
      expect(stdout, stderr).not.toContain(SECRET);
      return JSON.parse(stdout);
    });
    expect(Object.keys(head).toSorted()).toEqual(Object.keys({ ...ACCESS, ...SPANNING }).toSorted());
    // The second node runs no etcd and no gateway, and does not have their secrets.
    expect(Object.keys(second).toSorted()).toEqual([
      "DYNAMO_SKY_LOCKSTEP_SECRET",
      "DYNAMO_SKY_NODES_AUTHORITY",
      "NATS_AUTH_TOKEN",
    ]);
    expect(head).toMatchObject(second);
    const passwords = Object.keys(SPANNING).map((name) => head[name]);
    expect(new Set(passwords).size).toBe(3);
    for (const value of passwords) expect(value).toMatch(/^[0-9a-f]{64}$/);
  });

  it("refuses one that could be guessed", () => {
    const { status, stderr } = written(multi, { DYNAMO_SKY_CLUSTER_SECRET: "short" });
    expect(status).not.toBe(0);
    expect(stderr).toContain("DYNAMO_SKY_CLUSTER_SECRET is too short: at least 32 characters");
    expect(stderr).not.toContain('"short"');
  });

  it("asks for none on one node, which makes its own up", () => {
    const single: ConfigInput = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] };
    expect(recipe(single).secrets).toBeUndefined();
    const [first, second] = [written(single, {}), written(single, {})].map(
      ({ stdout }): Record<string, string> => JSON.parse(stdout),
    );
    expect(Object.keys(first ?? {}).toSorted()).toEqual(
      Object.keys({ ...ACCESS, ...OF_ONE_NODE }).toSorted(),
    );
    for (const name of Object.keys(OF_ONE_NODE)) expect(second?.[name]).not.toBe(first?.[name]);
  });

  describe("has its first node make a key and a certificate", () => {
    const one: ConfigInput = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] };
    const file = (name: string) => join(home, "access", name);

    it("for its user alone, tells how to read them, and keeps them for the next start", () => {
      const env = { SKYPILOT_CLUSTER_INFO: JSON.stringify({ cluster_name: "mine" }) };
      const { stdout, stderr } = written(one, env);
      const { DYNAMO_SKY_API_KEY: key = "", DYNAMO_SKY_TLS: bundle = "" } = JSON.parse(stdout);
      expect(readFileSync(file("api-key"), "utf8")).toBe(key);
      expect(key).toMatch(/^[0-9a-f]{64}$/);
      for (const name of ["api-key", "tls.pem", "certificate.pem"])
        expect([name, statSync(file(name)).mode & 0o777]).toEqual([name, 0o600]);
      expect(statSync(join(home, "access")).mode & 0o777).toBe(0o700);
      expect(stderr).toContain(`ssh mine cat ${file("api-key")}`);
      const certificate = readFileSync(file("certificate.pem"), "utf8");
      expect(stderr).toContain(fingerprintOf(certificate));
      for (const secret of [key, bundle.split("\n")[1]]) expect(stderr).not.toContain(secret);
      expect(problemOfPair(certificate, bundle.split("-----BEGIN CERTIFICATE")[0])).toBeUndefined();
      for (const name of ["10.0.0.7", "127.0.0.1", "localhost"])
        expect(
          spawnSync("openssl", [
            "verify",
            "-x509_strict",
            ...checking(name),
            "-CAfile",
            file("certificate.pem"),
            file("certificate.pem"),
          ]).status,
        ).toBe(0);
      const again = JSON.parse(written(one, env).stdout);
      expect([again.DYNAMO_SKY_API_KEY, again.DYNAMO_SKY_TLS]).toEqual([key, bundle]);
    });

    it("anew for another address, with the same key", () => {
      const [before, after] = ["10.0.0.7", "10.0.0.9"].map(
        (address): Record<string, string> => JSON.parse(written(one, { SKYPILOT_NODE_IPS: address }).stdout),
      );
      expect(after?.["DYNAMO_SKY_TLS"]).not.toBe(before?.["DYNAMO_SKY_TLS"]);
      expect(after?.["DYNAMO_SKY_API_KEY"]).toBe(before?.["DYNAMO_SKY_API_KEY"]);
    });

    it("but uses those that it was launched with, and says nothing of them", () => {
      const given = { DYNAMO_SKY_API_KEY: "k".repeat(40), DYNAMO_SKY_TLS: "bundle" };
      const { stdout, stderr } = written(one, given);
      expect(JSON.parse(stdout)).toMatchObject(given);
      expect(stderr).toBe("");
    });

    it("not where keys have names, or the certificate is one's own: SkyPilot asks for these", () => {
      const secrets = (access: ConfigInput["access"], more: Partial<ConfigInput> = {}) =>
        recipe({ ...one, access, ...more }).secrets;
      expect(secrets({ keys: ["team-a"] })).toEqual({ DYNAMO_SKY_API_KEY: null });
      const certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
      expect(secrets({ tls: { certificate } }, { tlsKey: true })).toEqual({ DYNAMO_SKY_TLS: null });
    });
  });
});

/** Arguments of `openssl verify` that check a certificate for this name. */
const checking = (name: string) => [isIP(name) === 0 ? "-verify_hostname" : "-verify_ip", name];

describe("the task of up", () => {
  const launched = (input: ConfigInput) => {
    const config = parseConfig(input);
    const [cluster] = plan(config, { discovery: "etcd", events: "nats" }).clusters;
    if (cluster === undefined) throw new Error("no cluster");
    return launchedTask({ cluster, config });
  };
  const idle: ConfigInput = { ...multi, cluster: { nodes: 2, allowIdleGpus: true } };
  const replicas = (count: number): ConfigInput => ({
    ...idle,
    pools: [{ role: "aggregated", tensorParallel: 8, replicas: count }],
  });

  it("has neither plan, secrets nor weights, and checks all GPUs of a node", () => {
    const one = launched({ ...replicas(1), huggingFaceToken: "hf_notARealToken" });
    expect(one.secrets).toBeUndefined();
    expect(one.run).toEqual({ options: ["--keep", "--driver", "580", "--gpus", "8"] });
    expect(one.setup).toContain("--engine sglang");
    expect(one.setup).not.toMatch(/--model|--ranks|Qwen/);
    expect(launched({ ...replicas(1), engine: "mocker" }).run).toEqual({ options: ["--keep"] });
  });

  it("does not change with programs, replicas, the model or the token", () => {
    const changed: ConfigInput[] = [
      replicas(2),
      { ...replicas(1), model: "Qwen/Qwen3-14B" },
      { ...replicas(1), modelRevision: "0".repeat(40) },
      { ...replicas(1), engineArgs: ["--speculative-draft-model-path", "a/draft"] },
      { ...replicas(1), router: { mode: "random" }, frontend: { replicas: 3 } },
      { ...replicas(1), huggingFaceToken: "hf_notARealToken" },
    ];
    for (const input of changed) expect(launched(input)).toEqual(launched(replicas(1)));
    expect(launched({ ...replicas(1), sky: { envs: { A: "1" } } })).not.toEqual(launched(replicas(1)));
  });
});

describe("shell", () => {
  it.each(["plain", "with space", "it's", "$(id)", "a\nb", "", "-n", "%s", "`id`"])("quotes %j", (word) => {
    const { stdout } = spawnSync("sh", ["-c", `printf %s ${quoted(word)}`], { encoding: "utf8" });
    expect(stdout).toBe(word);
  });

  it("refuses a here-document that would end early", () => {
    expect(() => hereDocument("a\nEOF\nb")).toThrow("the text holds a line EOF");
  });
});
