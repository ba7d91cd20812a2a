/** The task's `run`: writes the node's files as `node/render.ts` has them, and becomes the node's supervisor. Pure. */
import { unitsOf } from "../components/units";
import { type NodeFiles, programLog, renderNode } from "../node/render";
import type { ClusterPlan, NodePlan, ProgramPlan } from "../plan/types";
import { ENVIRONMENT, SECRETS_FILE } from "./setup";
import { hereDocument, quoted } from "./shell";

/** What `run` is made of. */
export interface RunInput {
  readonly cluster: ClusterPlan;
  /** Contents of the scripts that every node needs, by name: those of `node/`. */
  readonly scripts: Readonly<Record<string, string>>;
  /** Whether the model comes from a bucket, which SkyPilot puts beside the node's directory. */
  readonly hasModelFiles?: boolean;
  /** Address of the control plane where that is on another cluster. */
  readonly controlIp?: string | undefined;
}

const PREAMBLE = `set -euo pipefail
umask 077
home="$HOME/${ENVIRONMENT}"
export PATH="$home/bin:$HOME/.local/bin:/usr/local/bin/etcd:$PATH"
# Nodes may share a home directory, so each has a directory with its rank. All start anew together, so nothing old is kept.
node_dir="$home/node$SKYPILOT_NODE_RANK"
rm -rf "$node_dir"
mkdir -p "$node_dir/logs"
cd "$node_dir"
mapfile -t ips <<< "$SKYPILOT_NODE_IPS"
write() { mkdir -p "$(dirname "$1")"; cat > "$1"; }`;

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
    return `${node.rank})\n${write(files)}\n;;`;
  });
  return `case "$SKYPILOT_NODE_RANK" in\n${cases.join("\n")}\nesac`;
}

/**
 * Secrets go into a file that only this user reads: from the one that came with the launch where there is one, else from
 * the task's environment, and out of that.
 */
function secrets(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const list = names.map(quoted).join(" ");
  return `node-python - "$HOME/${SECRETS_FILE}" ${list} > secrets.json <<'EOF'
import json, os, sys
path, names = sys.argv[1], sys.argv[2:]
given = json.load(open(path)) if os.path.exists(path) else {}
print(json.dumps({name: given[name] if name in given else os.environ[name] for name in names}))
EOF
unset ${list}`;
}

/** Names of the secrets that programs of a cluster want. */
export function secretNames(cluster: ClusterPlan): string[] {
  const names = cluster.nodes.flatMap(({ programs }) => programs.flatMap(({ secretEnv }) => secretEnv));
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
function neededScripts(cluster: ClusterPlan, scripts: RunInput["scripts"]): NodeFiles {
  const programs = cluster.nodes.flatMap((node) => node.programs);
  const words = programs.flatMap(({ command }) => command);
  const always = [
    "launch.py",
    "node.py",
    ...(programs.some(({ lockstep }) => lockstep) ? ["lockstep.py"] : []),
  ];
  const isNeeded = (name: string) => always.includes(name) || words.some((word) => word.endsWith(`/${name}`));
  return Object.fromEntries(Object.entries(scripts).filter(([name]) => isNeeded(name)));
}

/** The text of `run`. */
export function renderRun({ cluster, scripts, controlIp, hasModelFiles = false }: RunInput): string {
  const shared = {
    ...neededScripts(cluster, scripts),
    "supervisord.conf": renderNode({})["supervisord.conf"] ?? "",
  };
  const parts = [
    PREAMBLE,
    `# How a node keeps its programs running.\n${write(shared)}`,
    `# What runs on which node.\n${nodeCase(cluster)}`,
    hasModelFiles ? `ln -s "$home/model" model` : undefined,
    secrets(secretNames(cluster)),
    start(cluster, controlIp),
  ];
  return `${parts.filter((part) => part !== undefined).join("\n\n")}\n`;
}
