/**
 * The schema of the configuration: used for `Pulumi.<stack>.yaml`, the editor's JSON Schema and the
 * reference. Each setting's description, unit, default and error message are defined here.
 */
import type { z } from "zod";
import { ENGINES, SIMULATED, usualEngine } from "../engines";
import { accessSchema } from "./access";
import { autoscaleSchema } from "./autoscale";
import { filesSchema } from "./files";
import { healthSchema } from "./health";
import { kvTransferSchema } from "./kvTransfer";
import { limitsSchema } from "./limits";
import { metricsSchema } from "./metrics";
import { modelName, SERVED_NAME } from "./model";
import { NO_PARSER } from "./names";
import { REASONING_PARSERS, TOOL_CALL_PARSERS } from "./parsers";
import { plainObject } from "./plain";
import { argument, poolsSchema } from "./pools";
import { routerSchema } from "./router";
import { idleSchema, scheduleSchema } from "./schedule";
import {
  clusterSchema,
  controlPlaneSchema,
  frontendSchema,
  kvOffloadSchema,
  portsSchema,
  timeoutsSchema,
} from "./services";
import { skySchema } from "./sky";
import { TASKS } from "./task";
import {
  ALL_DEFAULTS,
  environment,
  flag,
  list,
  oneOf,
  optional,
  password,
  privateKey,
  required,
  section,
  setting,
  text,
  token,
  whole,
} from "./values";

const TARGETS = ["sky", "local"] as const;
const PLACEMENTS = ["shared", "dedicated"] as const;

