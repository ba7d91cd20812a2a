"""Finds processes of this machine by their environment. Standard library only, Python 3.9 or later."""

import json
import os
import subprocess

HAS_PROC = os.path.isdir("/proc/self")


def pids():
    """All process ids; none if the system has no /proc."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if HAS_PROC else []


def read(pid, name):
    """Content of a file in a process's /proc directory; empty if the process has ended or belongs to another
    user."""
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            return file.read()
    except OSError:
        return b""


def directory_of(pid):
    """Working directory of a process; None if unknown."""
    try:
        return os.readlink("/proc/%d/cwd" % pid)
    except OSError:
        return None


def environment_of(pid):
    entries = read(pid, "environ").decode("utf-8", "replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def with_entry(entry):
    """Ids of other processes whose environment has the entry ``NAME=value``."""
    if HAS_PROC:
        return [pid for pid in pids() if pid != os.getpid() and entry.encode() in read(pid, "environ").split(b"\0")]
    found = []
    listing = subprocess.run(["ps", "axwwE", "-o", "pid=,command="], capture_output=True, text=True, check=False)
    for line in listing.stdout.splitlines():
        pid, _, rest = line.strip().partition(" ")
        if (" " + rest + " ").find(" " + entry + " ") >= 0 and int(pid) != os.getpid():
            found.append(int(pid))
    return found


def node_directory(cluster, rank):
    """Directory of the node of a SkyPilot cluster whose programs run here; None if there are none.

    It cannot be derived from a home directory: a task's may differ from the login's (Slurm).
    """
    for pid in pids():
        env = environment_of(pid)
        if env.get("SKYPILOT_NODE_RANK") != str(rank) or "DYNAMO_SKY_NODE_DIR" not in env:
            continue
        try:
            if json.loads(env.get("SKYPILOT_CLUSTER_INFO", "")).get("cluster_name") == cluster:
                return env["DYNAMO_SKY_NODE_DIR"]
        except ValueError:
            continue
    return None
