/** The task's `setup`: what a node needs before its programs can start. Runs once a node, and again after a change of it. Pure. */

import { modelSource } from "../config/model";
import { ENGINE_IMAGES, IMAGE_REGISTRY, VERSIONS } from "../config/versions";
import { quoted } from "../lib/shell";
import type { DeploymentConfig } from "../plan/config";
import { HUGGING_FACE_TOKEN } from "../plan/programs/environment";
import type { EngineName } from "../plan/types";

/** Extra of `ai-dynamo` on PyPI that brings the engine: https://pypi.org/project/ai-dynamo/ */
const EXTRAS: Readonly<Record<EngineName, string>> = {
  sglang: "[sglang]",
  vllm: "[vllm]",
  trtllm: "[trtllm]",
  mocker: "",
};

/** The image that SkyPilot starts on the nodes (`image_id`), or undefined where PyPI's packages are installed instead. */
export function engineImage(engine: EngineName): string | undefined {
  return engine === "mocker"
    ? undefined
    : `docker:${IMAGE_REGISTRY}/${ENGINE_IMAGES[engine]}:${VERSIONS.dynamo}`;
}

/** Where `setup` leaves the environment and `run` finds it, relative to the home directory of the node's user. */
export const ENVIRONMENT = ".dynamo-sky";

/**
 * Secrets from which SkyPilot logs in at the registry of the image:
 * https://docs.skypilot.co/en/latest/examples/docker-containers.html#private-registries
 */
export const REGISTRY_SECRETS = {
  server: "SKYPILOT_DOCKER_SERVER",
  username: "SKYPILOT_DOCKER_USERNAME",
  password: "SKYPILOT_DOCKER_PASSWORD",
} as const;

/** Where a launch puts the values of secrets, other than of a recipe without this program; relative to the same. */
export const SECRETS_FILE = `${ENVIRONMENT}/secrets.json`;

const PREAMBLE = `set -euo pipefail
home="$HOME/${ENVIRONMENT}"
mkdir -p "$home/bin"
# Secrets are in there, and a remote API server of SkyPilot does not keep the mode of their file.
chmod 700 "$home"
export PATH="$home/bin:$HOME/.local/bin:/usr/local/bin/etcd:$PATH"
# Nodes may share a home directory (Slurm): the first one sets it up, the others find it done.
exec 9> "$home/setup.lock"
if command -v flock >/dev/null; then flock 9; fi`;

/** Dynamo: that of the image where there is one, else from PyPI; and supervisor beside it. */
function installDynamo(engine: EngineName): string {
  const dynamo = `ai-dynamo${EXTRAS[engine]}==${VERSIONS.dynamo}`;
  return `# Dynamo: the image's own, else from PyPI.
has_dynamo() { "$1" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("dynamo") and u.find_spec("dynamo.frontend")))' 2>/dev/null; }
if has_dynamo python3; then
  python="$(command -v python3)"
else
  python="$home/venv/bin/python"
  if ! has_dynamo "$python"; then
    echo ${quoted(`installing ${dynamo} from PyPI`)}
    if command -v uv >/dev/null; then
      uv venv --quiet --clear --python '>=3.10,<3.13' "$home/venv"
      uv pip install --quiet --python "$python" ${quoted(dynamo)}
    else
      python3 -m venv --clear "$home/venv"
      "$python" -m pip install --quiet ${quoted(dynamo)}
    fi
  fi
fi
# Not a link: a Python that is started through one does not find its environment.
printf '#!/bin/sh\\nexec "%s" "$@"\\n' "$python" > "$home/bin/node-python"
chmod +x "$home/bin/node-python"
# Supervisor keeps the programs of a node running.
if ! "$python" -c 'import supervisor' 2>/dev/null; then
  if command -v uv >/dev/null; then uv pip install --quiet --break-system-packages --python "$python" supervisor==${VERSIONS.supervisor}
  else "$python" -m pip install --quiet --break-system-packages supervisor==${VERSIONS.supervisor}; fi
fi`;
}

/**
 * The connector with which vLLM offloads its KV cache. NVIDIA's image has it; on PyPI it is a package of its own, which asks for
 * another nixl than `ai-dynamo[vllm]` does and works with that one, so it comes without its dependencies.
 */
