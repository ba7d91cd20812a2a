#!/usr/bin/env python3
"""Starts the programs of one node and keeps them running: ``start.py < plan.yaml``, as a SkyPilot task on
every node.

It creates the node's directory anew (``~/.dynamo-sky/node<rank>``) with the files of this directory, the
node's part of the plan (`plan.py`) and its secrets, prints the programs' logs, and becomes supervisord
(exec). On SIGTERM or SIGINT it stops all programs and exits.

    --keep       no plan: the node starts with the units and secrets that its agent was given last
    --standalone generate missing secrets: passwords of etcd and NATS, the gateway's key and certificate
    --control-ip ADDR address of the control plane, if it is on another cluster
    --models NAME,NAME models copied from buckets, in ~/.dynamo-sky/models
    --files NAME,NAME files of the deployment, in ~/.dynamo-sky/files
    --driver MAJOR    lowest version of NVIDIA's driver, where programs use GPUs (`node_check.py`)
    --rdma HOW        whether they need an RDMA device: required or expected
    --nixl BACKEND    which of NIXL's backends hands over KV blocks between them
    --gpus NUMBER     GPUs that a node must have, where the plan comes later

Python 3.9 or later; this interpreter's environment has Dynamo and `supervisor`.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
import generated_access
import models
import node
import node_check
import plan as plans
from files import NOTES, SECRETS, UNITS, remove, write_private
from launch import FILES

# The only secret of a launch over several nodes without generated ones: each node derives the others from it.
CLUSTER_SECRET = "DYNAMO_SKY_CLUSTER_SECRET"
SHORTEST_CLUSTER_SECRET = 32
# `CONTROL_PLANE_SECRETS` of plan/programs/controlPlane.ts: for internal use only.
DERIVED = (
    "ETCD_AUTH_PASSWORD",
    "DYNAMO_SKY_ETCD_ROOT_PASSWORD",
    "NATS_AUTH_TOKEN",
    "DYNAMO_SKY_LOCKSTEP_SECRET",
    "DYNAMO_SKY_NODES_AUTHORITY",
)
# SkyPilot logs in to the image's registry with these, and passes them to the task too.
REGISTRY_LOGIN = ("SKYPILOT_DOCKER_SERVER", "SKYPILOT_DOCKER_USERNAME", "SKYPILOT_DOCKER_PASSWORD")
# Prometheus's data are kept, to compare a deployment before and after a change. `PROMETHEUS_DATA` of
# plan/programs/metrics.ts.
DATA = "prometheus"
# What the agent has written.
GIVEN = [UNITS, SECRETS, FILES, "run"]
# Slurm's number of the job that is the cluster. The next cluster of the name has the same directory, in which
# one that did not end through SkyPilot has left its plan.
ALLOCATION = "SLURM_JOB_ID"


def clear(directory, kept):
    """All nodes restart together, so other files are not needed."""
    os.makedirs(directory, exist_ok=True)
    for entry in os.scandir(directory):
        # A link to the files of a launch is not what the agent has brought.
        if entry.name not in kept or entry.is_symlink():
            remove(entry.path)


def forget_others(directory, allocation):
    """Removes a plan that a former cluster was given."""
    try:
        with open(os.path.join(directory, "allocation"), encoding="utf-8") as file:
            former = file.read()
    except FileNotFoundError:
        former = ""
    if former != allocation:
        clear(directory, [])


def remove_if_there(entry):
    """Another node that shares the home directory may have removed it already."""
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry.path)


def derived(shared):
    """A password for each name; none can be derived from another."""
    if len(shared) < SHORTEST_CLUSTER_SECRET:
        raise SystemExit(
            "%s is too short: at least %d characters, such as 'openssl rand -hex 32' writes"
            % (CLUSTER_SECRET, SHORTEST_CLUSTER_SECRET)
        )
    return {name: hmac.new(shared.encode(), name.encode(), hashlib.sha256).hexdigest() for name in DERIVED}


def values_of(names, home, is_standalone):
    """Values of a node's secrets: from the launch's file, else the task's environment, else generated."""
    try:
        with open(os.path.join(home, SECRETS), encoding="utf-8") as file:
            given = json.load(file)
    except FileNotFoundError:
        given = {}
    given = {**{name: os.environ[name] for name in names if name in os.environ}, **given}
    if is_standalone:
        given = {**derived(os.environ.get(CLUSTER_SECRET) or secrets.token_hex(32)), **given}
        given.update(generated_access.make(names, given, home))
    missing = [name for name in names if name not in given]
    if missing:
        raise SystemExit("no value for %s came with the launch" % ", ".join(missing))
    return {name: given[name] for name in names}


def read_plan(file, model):
    """Specifications of programs by rank, from YAML."""
    import yaml  # included with Dynamo

    try:
        return plans.nodes_of(yaml.safe_load(file), model)
    except (plans.BadPlan, yaml.YAMLError) as error:
        raise SystemExit("the plan cannot be used: %s" % error) from None


