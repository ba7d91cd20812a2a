#!/usr/bin/env bash
# Prepares a node for its programs: Dynamo with its engine, supervisor, the services, the model. It runs once
# a node, and again after a change of what it is asked for; what is there already is kept.
#
#   setup.sh --dynamo VERSION --supervisor VERSION [options]
#     --engine NAME          sglang, vllm or trtllm: the extra of ai-dynamo on PyPI that brings it. Default:
#                            Dynamo alone
#     --services "NAME …"    programs that have to be there: etcd, nats-server, nginx, openssl, planner,
#                            prometheus
#     --model NAME           model on the Hugging Face hub whose weights are fetched, with the token in
#                            HF_TOKEN where there is one
#     --revision NAME        of the model. Default: the newest
#     --also "NAME[@REVISION] …"  models besides that the engine loads: drafts for speculative decoding,
#                                 adapters
#     --ranks "RANK …"       nodes that have an engine, which alone need the weights. Default: all
set -euo pipefail

# Of kernels, which `nvcc` compiles in one to two minutes.
COMPILE_SECONDS=900

engine="" dynamo="" supervisor="" services="" model="" revision="" also="" ranks=""
while [ $# -gt 0 ]; do
  case "$1" in
    --engine | --dynamo | --supervisor | --services | --model | --revision | --also | --ranks)
      [ $# -ge 2 ] || { echo "setup.sh: $1 needs a value" >&2; exit 64; }
      declare "${1#--}=$2"
      shift 2
      ;;
    *)
      echo "setup.sh: unknown option $1" >&2
      exit 64
      ;;
  esac
done
[ -n "$dynamo" ] && [ -n "$supervisor" ] || { echo "setup.sh: --dynamo and --supervisor are required" >&2; exit 64; }

home="$HOME/.dynamo-sky"
runtime="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mkdir -p "$home/bin"
# Secrets are in there, and a remote API server of SkyPilot does not keep the mode of their file.
chmod 700 "$home"
export PATH="$home/bin:$HOME/.local/bin:/usr/local/bin/etcd:$PATH"
# Nodes may share a home directory (Slurm): the first one sets it up, the others find it done.
exec 9> "$home/setup.lock"
# Some shared file systems have no locks.
if command -v flock >/dev/null; then flock 9 || echo "this node sets up without waiting for others" >&2; fi

has_module() { "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec(sys.argv[1]))' "$1" 2>/dev/null; }

has_dynamo() {
  "$1" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("dynamo") and u.find_spec("dynamo.frontend")))' 2>/dev/null
}

# Installs packages beside Dynamo.
add_packages() {
  if command -v uv >/dev/null; then retry uv pip install --quiet --break-system-packages --python "$python" "$@"
  else retry "$python" -m pip install --quiet --break-system-packages "$@"; fi
}

# Dynamo: the image's own, else from PyPI.
find_dynamo() {
  local package="ai-dynamo${engine:+[$engine]}==$dynamo"
  if has_dynamo python3; then
    python="$(command -v python3)"
    return
  fi
  python="$home/venv/bin/python"
  if has_dynamo "$python"; then return; fi
  echo "installing $package from PyPI"
  # What is left of one that was being made, or deleted: uv clears no directory without `pyvenv.cfg`.
  rm -rf "$home/venv"
  if command -v uv >/dev/null; then
    retry uv venv --quiet --clear --python '>=3.10,<3.13' "$home/venv"
    retry uv pip install --quiet --python "$python" --override "$runtime/overrides.txt" "$package"
  else
    # pip cannot leave a package out: what PyPI has as a stub alone it fetches from NVIDIA's index.
    python3 -m venv --clear "$home/venv"
    retry "$python" -m pip install --quiet "$package"
  fi
}

# Finds a program, or takes it out of one of the distribution's packages, which apt verifies. They are
# unpacked, not installed: no service of the system is started.
unpack() {
  local program="$1" scratch
  command -v "$program" >/dev/null && return
  command -v apt-get >/dev/null || {
    echo "There is no $program on this node, and no apt-get to fetch it: use an image that has it." >&2
    exit 1
  }
  scratch="$(mktemp -d)"
  mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
  retry take_package "$@"
  rm -rf "$scratch"
}

