#!/usr/bin/env python3
"""Runs the programs of one node: ``node.py start --dir D --head-ip A --node-ip B …``.

`D` holds the files of `runtime/`, `units/` (written by `plan.py`) and, if programs need secrets,
`secrets.json` with mode 0600. The process becomes supervisord in the foreground (exec): on SIGTERM or SIGINT
it stops all programs and exits; it exits with a code other than 0 if it cannot start. A program that exits,
with any code, is restarted for as long as the node runs.

Python 3.9 or later; besides the standard library only `supervisor`, in this interpreter's environment.
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
from files import remove, write_private
from plan import SUPERVISORD_CONF

# sun_path of a Unix socket holds 108 bytes on Linux and 104 on macOS, and supervisord first binds the name
# with its process id appended.
LONGEST_SOCKET_PATH = 90
ADDRESSES = "run/addresses.json"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# Where a deployment has several clusters, their nodes have addresses that are not known here.
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def short_directory():
    """Of this user, for what needs a short path or a local disk. Shared by all nodes on a machine."""
    return os.path.join("/tmp", "dynamo-sky-%d" % os.getuid())


def short_path(node_dir):
    return os.path.join(short_directory(), hashlib.sha256(os.fsencode(node_dir)).hexdigest()[:16])


def socket_path(node_dir):
    """Path of a node's supervisor socket: in the node's directory, or in a short one if that path is too
    long."""
    direct = os.path.join(node_dir, "supervisor.sock")
    if len(os.fsencode(direct)) <= LONGEST_SOCKET_PATH:
        return direct
    return short_path(node_dir) + ".sock"


def temporary_directory(node_dir):
    """TMPDIR of a node's programs, unless its environment has one. Not in the node's directory: engines
    create sockets there, and a home directory may be on a network file system. Kept when the node starts
    again, since engines keep compiled kernels there."""
    return short_path(node_dir)


def remove_short_paths(node_dir):
    """Removes what a node has outside of its directory."""
    remove(socket_path(node_dir))
    remove(temporary_directory(node_dir))
    with contextlib.suppress(OSError):
        os.rmdir(short_directory())  # if no other node has anything there


def private_directory(path):
    """Creates the directory for this user only; fails if another user owns it."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    state = os.lstat(path)
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or os.path.islink(path):
        raise SystemExit("%s does not belong to this user alone; remove it" % path)


def exempt(env, addresses):
    """Exempts loopback, the nodes' addresses and private networks from a site's proxy, if one is set."""
    if not any(env.get(name) for proxy in PROXIES for name in (proxy, proxy.upper())):
        return
    said = [entry.strip() for name in ("no_proxy", "NO_PROXY") for entry in env.get(name, "").split(",")]
    entries = dict.fromkeys(
        [*filter(None, said), "localhost", "127.0.0.1", "::1", *addresses, *PRIVATE_NETWORKS]
    )
    # Programs differ in which of the two they read.
    env["no_proxy"] = env["NO_PROXY"] = ",".join(entries)


def start(arguments):
    node_dir = os.path.abspath(arguments.dir)
    os.umask(0o077)
    control = socket_path(node_dir)
    if os.path.dirname(control) != node_dir:
        private_directory(os.path.dirname(control))
    for name in ("logs", "run", "units"):
        os.makedirs(os.path.join(node_dir, name), exist_ok=True)
    addresses = (arguments.rank_ips or arguments.head_ip).split(",")
    known = {
        "HEAD_IP": arguments.head_ip,
        "CONTROL_IP": arguments.control_ip or arguments.head_ip,
        "NODE_IP": arguments.node_ip,
        **{"RANK_IP_%d" % rank: address for rank, address in enumerate(addresses)},
    }
    # For the agent, which is no child of this process.
    write_private(os.path.join(node_dir, ADDRESSES), json.dumps(known))
    env = dict(
        os.environ,
        **known,
        NODE_DIR=node_dir,
        # Identifies every process of the node, even after its parents have exited.
        DYNAMO_SKY_NODE_DIR=node_dir,
        DYNAMO_SKY_PYTHON=sys.executable,
        DYNAMO_SKY_SOCKET=control,
        # Unbuffered, so that lines appear in logs at once.
        PYTHONUNBUFFERED="1",
    )
    if not env.get("TMPDIR"):
        env["TMPDIR"] = temporary_directory(node_dir)
        private_directory(short_directory())
        private_directory(env["TMPDIR"])
    exempt(env, [*addresses, env["NODE_IP"], env["CONTROL_IP"]])
    if arguments.cluster_dir:
        env["CLUSTER_DIR"] = os.path.abspath(arguments.cluster_dir)
    # `python` in a plan is the interpreter of the environment that has supervisor.
    env["PATH"] = os.path.dirname(sys.executable) + os.pathsep + env.get("PATH", os.defpath)
    os.chdir(node_dir)
    write_private("supervisord.conf", SUPERVISORD_CONF)
    os.execve(
        sys.executable,
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf"],
        env,
    )


def main():
    parser = argparse.ArgumentParser(description="Runs the programs of one node.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("start", help="run supervisord in the foreground")
    verb.add_argument("--dir", required=True, help="directory of the node")
    verb.add_argument("--head-ip", required=True, help="address of rank 0")
    verb.add_argument("--node-ip", required=True, help="address of this node")
    verb.add_argument(
        "--rank-ips", help="addresses of all nodes of the cluster by rank, with commas between them"
    )
    verb.add_argument("--control-ip", help="address of the control plane (default: that of rank 0)")
    verb.add_argument("--cluster-dir", help="directory that all nodes share, where there is one")
    start(parser.parse_args())


if __name__ == "__main__":
    main()
