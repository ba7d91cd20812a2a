"""The deployment's own files on a node, brought by its agent: in ``files/``, with the digest of each in
``run/files.json``. Requests of `agent.py`, beside those of `units.py`:

    {"lacking": {"files": {name: digest}}} → {"lacking": [names of those that are not there with that digest]}
    {"bring": {"name": N, "digest": D, "entries": [[path below it, "" for itself; whether it is executable;
        base64, or null for a directory], …]}} → {"done": true}

Python 3.9 or later, standard library only.
"""

import base64
import json
import os

import files
from supervision import read_json

DIGESTS = "run/files.json"


def directory_of(node):
    import launch

    return node.path(launch.FILES)


def lacking(node, wanted):
    kept, directory = read_json(node.path(DIGESTS)) or {}, directory_of(node)
    names = [
        name
        for name, digest in wanted["files"].items()
        if kept.get(name) != digest or not os.path.exists(os.path.join(directory, name))
    ]
    node.say({"lacking": names})


def write(path, is_executable, content):
    """Readable by this user only from the first byte on: it may be a key."""
    mode = 0o700 if is_executable else 0o600
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(base64.b64decode(content))


def bring(node, wanted):
    name, directory = wanted["name"], directory_of(node)
    os.makedirs(directory, 0o700, exist_ok=True)
    with node.lock("files"):
        partial = os.path.join(directory, ".%s.partial" % name)
        files.remove(partial)
        for below, is_executable, content in wanted["entries"]:
            path = os.path.join(partial, *below.split("/")) if below else partial
            if content is None:
                os.makedirs(path, 0o700)
            else:
                write(path, is_executable, content)
        note(node, name, None)
        files.remove(os.path.join(directory, name))
        os.rename(partial, os.path.join(directory, name))
        note(node, name, wanted["digest"])
    node.say({"done": True})


def note(node, name, digest):
    """Forgotten before the file is replaced: if that is cut off, it is brought again."""
    path = node.path(DIGESTS)
    kept = {**(read_json(path) or {}), name: digest}
    files.write_private(path, json.dumps({name: one for name, one in kept.items() if one is not None}))


def forget_others(node, names):
    with node.lock("files"):
        for name in set(read_json(node.path(DIGESTS)) or {}) - set(names):
            files.remove(os.path.join(directory_of(node), name))
            note(node, name, None)