function installOffload({ engine, kvOffload }: DeploymentConfig): string | undefined {
  if (engine !== "vllm" || kvOffload.hostMemoryGB === undefined) return undefined;
  const kvbm = `kvbm==${VERSIONS.dynamo}`;
  return `# KV offload of vLLM.
if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("kvbm"))' 2>/dev/null; then
  if command -v uv >/dev/null; then uv pip install --quiet --break-system-packages --no-deps --python "$python" ${kvbm}
  else "$python" -m pip install --quiet --break-system-packages --no-deps ${kvbm}; fi
fi`;
}

/** What a node needs besides Dynamo and the model. */
export interface NodeServices {
  /** etcd and NATS. */
  readonly controlPlane: boolean;
  /** nginx. */
  readonly gateway: boolean;
  readonly prometheus: boolean;
  /** openssl, where the node makes the gateway's certificate. Default: it does not. */
  readonly ownCertificate?: boolean;
}

/**
 * The services that the first node runs: found, or unpacked from the distribution's packages, which apt verifies. Debian 12 and Ubuntu
 * 24.04 have nginx itself in `nginx`, older ones in `nginx-core`.
 */
function installServices({
  controlPlane,
  gateway,
  prometheus,
  ownCertificate = false,
}: NodeServices): string | undefined {
  const wanted = [
    ...(controlPlane ? ["unpack etcd etcd-server", "unpack nats-server nats-server"] : []),
    ...(gateway ? ["unpack nginx nginx nginx-core", CHECK_NGINX] : []),
    ...(ownCertificate ? ["unpack openssl openssl"] : []),
    ...(prometheus ? ["unpack prometheus prometheus"] : []),
  ];
  if (wanted.length === 0) return undefined;
  const names = [
    ...(controlPlane ? ["etcd", "NATS"] : []),
    ...(gateway ? ["nginx"] : []),
    ...(ownCertificate ? ["openssl"] : []),
    ...(prometheus ? ["Prometheus"] : []),
  ];
  // On every node: on Slurm the node that is first in the set-up need not be the first one of the task (`sky/skylet/executor/slurm.py`
  // of SkyPilot 0.14.1: "Task rank, different from index of the node in the cluster").
  return `# ${names.join(", ")}. Packages are unpacked, not installed: no service of the system is started.
unpack() {
  local program="$1" scratch package options
  shift
  command -v "$program" >/dev/null && return
  command -v apt-get >/dev/null || { echo "There is no $program on this node, and no apt-get to fetch it: use an image that has it." >&2; exit 1; }
  scratch="$(mktemp -d)"
  mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
  options=(-qq -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o "APT::Sandbox::User=$(id -un)")
  apt-get "\${options[@]}" update
  for package in "$@"; do
    echo "unpacking the package $package"
    (cd "$scratch" && apt-get "\${options[@]}" download "$package" && dpkg -x ./"$package"_*.deb unpacked)
    find "$scratch/unpacked" -type f -name "$program" -perm -u+x -exec cp {} "$home/bin/$program" \\;
    if [ -x "$home/bin/$program" ]; then break; fi
  done
  rm -rf "$scratch"
}
${wanted.join("\n")}`;
}

const CHECK_NGINX = `nginx -v 2>/dev/null || { echo "nginx does not run on this node ($(nginx -v 2>&1 | head -n 1)): use an image that has it." >&2; exit 1; }`;

/** The token is in the task's environment, unless the launch has put it into a file. */
const READ_TOKEN = `if [ -f "$HOME/${SECRETS_FILE}" ]; then
  ${HUGGING_FACE_TOKEN}="$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["${HUGGING_FACE_TOKEN}"])' "$HOME/${SECRETS_FILE}")"
  export ${HUGGING_FACE_TOKEN}
fi
`;

/** The model's files, once a node and not once a worker. Engines then find them in the hub's cache. */
function fetchModel(config: DeploymentConfig): string | undefined {
  const { model, modelRevision, engine } = config;
  if (engine === "mocker" || modelSource(model) !== "hub") return undefined;
  const revision = modelRevision === undefined ? "None" : "sys.argv[2]";
  return `# The model's weights, once for all workers of the node.
${config.huggingFaceToken === undefined ? "" : READ_TOKEN}echo ${quoted(`fetching ${model}`)}
"$python" -c 'import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1], revision=${revision})' ${quoted(model)}${modelRevision === undefined ? "" : ` ${quoted(modelRevision)}`}`;
}

/** The text of `setup`. */
export function renderSetup(config: DeploymentConfig, services: NodeServices): string {
  const parts = [
    PREAMBLE,
    installDynamo(config.engine),
    installOffload(config),
    installServices(services),
    fetchModel(config),
  ];
  return `${parts.filter((part) => part !== undefined).join("\n\n")}\n`;
}
