/** Secrets where they would be readable: in the state, SkyPilot's task and the recipe. */
import { describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { problemsOf, SHAPES } from "./planShapes";

const VALUE = "s3cr3t-Value";
const told = (input: Partial<ConfigInput>): string[] => problemsOf({ ...SHAPES.single, ...input });
const pools = (more: object): ConfigInput["pools"] => [{ role: "aggregated", replicas: 8, ...more }];

describe("a secret in plain text", () => {
  it.each<[string, Partial<ConfigInput>, string]>([
    [
      "sky.envs.HTTPS_PROXY",
      { sky: { envs: { HTTPS_PROXY: `http://me:${VALUE}@proxy:3128` } } },
      "let a proxy",
    ],
    ["sky.envs.https_proxy", { sky: { envs: { https_proxy: `me:${VALUE}@proxy:3128` } } }, "let a proxy"],
    ["sky.envs.ALL_PROXY", { sky: { envs: { ALL_PROXY: `socks5://me:1/2#${VALUE}@proxy` } } }, "let a proxy"],
    ["engineEnv.HF_ENDPOINT", { engineEnv: { HF_ENDPOINT: `https://x:${VALUE}@mirror/hf` } }, "let a proxy"],
    ["engineEnv.REDIS_URL", { engineEnv: { REDIS_URL: `redis://:${VALUE}@cache:6379` } }, "{{FILES}}/NAME"],
    [
      "sky.config.kubernetes.pod_config.spec.containers.0.env.0.value",
      {
        sky: {
          infra: "k8s",
          config: {
            kubernetes: {
              pod_config: { spec: { containers: [{ env: [{ name: "P", value: `http://a:${VALUE}@b` }] }] } },
            },
          },
        },
      },
      "let a proxy",
    ],
    ["engineArgs.0", { engineArgs: ["--api-key", VALUE] }, "access.keys"],
    [
      "sky.config.docker.run_options",
      { sky: { infra: "aws", config: { docker: { run_options: ["--ipc=host", `-e HF_TOKEN=${VALUE}`] } } } },
      "huggingFaceToken",
    ],
    [
      "sky.config.docker.run_options",
      { sky: { infra: "aws", config: { docker: { run_options: `--env=WANDB_API_KEY=${VALUE}` } } } },
      "dynamo-sky:files",
    ],
    [
      "sky.config.kubernetes.pod_config.spec.containers.0.env.0",
      {
        sky: {
          infra: "k8s",
          config: {
            kubernetes: {
              pod_config: { spec: { containers: [{ env: [{ name: "HF_TOKEN", value: VALUE }] }] } },
            },
          },
        },
      },
      "huggingFaceToken",
    ],
    ["engineArgs.0", { engineArgs: [`--admin-api-key=${VALUE}`] }, "access.keys"],
    [
      "pools.0.engineArgs.0",
      { pools: pools({ engineArgs: ["--ssl-keyfile-password", VALUE] }) },
      "dynamo-sky:files",
    ],
    ["engineArgs.0", { engine: "vllm", engineArgs: ["--hf-token", VALUE] }, "huggingFaceToken"],
    ["engineArgs.0", { engine: "vllm", engineArgs: [`--hf_token=${VALUE}`] }, "huggingFaceToken"],
    ["engineEnv.VLLM_API_KEY", { engineEnv: { VLLM_API_KEY: VALUE } }, "access.keys"],
    [
      "sky.envs.AWS_SECRET_ACCESS_KEY",
      { sky: { envs: { AWS_SECRET_ACCESS_KEY: VALUE } } },
      "dynamo-sky:files",
    ],
    ["frontend.env.WANDB_API_KEY", { frontend: { env: { WANDB_API_KEY: VALUE } } }, "dynamo-sky:files"],
    [
      "pools.0.engineEnv.S3_PASSWORD",
      { pools: pools({ engineEnv: { S3_PASSWORD: VALUE } }) },
      "dynamo-sky:files",
    ],
    ["engineEnv.GITHUB_TOKEN", { engineEnv: { GITHUB_TOKEN: VALUE } }, "dynamo-sky:files"],
    ["engineEnv.HF_TOKEN", { engineEnv: { HF_TOKEN: VALUE } }, "huggingFaceToken"],
  ])("is refused with what to use instead: %s", (place, input, instead) => {
    const problems = told(input);
    expect(problems).toEqual([expect.stringContaining(`${place}: `)]);
    expect(problems.join()).toContain(instead);
    expect(problems.join()).not.toContain(VALUE);
  });

  it.each<Partial<ConfigInput>>([
    { sky: { envs: { HTTPS_PROXY: "http://proxy.example.org:3128", AWS_ACCESS_KEY_ID: "AKIA" } } },
    { engineEnv: { AWS_SHARED_CREDENTIALS_FILE: "{{FILES}}/aws" }, files: { aws: "package.json" } },
    { engineEnv: { GOOGLE_APPLICATION_CREDENTIALS: "/etc/google.json", SSL_KEY_PASSWORD: "" } },
    { engineEnv: { MY_TOKEN: "/run/secrets/token", SGLANG_MORI_NUM_MAX_DISPATCH_TOKENS_PER_RANK: "4" } },
    { sky: { envs: { HTTP_PROXY: "proxy:3128", NO_PROXY: "a:1,b@c" } } },
    { sky: { envs: { https_proxy: "http://alice@proxy:3128" } } },
    { sky: { infra: "aws", config: { docker: { run_options: ["--ipc=host", "-e", "NCCL_DEBUG=INFO"] } } } },
    {
      sky: {
        infra: "k8s",
        config: {
          kubernetes: {
            pod_config: {
              spec: {
                containers: [{ env: [{ name: "HF_TOKEN", valueFrom: { secretKeyRef: { name: "hf" } } }] }],
              },
            },
          },
        },
      },
    },
    { engineEnv: { NPM_CONFIG_REGISTRY: "http://npm:4873/@scope", A: "http://[::1]:80/@x" } },
    { engineArgs: ["--kt-max-deferred-experts-per-token", "2"] },
    { model: "s3://bucket/llama", servedModelName: "https://host:8000/llama@v2" },
  ])("is none where no secret stands: %j", (input) => {
    expect(told(input).filter((problem) => problem.includes("plain text"))).toEqual([]);
  });
});
