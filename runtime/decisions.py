"""What the planner of this node has decided: `planner.py` writes it, the agent reads it and answers.

Python 3.9 or later, standard library only.
"""

import contextlib
import json
import os

import files

# Relative to the node's directory.
DECISION = "run/decision.json"
DONE = "run/decision-done.json"


def read(node_dir, name):
    """None if there is none, or the planner is just writing it."""
    try:
        with open(os.path.join(node_dir, name), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write(node_dir, name, value):
    files.write_private(os.path.join(node_dir, name), json.dumps(value))


def forget(node_dir):
    """Those of a planner that ran before."""
    for name in (DECISION, DONE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(node_dir, name))


def answer(node_dir, wanted):
    """The last decision, after noting that one was carried out."""
    if wanted.get("done") is not None:
        write(node_dir, DONE, {"id": wanted["done"]})
    return {"decision": read(node_dir, DECISION), "done": (read(node_dir, DONE) or {}).get("id")}
