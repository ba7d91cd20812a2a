#!/usr/bin/env python3
"""Runs the programs of one node: ``node.py start --dir D --head-ip A --node-ip B …``.

`D` holds `supervisord.conf`, `launch.py`, `units/` (rendered by `plan.py`, or `plan/node/render.ts` for this machine) and, where programs need secrets,
`secrets.json` with mode 0600. The process becomes supervisord in the foreground: it ends when it is told to
(SIGTERM, SIGINT), after it has stopped all programs, and with a code other than 0 when it cannot start. A
program that ends, whatever its code, is started again for as long as the node runs.

Python 3.9 or later; besides the standard library only `supervisor`, in the same environment as this interpreter.
"""

import argparse
import hashlib
import os
import sys

# sun_path of a Unix socket holds 108 bytes on Linux and 104 on macOS, and supervisord binds the name with
# its process id appended first.
LONGEST_SOCKET_PATH = 90


def socket_path(node_dir):
    """Where the supervisor of a node listens: in the node's directory, or in a short one where that is too long.

    `supervisorSocket` in `plan/node/paths.ts` computes the same.
    """
    direct = os.path.join(node_dir, "supervisor.sock")
    if len(os.fsencode(direct)) <= LONGEST_SOCKET_PATH:
        return direct
    digest = hashlib.sha256(os.fsencode(node_dir)).hexdigest()[:16]
    return os.path.join("/tmp", "dynamo-sky-%d" % os.getuid(), digest + ".sock")


def private_directory(path):
    """Creates the directory for this user alone; refuses one that somebody else made in its place."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    state = os.lstat(path)
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or os.path.islink(path):
        raise SystemExit("%s does not belong to this user alone; remove it" % path)


def start(arguments):
    node_dir = os.path.abspath(arguments.dir)
    control = socket_path(node_dir)
    if os.path.dirname(control) != node_dir:
        private_directory(os.path.dirname(control))
    for name in ("logs", "run", "units"):
        os.makedirs(os.path.join(node_dir, name), exist_ok=True)
    env = dict(
        os.environ,
        HEAD_IP=arguments.head_ip,
        CONTROL_IP=arguments.control_ip or arguments.head_ip,
        NODE_IP=arguments.node_ip,
        NODE_DIR=node_dir,
        # By this every process of the node can be found, whatever became of its parents.
        DYNAMO_SKY_NODE_DIR=node_dir,
        DYNAMO_SKY_PYTHON=sys.executable,
        DYNAMO_SKY_SOCKET=control,
        # Logs show a line when it is written and not when a buffer is full.
        PYTHONUNBUFFERED="1",
    )
    for rank, address in enumerate((arguments.rank_ips or arguments.head_ip).split(",")):
        env["RANK_IP_%d" % rank] = address
    if arguments.cluster_dir:
        env["CLUSTER_DIR"] = os.path.abspath(arguments.cluster_dir)
    # Programs named `python` in a plan are those of the environment that supervisor is installed in.
    env["PATH"] = os.path.dirname(sys.executable) + os.pathsep + env.get("PATH", os.defpath)
    os.chdir(node_dir)
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
    verb.add_argument("--rank-ips", help="addresses of all nodes of the cluster by rank, with commas between them")
    verb.add_argument("--control-ip", help="address of the control plane (default: that of rank 0)")
    verb.add_argument("--cluster-dir", help="directory that all nodes share, where there is one")
    start(parser.parse_args())


if __name__ == "__main__":
    main()
