#!/usr/bin/env python3
"""Runs nats-server so that it asks for a token: ``nats_server.py``, started by ``launch.py``.

Read from the environment: NODE_DIR, DYNAMO_SKY_NATS_CONF with the server's configuration (`plan/programs/controlPlane.ts`), and
NATS_AUTH_TOKEN, which goes into ``run/nats.conf`` with mode 0600 and into no argument.

Python 3.9 or later, standard library only.
"""

import json
import os
import sys

CONF = "DYNAMO_SKY_NATS_CONF"
TOKEN = "NATS_AUTH_TOKEN"
EXIT_UNUSABLE = 78  # EX_CONFIG of sysexits.h


def main():
    try:
        conf, token = os.environ.pop(CONF), os.environ.pop(TOKEN)
    except KeyError as error:
        print("%s is not in the environment" % error, flush=True)
        return EXIT_UNUSABLE
    path = os.path.join(os.environ["NODE_DIR"], "run", "nats.conf")
    partial = "%s.%d" % (path, os.getpid())
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write("%sauthorization { token: %s }\n" % (conf, json.dumps(token)))
    os.replace(partial, path)
    command = ["nats-server", "--config", path]
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        print("nats-server: no such program on this node's PATH (%s)" % os.environ.get("PATH", ""), flush=True)
        return 127


if __name__ == "__main__":
    sys.exit(main())
