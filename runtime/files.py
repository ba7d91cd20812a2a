"""Private files of a node: readable by its user only from the first byte on, and written atomically. Standard
library only, Python 3.9 or later."""

import json
import os
import shutil
import stat

SECRETS = "secrets.json"
UNITS = "units"
# What the check before the start has found.
NOTES = "node-check.json"
# When it was changed last somebody asked for a model without workers: the gateway writes it, the agent looks.
ASKED = "run/gateway-asked.log"


class Unusable(Exception):
    """An invalid specification or secret: an error message without values of secrets."""


def remove(path):
    """A file or a directory with all that is in it; fine if there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def write_private(path, text):
    partial = "%s.%d" % (path, os.getpid())
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)


def read_secrets(node_dir, names):
    """Values of the named secrets from the node's secrets file.

    @raises Unusable without any value in the message
    """
    if not names:
        return {}
    path = os.path.join(node_dir, SECRETS)
    try:
        with open(path, encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Unusable("%s can be read by others; its mode must be 0600" % path)
            secrets = json.load(file)
    except FileNotFoundError:
        raise Unusable("%s is missing; it must hold %s" % (path, ", ".join(names))) from None
    except ValueError:
        raise Unusable("%s is not valid JSON" % path) from None
    missing = [name for name in names if not isinstance(secrets.get(name), str)]
    if missing:
        raise Unusable("%s has no value for %s" % (path, ", ".join(missing)))
    return {name: secrets[name] for name in names}