def own(path):
    """Readable by this user only, whatever their mode was: one of them may be a key."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return
    os.chmod(path, 0o700 if stat.S_ISDIR(mode) else mode & 0o100 | 0o600)
    if stat.S_ISDIR(mode):
        for entry in os.scandir(path):
            own(entry.path)


def bring(kind, names, home, directory):
    """Gives a node's programs the deployment's files or models, and removes old ones."""
    files = os.path.join(home, kind)
    missing = [name for name in names if not os.path.exists(os.path.join(files, name))]
    if missing:
        raise SystemExit("%s did not come with the launch (%s)" % (", ".join(missing), files))
    if not os.path.isdir(files):
        return
    for entry in os.scandir(files):
        if entry.name not in names:
            remove_if_there(entry)
    if kind == FILES:
        own(files)
    os.symlink(files, os.path.join(directory, kind))


def fetch_left_out(home, runtime, specs):
    """Fetches the weights that the set-up left out on this node, if the task has given it an engine after
    all: its rank in the set-up need not be the one in the task. Before the secrets leave the environment.
    """
    left = os.path.join(home, "weights", os.uname().nodename)
    if not any(spec["gpus"] for spec in specs) or not os.path.exists(left):
        return
    with open(left, encoding="utf-8") as file:
        names = file.read().split()
    script = [os.path.join(runtime, "fetch_model.py"), os.path.join(home, SECRETS)]
    code = subprocess.call([sys.executable, "-B"] + script + names)
    if code != 0:
        raise SystemExit(code)
    os.unlink(left)


def show():
    """Prints the programs' output for `sky logs`; ends with this process, which becomes the supervisor."""
    command = [sys.executable, "-B", "follow.py", str(os.getpid())]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description="Starts the programs of one node.")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--standalone", action="store_true")
    parser.add_argument("--control-ip")
    parser.add_argument("--models", type=lambda text: text.split(","), default=[])
    parser.add_argument("--files", type=lambda text: text.split(","), default=[])
    parser.add_argument("--driver", type=int)
    parser.add_argument("--rdma", choices=["required", "expected"])
    parser.add_argument("--nixl")
    parser.add_argument("--gpus", type=int, default=0)
    arguments = parser.parse_args()
    os.umask(0o077)
    runtime = os.path.dirname(os.path.abspath(__file__))
    home = os.path.dirname(runtime)
    rank = int(os.environ["SKYPILOT_NODE_RANK"])
    ips = os.environ["SKYPILOT_NODE_IPS"].split()
    # Nodes may share a home directory, so each node's directory has its rank in the name.
    directory = os.path.join(home, "node%d" % rank)
    allocation = os.environ.get(ALLOCATION, "")
    if arguments.keep:
        forget_others(directory, allocation)
        specs = everywhere = plans.given(directory)
    else:
        nodes = read_plan(sys.stdin, os.environ.pop("MODEL", None))
        specs = nodes.get(rank, [])
        everywhere = [spec for programs in nodes.values() for spec in programs]
    used = {*node_check.gpus_of(specs), *range(arguments.gpus)}
    notes = node_check.ensure(sorted(used), os.environ, arguments.driver, arguments.rdma, arguments.nixl)
    fetch_left_out(home, runtime, specs)
    has_data = any(spec["role"] == "prometheus" for spec in everywhere)
    clear(directory, [*([DATA] if has_data else []), *(GIVEN if arguments.keep else [])])
    write_private(os.path.join(directory, "allocation"), allocation)
    write_private(os.path.join(directory, NOTES), json.dumps(notes))
    os.makedirs(os.path.join(directory, "logs"), exist_ok=True)
    for name in os.listdir(runtime):
        if name.endswith((".py", ".conf")):
            shutil.copyfile(os.path.join(runtime, name), os.path.join(directory, name))
    for unit in {plans.unit_of(spec) for spec in specs}:
        plans.write_unit(directory, unit, [spec for spec in specs if plans.unit_of(spec) == unit])
    if not arguments.keep:
        bring(FILES, arguments.files, home, directory)
    bring(models.MODELS, arguments.models, home, directory)
    if not arguments.keep:
        values = values_of(plans.secrets_of(specs), home, arguments.standalone)
        write_private(os.path.join(directory, SECRETS), json.dumps(values))
    for name in {*plans.secrets_of(everywhere), CLUSTER_SECRET, *REGISTRY_LOGIN}:
        os.environ.pop(name, None)

    os.chdir(directory)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["PATH"] = os.pathsep.join(
        [
            os.path.join(home, "bin"),
            os.path.expanduser("~/.local/bin"),
            "/usr/local/bin/etcd",
            os.environ.get("PATH", os.defpath),
        ]
    )
    show()
    node.start(
        argparse.Namespace(
            dir=".",
            head_ip=ips[0],
            node_ip=ips[rank],
            rank_ips=",".join(ips),
            control_ip=arguments.control_ip,
            cluster_dir=None,
        )
    )


if __name__ == "__main__":
    main()
