"""Fetches the weights that a node's engines load, before those are started: with the node's own
`fetch_model.py`, as its programs would, that is in their supervisor's environment.

Python 3.9 or later, standard library only.
"""

import collections
import json
import subprocess
import sys
import threading

import files
import processes
from supervision import read_json

# What this node has fetched since it was made.
FETCHED = "run/weights.json"
LOG_LINES = 20
# For a lock whose holder has a limit of its own.
TURN_SECONDS = 60.0


def ensure(node, models, seconds):
    """Fetches those that are not there.

    @param models: names on the hub, ``NAME[@REVISION]``
    @return: the last lines of a failure; None if all are there
    """
    if not models:
        return None
    # The node's other units may be in need of the same.
    with node.lock("weights", seconds + TURN_SECONDS):
        path = node.path(FETCHED)
        fetched = read_json(path) or []
        missing = [model for model in models if model not in fetched]
        if not missing:
            return None
        lines = fetch(node, missing, seconds)
        if lines is None:
            files.write_private(path, json.dumps(sorted({*fetched, *missing})))
        return lines


def fetch(node, models, seconds):
    env = processes.environment_of(node.call("getPID"))
    script = [node.path("fetch_model.py"), node.path(files.SECRETS)]
    child = subprocess.Popen(
        [env.get("DYNAMO_SKY_PYTHON", sys.executable), "-B", "-u", *script, *models],
        env=env or None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    limit = threading.Timer(seconds, child.kill)
    limit.start()
    last = collections.deque(maxlen=LOG_LINES)
    try:
        for line in child.stdout:
            last.append(line.rstrip())
            node.say({"line": line.rstrip()})
    finally:
        limit.cancel()
        child.kill()
    return None if child.wait() == 0 else list(last)
