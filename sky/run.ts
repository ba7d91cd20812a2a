/** The task's `run`: writes the node's files as `plan/node/render.ts` has them, and becomes the node's supervisor. Pure. */
import { basename } from "node:path";
import { hereDocument, quoted } from "../lib/shell";
import { type NodeFiles, programLog, renderNode } from "../plan/node/render";
import { CONTROL_PLANE_SECRETS } from "../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../plan/programs/gateway";
import { PROMETHEUS_DATA, REGISTRY_FLAG } from "../plan/programs/metrics";
import { type ClusterPlan, type NodePlan, type ProgramPlan, secretsOfProgram } from "../plan/types";
import { unitsOf } from "../plan/units";
import { ENVIRONMENT, SECRETS_FILE } from "./setup";

/** What `run` is made of. */
export interface RunInput {
  readonly cluster: ClusterPlan;
  /** Contents of the scripts that every node needs, by name: those of `node/`. */
  readonly scripts: Readonly<Record<string, string>>;
  /** Whether the model comes from a bucket, which SkyPilot puts beside the node's directory. */
  readonly hasModelFiles?: boolean;
  /** Secrets in the task's environment that no program is to have. */
  readonly unused?: readonly string[];
  /** Address of the control plane where that is on another cluster. */
  readonly controlIp?: string | undefined;
  /** Whether it is launched without this program, which would bring generated secrets. Default: false. */
  readonly standalone?: boolean;
  /** Secrets that somebody has to bring where it is, since the node must not make up its own. Default: none. */
  readonly brought?: readonly string[];
}

const CLEAR = 'rm -rf "$node_dir"';
/** What Prometheus has seen is kept: it is what one looks at when a deployment was changed. */
const CLEAR_BUT_METRICS = `if [ -d "$node_dir" ]; then find "$node_dir" -mindepth 1 -maxdepth 1 ! -name ${basename(PROMETHEUS_DATA)} -exec rm -rf {} +; fi`;

const preamble = (cluster: ClusterPlan) => `set -euo pipefail
umask 077
home="$HOME/${ENVIRONMENT}"
export PATH="$home/bin:$HOME/.local/bin:/usr/local/bin/etcd:$PATH"
# Nodes may share a home directory, so each has a directory with its rank. All start anew together, so nothing old is kept.
node_dir="$home/node$SKYPILOT_NODE_RANK"
${hasPrometheus(cluster) ? CLEAR_BUT_METRICS : CLEAR}
mkdir -p "$node_dir/logs"
cd "$node_dir"
mapfile -t ips <<< "$SKYPILOT_NODE_IPS"
write() { mkdir -p "$(dirname "$1")"; cat > "$1"; }`;

function hasPrometheus({ nodes }: ClusterPlan): boolean {
  return nodes.some(({ programs }) => programs.some(({ role }) => role === "prometheus"));
}

function write(files: NodeFiles): string {
  return Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, text]) => `write ${path} ${hereDocument(text)}`)
    .join("\n");
}

/** Programs of a node, by the unit that they belong to. */
function programsByUnit(cluster: ClusterPlan, node: NodePlan): Record<string, readonly ProgramPlan[]> {
  const mine = unitsOf(cluster).flatMap(({ name, nodes }) =>
    nodes.filter(({ rank }) => rank === node.rank).map(({ programs }) => [name, programs] as const),
  );
  return Object.fromEntries(mine);
}

/** The files that differ from node to node. */
function nodeCase(cluster: ClusterPlan): string {
  const cases = cluster.nodes.map((node) => {
    const { "supervisord.conf": _, ...files } = renderNode(programsByUnit(cluster, node));
    const names = secretNames([node]).map(quoted);
    return `${node.rank})\nsecrets=(${names.join(" ")})\n${write(files)}\n;;`;
  });
  return `case "$SKYPILOT_NODE_RANK" in\n${cases.join("\n")}\nesac`;
}

/**
 * The one secret that a recipe over several nodes is launched with, where nobody hands it generated ones: each node derives the
 * passwords of etcd and NATS from it. On one node they are made up there, anew with every start.
 */
export const CLUSTER_SECRET = "DYNAMO_SKY_CLUSTER_SECRET";

const SHORTEST_CLUSTER_SECRET = 32;

/** What a recipe makes of {@link CLUSTER_SECRET}: a password for each name, none of which tells another. */
const DERIVE = `import hashlib, hmac, secrets
shared = os.environ.get("${CLUSTER_SECRET}") or secrets.token_hex(32)
if len(shared) < ${SHORTEST_CLUSTER_SECRET}:
    sys.exit("${CLUSTER_SECRET} is too short: at least ${SHORTEST_CLUSTER_SECRET} characters, such as 'openssl rand -hex 32' writes")
for name in ${JSON.stringify(CONTROL_PLANE_SECRETS)}:
    given.setdefault(name, hmac.new(shared.encode(), name.encode(), hashlib.sha256).hexdigest())
`;

