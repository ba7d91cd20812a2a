/**
 * Files rendered from a stack's plan: its picture, and, if it is one SkyPilot cluster, a plain recipe for
 * `sky launch` without Pulumi.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { requestArguments } from "../components/topology";
import { modelSource } from "../config/model";
import { NO_PARSER } from "../config/names";
import { packageRoot } from "../lib/root";
import { runtimeDirectory } from "../lib/runtimeFiles";
import { counted } from "../lib/words";
import { cautionsOf } from "../plan/cautions";
import { drawPicture } from "../plan/drawing/picture";
import { API_KEYS, TLS_BUNDLE } from "../plan/programs/gateway";
import { ENVIRONMENT } from "../sky/setup";
import { madeOnNode, recipeText, taskSecretNames } from "../sky/task";
import { CLUSTER_SECRET } from "../sky/taskSecrets";
import { type PlannedStack, planStack } from "./plannedStack";
import { UsageProblem } from "./pulumi/problem";
import { readProject, stacksWithFiles } from "./pulumi/project";

/** The two demo examples keep their well-known names. */
const fileNames: Readonly<Record<string, string>> = {
  single: "nvidia-dynamo",
  multi: "nvidia-dynamo-multinode",
};

/** Path of a stack's recipe, relative to the repository. */
export function recipePath(stack: string): string {
  const known = fileNames[stack];
  return known === undefined ? `examples/recipes/${stack}.sky.yaml` : `sky/${known}.sky.yaml`;
}

/** Stacks with a committed recipe: those with one SkyPilot cluster. */
export function renderedStacks(directory: string): string[] {
  return stacksWithFiles(readProject(directory)).filter((stack) => isOneRecipe(planStack(stack, directory)));
}

function isOneRecipe({ config, plan }: PlannedStack): boolean {
  return config.target === "sky" && plan.clusters.length === 1;
}

/** Cluster name in the recipes' commands. */
const CLUSTER = "dynamo-serving";

/** Secrets required at launch, and how to get them. */
function secretsToBring(names: readonly string[]): string[] {
  const random = "openssl rand -hex 32";
  const known = [
    { secret: API_KEYS, from: random, about: "the keys that requests must carry: name:key,name:key" },
    {
      secret: TLS_BUNDLE,
      from: "cat key.pem fullchain.pem | base64 -w0",
      about: "your certificate and its key",
    },
    {
      secret: CLUSTER_SECRET,
      from: random,
      about: "passwords and certificates between nodes are derived from it",
    },
  ];
  return known
    .filter(({ secret }) => names.includes(secret))
    .map(({ secret, from, about }) => `export ${secret}=$(${from})     # ${about}`);
}

/** Local port of the recipes' tunnel. */
const LOCAL_PORT = 8000;

/** Directory of generated secrets on the first node, relative to the home directory. */
const ACCESS = `${ENVIRONMENT}/access`;

/** A request through the tunnel, as a client sends it. `made`: secrets generated on the node. */
function howToAsk({ config, plan }: PlannedStack, made: readonly string[]): string[] {
  const { gateway, tls } = config.access;
  const address = `${tls.mode === "off" ? "http" : "https"}://127.0.0.1:${LOCAL_PORT}`;
  const certificate = made.includes(TLS_BUNDLE);
  // A certificate of the user's own is not for 127.0.0.1; the tunnel's end is known by SSH.
  const trust = certificate ? " --cacert endpoint.pem" : tls.mode === "own" ? " -k" : "";
  const key = made.includes(API_KEYS) ? `$(ssh ${CLUSTER} cat ${ACCESS}/api-key)` : "KEY";
  return [
    `ssh -N -L ${LOCAL_PORT}:127.0.0.1:${plan.endpoint.port} ${CLUSTER} &     # a tunnel: the endpoint is ${address}/v1`,
    ...(certificate
      ? [`ssh ${CLUSTER} cat ${ACCESS}/certificate.pem > endpoint.pem     # what clients trust`]
      : []),
    ...(gateway
      ? [`echo "Authorization: Bearer ${key}" | curl -s${trust} -H @- \\`]
      : [`curl -s${trust} \\`]),
    `  ${requestArguments(address, plan)}`,
  ];
}