/** Everything below the namespace. */
export const configSchema = section({
  target: setting(oneOf("a target", TARGETS), {
    default: "sky",
    about: "Where the cluster runs: on nodes that SkyPilot provisions, or on this machine.",
  }),
  model: required(modelName(), {
    about: "The model: a Hugging Face id, or weights at an absolute path or in a bucket.",
  }),
  modelRevision: optional(
    text({
      noun: "a revision",
      allowed: "a branch, tag or commit of the hub, by git's rules for names",
      // https://git-scm.com/docs/git-check-ref-format
      pattern: /^(?![-/.])(?!.*(\.\.|@\{|\/\/|\/\.|\.lock(\/|$)))[^\s~^:?*[\\\p{Cc}\p{Cs}]+(?<![./])$/u,
    }),
    { absent: "the hub's main branch", about: "Branch, tag or commit of the model on the hub." },
  ),
  servedModelName: optional(
    text({
      noun: "a model name",
      allowed: "text without spaces, commas and control characters",
      pattern: SERVED_NAME,
    }),
    {
      absent: "`model` when that is a hub id, else the last part of its path",
      about: "What clients call the model in their requests.",
    },
  ),
  task: setting(oneOf("a task", TASKS, { generate: "completions" }), {
    default: "chat",
    about:
      "What clients ask the model for. `chat`: chat completions, and completions beside them. `completions`: those alone, for a base model that has no chat template (`--endpoint-types`). `embedding`: vectors at `/v1/embeddings` (`--embedding-worker`). `classify`: classes and scores at `/v1/classify`, of rerankers too (`--classify-worker`; Dynamo has no `/v1/rerank`).",
  }),
  reasoningParser: optional(oneOf("a reasoning parser", [...REASONING_PARSERS, NO_PARSER]), {
    absent: `by the model's family, as docs/models.md lists them; \`none\` for others and for engine ${SIMULATED}`,
    about:
      "How Dynamo finds what the model thinks, which then arrives as `reasoning_content` (`--dyn-reasoning-parser`). `none`: it stays in the answer.",
  }),
  toolCallParser: optional(oneOf("a tool call parser", [...TOOL_CALL_PARSERS, NO_PARSER]), {
    absent: `by the model's family, as docs/models.md lists them; \`none\` for others and for engine ${SIMULATED}`,
    about:
      "How Dynamo finds the tools that the model calls, which then arrive as `tool_calls` (`--dyn-tool-call-parser`). `none`: they stay in the answer.",
  }),
  trustRemoteCode: setting(flag(), {
    default: false,
    about: "Runs Python code that comes with the model (`--trust-remote-code`). Only for models you trust.",
  }),
  contextLength: optional(whole({ min: 1, max: 100_000_000 }), {
    absent: "the model's own",
    unit: "tokens",
    about: "Longest prompt and answer together.",
  }),
  engine: optional(oneOf("an engine", ENGINES), {
    absent: `${usualEngine("sky")}; ${usualEngine("local")} on target local`,
    about: `What computes: a real engine, or Dynamo's \`${SIMULATED}\`, which needs no GPU and answers with made-up text.`,
  }),
  engineArgs: setting(list("arguments", argument()), {
    default: [],
    about: "More arguments for every worker's engine, as its command line takes them.",
  }),
  engineConfig: setting(plainObject("an object with keys of TensorRT-LLM's configuration"), {
    default: {},
    about:
      "For engines with one (TensorRT-LLM): its own configuration, as its YAML files have it. Merged with what the plan sets; each pool's goes over it.",
  }),
  engineEnv: setting(environment(), {
    default: {},
    about: "More environment variables for every worker. Not for secrets.",
  }),
  files: setting(filesSchema(), {
    default: {},
    about:
      "Files and directories of this machine that programs need on their nodes, by a name: paths are relative to the project's directory. Engine arguments, variables and settings that name a file call them `{{FILES}}/name`. On nodes only their user can read them; a change starts anew what reads them.",
  }),
  pools: setting(poolsSchema, {
    default: [{ role: "aggregated" }],
    defaultText:
      "what `dynamo-sky size` chooses for the model on these GPUs, if that is known here (docs/sizing.md); else one aggregated pool",
    about: "The workers: pools of equal replicas, each with one role.",
  }),
  schedule: setting(scheduleSchema, {
    default: [],
    about:
      "When the deployment is larger, smaller, or not there at all; kept by `dynamo-sky operate`. What counts is the entry whose time was last.",
  }),
  idle: setting(idleSchema, {
    ...ALL_DEFAULTS,
    about: "What happens when nobody asks; done by `dynamo-sky operate`.",
  }),
  autoscale: setting(autoscaleSchema, {
    ...ALL_DEFAULTS,
    about: "How many replicas there are of pools with `maxReplicas`: NVIDIA's planner decides by load.",
  }),
  cluster: setting(clusterSchema, { ...ALL_DEFAULTS, about: "The nodes." }),
  placement: setting(oneOf("a placement", PLACEMENTS), {
    default: "shared",
    about:
      "`shared`: everything on one cluster. `dedicated`: control plane and frontend on a CPU cluster of their own, each worker replica on its own cluster.",
  }),
  router: setting(routerSchema, {
    ...ALL_DEFAULTS,
    about: "How requests find their worker: the router inside Dynamo's frontend.",
  }),
  frontend: setting(frontendSchema, { ...ALL_DEFAULTS, about: "The OpenAI-compatible endpoint." }),
  access: setting(accessSchema, { ...ALL_DEFAULTS, about: "Who may use the endpoint, and how much of it." }),
  controlPlane: setting(controlPlaneSchema, {
    ...ALL_DEFAULTS,
    about: "How processes find each other and talk.",
  }),
  ports: setting(portsSchema, { ...ALL_DEFAULTS, about: "Where each range of ports begins, on every node." }),
  kvTransfer: setting(kvTransferSchema, {
    ...ALL_DEFAULTS,
    about: "How KV blocks get from prefill to decode workers.",
  }),
  kvOffload: setting(kvOffloadSchema, {
    ...ALL_DEFAULTS,
    about: "Where KV blocks go that no longer fit the GPU.",
  }),
  metrics: setting(metricsSchema, {
    ...ALL_DEFAULTS,
    about: "Metrics for Prometheus, and when it raises an alert.",
  }),
  health: setting(healthSchema, {
    ...ALL_DEFAULTS,
    about: "How workers and frontends that hang are found, and started again.",
  }),
  timeouts: setting(timeoutsSchema, { ...ALL_DEFAULTS, about: "How long things may take." }),
  limits: setting(limitsSchema, {
    ...ALL_DEFAULTS,
    about: "Guard rails: what the deployment may take and cost; checked in `preview`.",
  }),
  sky: setting(skySchema, { ...ALL_DEFAULTS, about: "What SkyPilot is asked for; for target sky." }),
  registryPassword: optional(password(), {
    absent: "none: public images only",
    about:
      "Secret password or access token for the private registry `sky.registry`: `pulumi config set --secret dynamo-sky:registryPassword`; for a key file of Google's, with user `_json_key`, `… < key.json`. It goes to SkyPilot as a secret, and to nothing that runs on the nodes.",
  }),
  tlsKey: setting(privateKey(), {
    default: false,
    defaultText: "none",
    about:
      "Secret key of `access.tls.certificate`, PEM: `pulumi config set --secret dynamo-sky:tlsKey < key.pem`. It reaches nodes only in their secrets file.",
  }),
  huggingFaceToken: optional(token(), {
    absent: "none: public models only",
    about:
      "Secret token for gated or private models: `pulumi config set --secret dynamo-sky:huggingFaceToken`. It reaches nodes only in their secrets file.",
  }),
});

/** Configuration as written by the user. */
export type ConfigInput = z.input<typeof configSchema>;
/** With defaults, except those that depend on other settings. */
export type ParsedConfig = z.output<typeof configSchema>;

/** The top-level keys, in the order of the reference. */
export const configKeys: readonly string[] = Object.keys(configSchema.shape);