/** Key and certificate of a recipe's gateway, where they did not come with the launch: `runtime/own_access.py`. */
const OWN_ACCESS = `sys.dont_write_bytecode = True
import own_access
given.update(own_access.make(names, {*given, *os.environ}, os.path.dirname(path)))
`;

/**
 * The secrets of a node's own programs go into a file that only this user reads: from the one that came with the launch where there is
 * one, else from the task's environment, and out of that.
 */
function secrets(input: RunInput): string | undefined {
  const { cluster, standalone = false } = input;
  const names = secretNames(cluster.nodes);
  if (names.length === 0) return undefined;
  const derives = standalone && names.some(isGenerated);
  const list = names.map(quoted).join(" ");
  return `node-python - "$HOME/${SECRETS_FILE}" "\${secrets[@]}" > secrets.json <<'EOF'
import json, os, sys
path, names = sys.argv[1], sys.argv[2:]
given = json.load(open(path)) if os.path.exists(path) else {}
${derives ? DERIVE : ""}${ownAccess(input).length > 0 ? OWN_ACCESS : ""}print(json.dumps({name: given[name] if name in given else os.environ[name] for name in names}))
EOF
unset ${derives ? `${list} ${CLUSTER_SECRET}` : list}`;
}

function isGenerated(name: string): boolean {
  return CONTROL_PLANE_SECRETS.some((generated) => generated === name);
}

/** Names of the secrets that a launch has to bring. */
export function launchSecrets(input: RunInput): string[] {
  const { cluster, standalone = false } = input;
  const names = secretNames(cluster.nodes);
  if (!standalone) return names;
  const derives = cluster.nodes.length > 1 && names.some(isGenerated);
  const made = ownAccess(input);
  const needed = names.filter((name) => !isGenerated(name) && !made.includes(name));
  return [...needed, ...(derives ? [CLUSTER_SECRET] : [])].toSorted();
}

/** Names of the gateway's secrets that the first node makes up where nobody brings them: `runtime/own_access.py`. */
export function ownAccess({ cluster, standalone = false, brought = [] }: RunInput): string[] {
  if (!standalone) return [];
  const names = secretNames(cluster.nodes);
  return [API_KEYS, TLS_BUNDLE].filter((name) => names.includes(name) && !brought.includes(name));
}

/** Names of the secrets that programs of nodes want. */
function secretNames(nodes: readonly NodePlan[]): string[] {
  const names = nodes.flatMap(({ programs }) => programs.flatMap(secretsOfProgram));
  return [...new Set(names)].toSorted();
}

function start(cluster: ClusterPlan, controlIp: string | undefined): string {
  const logs = cluster.nodes.map(
    ({ rank, programs }) => `${rank}) logs=(${programs.map(({ name }) => programLog(name)).join(" ")});;`,
  );
  return `# What the programs write is what \`sky logs\` shows; it ends with this shell, which becomes the supervisor.
case "$SKYPILOT_NODE_RANK" in ${logs.join(" ")} esac
touch "\${logs[@]}"
tail --pid=$$ -n +1 -F "\${logs[@]}" 2>/dev/null &
exec node-python node.py start --dir . --head-ip "\${ips[0]}" --node-ip "\${ips[$SKYPILOT_NODE_RANK]}" \\
  --rank-ips "$(IFS=,; echo "\${ips[*]}")"${controlIp === undefined ? "" : ` --control-ip ${quoted(controlIp)}`}`;
}

/** The scripts that every node needs, and those that a program of the cluster runs. */
function neededScripts(input: RunInput): NodeFiles {
  const { cluster, scripts } = input;
  const programs = cluster.nodes.flatMap((node) => node.programs);
  const words = programs.flatMap(({ command }) => command);
  const always = [
    "child.py",
    "launch.py",
    "node.py",
    ...(programs.some(({ lockstep }) => lockstep) ? ["lockstep.py", "peer.py"] : []),
    ...(programs.some(({ mpi }) => mpi) ? ["mpi.py"] : []),
    ...(ownAccess(input).length > 0 ? ["own_access.py"] : []),
    ...(words.includes(REGISTRY_FLAG) ? ["registry.py"] : []),
  ];
  const isNeeded = (name: string) => always.includes(name) || words.some((word) => word.endsWith(`/${name}`));
  return Object.fromEntries(Object.entries(scripts).filter(([name]) => isNeeded(name)));
}

/** The text of `run`. */
export function renderRun(input: RunInput): string {
  const { cluster, controlIp, hasModelFiles = false, unused = [] } = input;
  const shared = {
    ...neededScripts(input),
    "supervisord.conf": renderNode({})["supervisord.conf"] ?? "",
  };
  const parts = [
    preamble(cluster),
    unused.length === 0 ? undefined : `unset ${unused.map(quoted).join(" ")}`,
    `# How a node keeps its programs running.\n${write(shared)}`,
    `# What runs on which node.\n${nodeCase(cluster)}`,
    hasModelFiles ? `ln -s "$home/model" model` : undefined,
    secrets(input),
    start(cluster, controlIp),
  ];
  return `${parts.filter((part) => part !== undefined).join("\n\n")}\n`;
}