/** Notes on the gateway's secrets. */
function aboutAccess({ config }: PlannedStack, made: readonly string[]): string {
  if (!config.access.gateway || made.length === 0) return "";
  const what = made.includes(TLS_BUNDLE) ? "The key and the certificate are" : "The key is";
  return ` ${what} made on the first node; a key of your own: --secret ${API_KEYS}.`;
}

/** How to launch another model, if the task's environment sets it. */
function aboutModel({ config }: PlannedStack): string[] {
  if (modelSource(config.model) !== "hub") return [];
  const parsers = [config.reasoningParser, config.toolCallParser].filter((name) => name !== NO_PARSER);
  const fit = parsers.length > 0 ? ` and whose output the parsers ${parsers.join(" and ")} read` : "";
  return [`Another model that fits these GPUs${fit}: --env MODEL=NAME, also in the request.`];
}

/** How to read the plan. */
function aboutPlan({ plan }: PlannedStack): string {
  const ranks = plan.clusters.flatMap(({ nodes }) => nodes.flatMap(({ programs }) => programs));
  const isCounted = ranks.some(({ rank, ports }) => rank > 0 && ports["kvEvents"] !== undefined);
  const counted = isCounted ? " The engine itself adds a rank's number to kvEvents." : "";
  return `The plan below (fields: runtime/plan.py): \`ports\` are those that a program listens on.${counted}`;
}

function heading(stack: string, planned: PlannedStack): string {
  const { config, plan } = planned;
  const nodes = plan.clusters[0]?.nodes ?? [];
  const inputs = plan.clusters.map((cluster) => ({ cluster, config, standalone: true }));
  const secrets = inputs.flatMap(taskSecretNames);
  const made = inputs.flatMap(madeOnNode);
  const commands = [
    ...secretsToBring(secrets),
    `sky launch -c ${CLUSTER}${secrets.map((secret) => ` --secret ${secret}`).join("")} ${recipePath(stack)}     # from the root of a clone`,
    ...howToAsk(planned, made),
    `sky down ${CLUSTER}`,
  ];
  const opened = config.sky.openEndpoint
    ? "The endpoint's port is open to the internet, and needs the key."
    : "No port is open to the internet.";
  const notes = [
    ...cautionsOf(config, plan),
    `${opened}${aboutAccess(planned, made)}`,
    ...aboutModel(planned),
    aboutPlan(planned),
  ];
  return [
    `${plan.model} on NVIDIA Dynamo, engine ${plan.engine}, router mode ${plan.routerMode}, ${counted(nodes.length, "node")}. Made from ${planned.file} by \`dynamo-sky recipe\`.`,
    "",
    ...commands.map((line) => `  ${line}`),
    "",
    ...notes,
  ].join("\n");
}

/**
 * The recipe of a stack.
 * @throws UsageProblem if the stack is not one SkyPilot cluster.
 */
export function renderStack(stack: string, directory: string): string {
  return recipeOf(stack, planStack(stack, directory), directory);
}

function recipeOf(stack: string, planned: PlannedStack, directory: string): string {
  const { config, plan } = planned;
  const [cluster] = plan.clusters;
  if (config.target !== "sky")
    throw new UsageProblem(`Stack ${stack} runs on this machine (dynamo-sky:target: local): no recipe.`);
  if (cluster === undefined || plan.clusters.length > 1)
    throw new UsageProblem(
      `Stack ${stack} has ${plan.clusters.length} SkyPilot clusters, which need each other's addresses: use \`up\`.`,
    );
  const input = {
    cluster,
    config,
    endpointPort: plan.endpoint.port,
    standalone: true,
  };
  // Recipes of this repository are launched from its root.
  const runtime = directory === packageRoot() ? "./runtime" : runtimeDirectory();
  return recipeText(input, runtime, heading(stack, planned));
}

/** All files rendered from a stack: text by path, relative to the repository. */
export function renderedFiles(stack: string, directory: string): ReadonlyMap<string, string> {
  const planned = planStack(stack, directory);
  return new Map([
    [`docs/pictures/${stack}.svg`, drawPicture(planned.plan)],
    ...(isOneRecipe(planned) ? ([[recipePath(stack), recipeOf(stack, planned, directory)]] as const) : []),
  ]);
}

/** Files that are missing, or differ from the rendered text. */
export function outOfDate(files: ReadonlyMap<string, string>, directory: string): string[] {
  return [...files].flatMap(([name, text]) => {
    const file = join(directory, name);
    return existsSync(file) && readFileSync(file, "utf8") === text ? [] : [name];
  });
}