# One attempt, of the first package that has the program. The lists are fetched anew each time: apt-get ends
# well without those that it could not get.
take_package() {
  local program="$1" package options
  shift
  options=(-qq -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o "APT::Sandbox::User=$(id -un)")
  apt-get "${options[@]}" update || return
  for package in "$@"; do
    apt-get "${options[@]}" --print-uris download "$package" >/dev/null 2>&1 || continue
    echo "unpacking the package $package"
    (cd "$scratch" && apt-get "${options[@]}" download "$package" && dpkg -x ./"$package"_*.deb unpacked) || return
    find "$scratch/unpacked" -type f -name "$program" -perm -u+x -exec cp {} "$home/bin/$program" \;
    if [ -x "$home/bin/$program" ]; then return; fi
  done
  echo "apt has no package with $program: $*" >&2
  return 1
}

# On every node: on Slurm the node that is first in the set-up need not be the first one of the task
# (`sky/skylet/executor/slurm.py` of SkyPilot 0.14.1: "Task rank, different from index of the node in the
# cluster").
find_service() {
  case "$1" in
    etcd) unpack etcd etcd-server ;;
    # Debian 12 and Ubuntu 24.04 have nginx itself in `nginx`, older ones in `nginx-core`.
    nginx)
      unpack nginx nginx nginx-core
      nginx -v 2>/dev/null || {
        echo "nginx does not run on this node ($(nginx -v 2>&1 | head -n 1)): use an image that has it." >&2
        exit 1
      }
      ;;
    # What Dynamo's planner imports.
    planner)
      for module in filterpy plotly pmdarima prometheus_api_client prophet sklearn; do
        has_module "$module" || { add_packages -r "$runtime/planner.txt"; break; }
      done
      ;;
    nats-server | openssl | prometheus) unpack "$1" "$1" ;;
    *)
      echo "setup.sh: unknown service $1" >&2
      exit 64
      ;;
  esac
}

# Runs a command again that failed: an index, a mirror or the network may be away for a moment. Pauses grow,
# are as long as the server asks for, and differ from node to node.
retry() {
  local pause asked said="$home/said.$(uname -n)"
  for pause in 5 10 20 40; do
    if { "$@" 2>&1 >&3 | tee "$said" >&2; } 3>&1; then
      rm -f "$said"
      return
    fi
    asked="$(python3 -B "$runtime/retry_after.py" "$said" 2>/dev/null || true)"
    if [ "${asked:-0}" -gt "$pause" ]; then pause="$asked"; fi
    pause=$((pause + RANDOM % (pause / 2 + 1)))
    echo "'$1 $2' failed; again in $pause s" >&2
    sleep "$pause"
  done
  rm -f "$said"
  "$@"
}

# The models' files, once a node and not once a worker. Engines then find them in the hub's cache.
fetch_models() {
  local models=(${model:+"$model${revision:+@$revision}"} $also)
  # Nodes may share a home directory.
  local left="$home/weights/$(uname -n)"
  if has_engine; then
    rm -f "$left"
    # The token is in the task's environment, unless the launch has put it into a file.
    "$python" -B "$runtime/fetch_model.py" "$home/secrets.json" "${models[@]}"
  else
    echo "no engine runs on this node: it gets no weights"
    mkdir -p "$home/weights"
    printf '%s\n' "${models[@]}" > "$left"
  fi
}

# By the rank in the set-up. On Slurm the task may give this node another one: then start.py fetches what was
# left out.
has_engine() {
  [ -z "$ranks" ] || [ -z "${SKYPILOT_SETUP_NODE_RANK:-}" ] || [[ " $ranks " == *" $SKYPILOT_SETUP_NODE_RANK "* ]]
}

# Whether there is something that the engine would compile before its first answer.
has_kernels() { [ -n "$engine" ] && has_engine && nvidia-smi -L >/dev/null 2>&1 && has_module flashinfer; }

find_dynamo
# Not a link: a Python that is started through one does not find its environment.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" > "$home/bin/node-python"
chmod +x "$home/bin/node-python"
# Supervisor keeps the programs of a node running.
has_module supervisor || add_packages "supervisor==$supervisor"
for service in $services; do find_service "$service"; done
# Beside the download. Without the lock; and nothing of it outlives a set-up that fails.
compiling=""
if has_kernels; then
  timeout "$COMPILE_SECONDS" "$python" -B "$runtime/kernels.py" 9>&- &
  compiling=$!
  trap 'kill "$compiling" 2>/dev/null || true' EXIT
fi
if [ -n "$model$also" ]; then fetch_models; fi
if [ -n "$compiling" ]; then
  wait "$compiling" || echo "FlashInfer's sampling kernel is left to the engine: not compiled within $COMPILE_SECONDS s"
  trap - EXIT
fi
