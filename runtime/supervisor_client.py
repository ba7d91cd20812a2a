"""Client of a node's supervisor, by XML-RPC through its socket: http://supervisord.org/api.html. Standard
library only, Python 3.9 or later.

Run as a program it serves `local/supervisor.ts` on this machine, until the end of its standard input: each
line is a call, answered by one line once it is done; calls run at the same time.

    {"id": I, "node": directory, "method": M, "args": [...], "seconds": S} → {"id": I, "result": R}, or with
    "error": text, and "fault": code if supervisor returned it

M is one of supervisor's methods, or `removeSocket`, for the socket of a supervisor that was killed.
"""

import contextlib
import http.client
import json
import os
import socket
import sys
import threading
import xmlrpc.client


class Transport(xmlrpc.client.Transport):
    """With a timeout, which supervisor's own transport does not have."""

    def __init__(self, path, seconds):
        super().__init__()
        self.path, self.seconds = path, seconds

    def make_connection(self, host):
        connection = http.client.HTTPConnection("localhost", timeout=self.seconds)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(self.seconds)
        connection.sock.connect(self.path)
        return connection


def supervisor_at(path, seconds):
    """A proxy with its methods."""
    return xmlrpc.client.ServerProxy("http://localhost", transport=Transport(path, seconds)).supervisor


def outcome(call):
    from node import socket_path  # not where the agent is piped into a node of another version

    path = socket_path(call["node"])
    if call["method"] == "removeSocket":
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return {"result": True}
    try:
        return {"result": getattr(supervisor_at(path, call["seconds"]), call["method"])(*call["args"])}
    except xmlrpc.client.Fault as fault:
        return {"error": fault.faultString, "fault": fault.faultCode}
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        return {"error": str(error) or type(error).__name__}


def serve():
    printing = threading.Lock()

    def answer(call):
        line = json.dumps({"id": call["id"], **outcome(call)})
        with printing:
            print(line, flush=True)

    for line in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    serve()
