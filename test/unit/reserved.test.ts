/** Settings that would bypass the gateway or leave the cluster, and the registry's login. */
import { describe, expect, test } from "vitest";
import { DynamoCluster } from "../../components";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { skyTask } from "../../sky/task";
import { python } from "../runtime";
import { runOnMocks } from "./componentsMocks";
import { SERVICES } from "./planShapes";

/** The error for a configuration; undefined if it is accepted. */
function refusal(input: Partial<ConfigInput>): string | undefined {
  try {
    plan(parseConfig({ model: "Qwen/Qwen3-8B", cluster: { gpusPerNode: 1 }, ...input }), SERVICES);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const VARIABLES = [
  ...[
    "DYN_HTTP_HOST",
    "DYN_HTTP_PORT",
    "DYN_TLS_KEY_PATH",
    "DYN_KSERVE_GRPC_SERVER",
    "DYN_GRPC_METRICS_PORT",
  ],
  ...[
    "DYN_SYSTEM_HOST",
    "DYN_SYSTEM_PORT",
    "DYN_TCP_RPC_HOST",
    "DYN_TCP_RESPONSE_STREAM_HOST",
    "DYN_NAMESPACE",
  ],
  ...["DYN_DISCOVERY_BACKEND", "DYN_EVENT_PLANE", "DYN_REQUEST_PLANE", "DYN_FILE_KV", "DYN_ZMQ_BROKER_URL"],
  ...["ETCD_LISTEN_CLIENT_URLS", "ETCD_ENDPOINTS", "NATS_SERVER", "NODE_IP", "HEAD_IP", "RANK_IP_1"],
  ...["DYNAMO_SKY_API_KEY", "DYNAMO_SKY_SOCKET", "SKYPILOT_NODE_IPS", "SKYPILOT_DOCKER_PASSWORD"],
];
const PLACES: readonly (readonly [string, (env: Record<string, string>) => Partial<ConfigInput>])[] = [
  ["engineEnv", (engineEnv) => ({ engineEnv })],
  ["pools[0].engineEnv", (engineEnv) => ({ pools: [{ role: "aggregated", engineEnv }] })],
  ["frontend.env", (env) => ({ frontend: { env } })],
  ["sky.envs", (envs) => ({ sky: { envs } })],
];

describe("where things listen, and who finds whom, is set by the plan", () => {
  test.each(PLACES)("against variables in %s", (place, put) => {
    for (const name of VARIABLES) {
      expect(refusal(put({ [name]: "0.0.0.0" }))).toMatch(
        `dynamo-sky:${place}.${name}: ${name} is set by the plan: another value could contradict it, or lead around the gateway or out of the cluster.`,
      );
    }
    expect(refusal(put({ NCCL_DEBUG: "INFO", DYN_LOG: "debug", HF_HUB_OFFLINE: "1" }))).toBeUndefined();
  });

  const flags = [
    ...[
      "--http-host",
      "--http-host=0.0.0.0",
      "--http-h",
      "--http-po",
      "--http_host",
      "--kserve-grpc-server",
      "--kserve",
    ],
    ...[
      "--grpc-metrics-port",
      "--tls-cert-path",
      "--interactive",
      "-i",
      "--namespace",
      "--discovery-backend",
      "--event-pl",
    ],
  ];
  test.each(flags)("against %s of a frontend, with a gateway and without", (flag) => {
    for (const gateway of [true, false])
      expect(refusal({ access: { gateway }, frontend: { args: [flag] } })).toMatch(
        /^dynamo-sky:frontend\.args\[0\]: -\S+ is set by the plan/,
      );
  });

  test.each(["--host", "--host=0.0.0.0", "--hos", "--served-model", "--served_model_name", "--kv-events"])(
    "against %s of an engine",
    (flag) => {
      expect(refusal({ engineArgs: [flag] })).toMatch(
        /^dynamo-sky:engineArgs\[0\]: --\S+ is set by the plan/,
      );
    },
  );

  test.each(["sglang", "vllm", "trtllm"] as const)(
    "against another revision for the workers of %s",
    (engine) => {
      expect(refusal({ engine, engineArgs: ["--revision=v1"] })).toBe(
        "dynamo-sky:engineArgs[0]: --revision is set by the plan. Remove it; use modelRevision instead.",
      );
    },
  );

  test.each(["--mem-fraction-static 0.9", "-tp 8"])("against a flag and its value in one: %s", (argument) => {
    for (const input of [{ engineArgs: [argument] }, { frontend: { args: [argument] } }])
      expect(refusal(input)).toMatch(/Allowed: text on one line, a flag and its value as two arguments/);
  });

  test("and other arguments are taken", () => {
    const args = ["--tokenizer", "fastokens", "--metrics-prefix", "x", "--dyn-debug-perf"];
    expect(refusal({ frontend: { args } })).toBeUndefined();
    expect(refusal({ engineArgs: ["--max-running-requests", "64", "--trust-remote-code"] })).toBeUndefined();
  });
});

describe("SkyPilot's own configuration", () => {
  test.each([
    [
      "docker.run_options[1]",
      { docker: { run_options: ["--shm-size=16g", "-p 2379:2379"] } },
      "publishes ports",
    ],
    ["docker.run_options[0]", { docker: { run_options: ["--publish=4222"] } }, "publishes ports"],
    ["docker.run_options[0]", { docker: { run_options: ["-e A=$(touch y)"] } }, "has \\$ or `"],
    [
      "slurm.sbatch_options.comment",
      { slurm: { sbatch_options: { comment: "a\n#SBATCH --wrap=id" } } },
      "has a line end",
    ],
    [
      "kubernetes.pod_config.spec.containers[0].ports[0].hostPort",
      { kubernetes: { pod_config: { spec: { containers: [{ ports: [{ hostPort: 2379 }] }] } } } },
      "opens a port of the node",
    ],
  ])("cannot get around the gateway, or into a shell: %s", (place, config, why) => {
    expect(refusal({ sky: { config } })).toMatch(new RegExp(`^dynamo-sky:sky\\.config\\..*: .*${why}`));
    expect(refusal({ sky: { config } })).toContain(`dynamo-sky:sky.config.${place}: `);
  });

  test("is taken as it is otherwise", () => {
    const config = {
      docker: { run_options: ["--shm-size=16g", "-v /data:/data", "--ulimit memlock=-1"] },
      kubernetes: { pod_config: { spec: { hostNetwork: true } } },
    };
    expect(refusal({ sky: { config } })).toBeUndefined();
  });
});

describe("a private registry", () => {
  const registry = { server: "nvcr.io", username: "$oauthtoken" };
  const PRIVATE = {
    model: "Qwen/Qwen3-8B",
    pools: [{ role: "aggregated", replicas: 8 }],
    sky: { infra: "aws", registry },
  } as const;
  const NAMES = ["SKYPILOT_DOCKER_PASSWORD", "SKYPILOT_DOCKER_SERVER", "SKYPILOT_DOCKER_USERNAME"];

  test("is logged in at by SkyPilot, from secrets alone", async () => {
    const config = parseConfig({ ...PRIVATE, registryPassword: true });
    const [cluster] = plan(config, SERVICES).clusters;
    if (cluster === undefined) throw new Error("no cluster");
    expect(skyTask({ cluster, config }).secrets).toEqual(expect.arrayContaining(NAMES));
    const taken = python("import json, start; print(json.dumps(sorted(start.REGISTRY_LOGIN)))", null);
    expect(JSON.parse(taken)).toEqual(NAMES);

    const { named } = await runOnMocks(
      "update",
      () => new DynamoCluster("dynamo", { ...PRIVATE, registryPassword: "nvapi-x" }),
    );
    const launch = named("dynamo-main-launch").inputs;
    const secret = launch["stdin"] as { readonly secret: string };
    expect(JSON.parse(secret.secret).secrets).toMatchObject({
      SKYPILOT_DOCKER_PASSWORD: "nvapi-x",
      SKYPILOT_DOCKER_SERVER: "nvcr.io",
      SKYPILOT_DOCKER_USERNAME: "$oauthtoken",
    });
    expect(JSON.stringify({ ...launch, stdin: "" })).not.toContain("nvapi-x");
  });

  test("needs its password, and an image that is pulled", () => {
    expect(refusal({ sky: { registry } })).toBe(
      "dynamo-sky:sky.registry: needs a password. Run: pulumi config set --secret dynamo-sky:registryPassword (it asks for the value).",
    );
    expect(refusal({ registryPassword: "x" })).toMatch(
      "dynamo-sky:registryPassword: has no effect without sky.registry",
    );
    expect(refusal({ registryPassword: "x", sky: { registry, infra: "slurm/lab" } })).toMatch(
      "has no effect on Slurm, where SkyPilot logs in nowhere: Pyxis pulls images with the credentials of enroot",
    );
    expect(refusal({ registryPassword: "x", sky: { registry, infra: "oci" } })).toMatch(
      "SkyPilot cannot do on oci. Use an image that needs no login, and remove sky.registry",
    );
  });

  test.each([
    [
      "another one's image",
      { image: "docker:ghcr.io/team/own:1" },
      '"nvcr.io" is not where sky.image is, ghcr.io/team/own:1: SkyPilot would pull nvcr.io/ghcr.io/team/own:1. Write "ghcr.io", or an image that begins with nvcr.io/.',
    ],
    [
      "NVIDIA's image with another login",
      { registry: { ...registry, server: "registry.example.com:5000" } },
      `"registry.example.com:5000" is not where NVIDIA's image of the engine is, nvcr.io/nvidia/ai-dynamo/`,
    ],
    [
      "another part of a registry",
      {
        registry: { ...registry, server: "us-docker.pkg.dev/one" },
        image: "docker:us-docker.pkg.dev/another/own:1",
      },
      '"us-docker.pkg.dev/one" is not where sky.image is',
    ],
    [
      "an image of machines",
      { infra: "aws/us-east-1", image: "ami-0123456789" },
      '"nvcr.io" has no effect: "ami-0123456789" is an image of the cloud\'s machines.',
    ],
    ["no image at all", { infra: "runpod" }, "nodes run SkyPilot's own image. Set sky.image"],
  ])("is not for %s", (_title, sky, message) => {
    const problem = refusal({ registryPassword: "x", sky: { infra: "aws", registry, ...sky } });
    expect(problem).toContain(`dynamo-sky:sky.registry.server: `);
    expect(problem).toContain(message);
    expect(problem?.split("\n")).toHaveLength(1);
  });

  const KEY = JSON.stringify({ type: "service_account", private_key: "-----BEGIN\nx" }, null, 2);
  test.each([
    ["its own image", "nvapi-x", { image: "docker:nvcr.io/team/own:1" }],
    ["an image without its host, which SkyPilot adds", "nvapi-x", { image: "docker:team/own:1" }],
    [
      "a key file of Google's",
      `${KEY}\n`,
      {
        registry: { server: "us-docker.pkg.dev", username: "_json_key" },
        image: "docker:us-docker.pkg.dev/team/repo/own:1",
      },
    ],
    ["a password with spaces", "correct horse", {}],
  ])("is for %s", (_title, registryPassword, sky) => {
    expect(() =>
      parseConfig({ model: "a/b", registryPassword, sky: { infra: "aws", registry, ...sky } }),
    ).not.toThrow();
  });

  test.each([" x", "x ", "two\nlines", "", `\n${KEY}`])(
    "has no password %j, which is not shown",
    (registryPassword) => {
      expect(refusal({ registryPassword, sky: { infra: "aws", registry } })).toContain(
        "registryPassword: not a password (its value is not shown). Allowed: text on one line without spaces around it, or a whole key file in JSON.",
      );
    },
  );
});
