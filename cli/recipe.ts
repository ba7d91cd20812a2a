/**
 * Files rendered from a stack's plan: its picture, and, if it is one SkyPilot cluster, a plain recipe for
 * `sky launch` without Pulumi.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { modelSource } from "../config/model";
import { NO_PARSER } from "../config/names";
import { packageRoot } from "../lib/root";
import { runtimeDirectory } from "../lib/runtimeFiles";
import { counted } from "../lib/words";
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
    { secret: CLUSTER_SECRET, from: random, about: "from it come passwords and certificates between nodes" },
  ];
  return known
    .filter(({ secret }) => names.includes(secret))
    .map(({ secret, from, about }) => `  export ${secret}=$(${from})     # ${about}\n`);
}

/** How a client authenticates with the secrets generated on the node. */
function howToAsk(made: readonly string[], address: string): string {
  const directory = `${ENVIRONMENT}/access`;
  const certificate = made.includes(TLS_BUNDLE);
  const pem = certificate
    ? `  ssh ${CLUSTER} cat ${directory}/certificate.pem > endpoint.pem     # what clients trust\n`
    : "";
  if (!made.includes(API_KEYS)) return pem;
  const trust = certificate ? " --cacert endpoint.pem" : "";
  return `${pem}  echo "Authorization: Bearer $(ssh ${CLUSTER} cat ${directory}/api-key)" | curl${trust} -H @- ${address}/models
`;
}

/** Notes on the gateway's secrets; none if the endpoint requires no key. */
function aboutAccess({ config }: PlannedStack, made: readonly string[]): string {
  if (!config.access.gateway)
    return "The endpoint asks nobody in the cluster's network for a key (dynamo-sky:access.gateway: false).\n";
  if (made.length === 0) return "";
  const what = made.includes(TLS_BUNDLE) ? "The key and the certificate are" : "The key is";
  return `${what} made on the first node, kept there for its user alone, and the log says where. A key of your own: --secret ${API_KEYS}.\n`;
}

/** How to launch another model, if the task's environment sets it. */
function aboutModel({ config }: PlannedStack): string {
  const launch = "Launch it from the root of a clone: the nodes get the files of ./runtime.\n";
  if (modelSource(config.model) !== "hub") return launch;
  const parsers = [config.reasoningParser, config.toolCallParser].filter((name) => name !== NO_PARSER);
  const fit = parsers.length > 0 ? ` and that ${parsers.join(" and ")} parse` : "";
  return `Another model that these GPUs hold${fit}: --env MODEL=NAME. ${launch}`;
}

function heading(stack: string, planned: PlannedStack): string {
  const { config, plan } = planned;
  const nodes = plan.clusters[0]?.nodes ?? [];
  const inputs = plan.clusters.map((cluster) => ({ cluster, config, standalone: true }));
  const secrets = inputs.flatMap(taskSecretNames);
  const made = inputs.flatMap(madeOnNode);
  const scheme = config.access.tls.mode === "off" ? "http" : "https";
  const address = `${scheme}://127.0.0.1:${LOCAL_PORT}/v1`;
  const opened = config.sky.openEndpoint
    ? "The endpoint's port is open to the internet, and asks for the key.\n"
    : "No port is open to the internet; the tunnel above goes through SkyPilot's SSH.\n";
  return `${plan.model} on NVIDIA Dynamo, engine ${plan.engine}, router mode ${plan.routerMode}, ${counted(nodes.length, "node")}.

${secretsToBring(secrets).join("")}  sky launch -c ${CLUSTER}${secrets.map((secret) => ` --secret ${secret}`).join("")} ${recipePath(stack)}
  ssh -N -L ${LOCAL_PORT}:127.0.0.1:${plan.endpoint.port} ${CLUSTER} &     # the endpoint, at ${address}
${howToAsk(made, address)}  sky down ${CLUSTER}

${opened}${aboutAccess(planned, made)}${aboutModel(planned)}Written by \`npm run recipes\` from ${planned.file}: edit that, not this.`;
}

/** Local port of the recipes' tunnel. */
const LOCAL_PORT = 8000;

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
