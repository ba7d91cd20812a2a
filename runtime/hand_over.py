"""Gives a running node new values of secrets that its programs read again when they change: the gateway's keys and certificate.

It is not a file of the node: `sky/handOver.ts` sends it through SkyPilot's ssh, with the values behind it, so that no command line has
them. What it reads is JSON on standard input, what it answers one line of JSON:

    {"cluster": C, "rank": R, "secrets": {name: value}}  →  {"changed": bool}

Values go into the node's ``secrets.json``, and into the one that came with the launch, from which a new start would take them. Only what
is there already is changed. Python 3.9 or later, standard library only.
"""

import json
import os
import sys
import time

WAIT_SECONDS = 60
PAUSE_SECONDS = 0.25
SECRETS = "secrets.json"


def environment_of(pid):
    try:
        with open("/proc/%s/environ" % pid, "rb") as file:
            entries = file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def node_directory(cluster, rank):
    """Of the node whose supervisor runs; None where there is none. A task's home is not everywhere that of whoever logs in (Slurm)."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        env = environment_of(pid)
        if env.get("SKYPILOT_NODE_RANK") != str(rank) or "DYNAMO_SKY_NODE_DIR" not in env:
            continue
        try:
            if json.loads(env.get("SKYPILOT_CLUSTER_INFO", "")).get("cluster_name") == cluster:
                return env["DYNAMO_SKY_NODE_DIR"]
        except ValueError:
            continue
    return None


def until_running(cluster, rank):
    """A task that has just been started is still writing its files."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        directory = node_directory(cluster, rank)
        if directory is not None:
            return directory
        if time.monotonic() > deadline:
            raise SystemExit("no supervisor of %s runs on node %d" % (cluster, rank))
        time.sleep(PAUSE_SECONDS)


def renew(path, values):
    """Whether anything had to be changed. Whole or not at all, and for this user alone from the first byte on."""
    try:
        with open(path, encoding="utf-8") as file:
            present = json.load(file)
    except FileNotFoundError:
        return False
    renewed = {name: values.get(name, value) for name, value in present.items()}
    if renewed == present:
        return False
    partial = "%s.%d" % (path, os.getpid())
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(renewed, file)
    os.replace(partial, path)
    return True


def main():
    request = json.load(sys.stdin)
    node = until_running(request["cluster"], request["rank"])
    # What came with the launch first: should this be cut short, it is done again.
    paths = [os.path.join(os.path.dirname(node), SECRETS), os.path.join(node, SECRETS)]
    changed = [renew(path, request["secrets"]) for path in paths]
    print(json.dumps({"changed": any(changed)}))


if __name__ == "__main__":
    main()
