"""A node's directory and its supervisor, as the requests of `units.py` use them.

Python 3.9 or later, standard library only.
"""

import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import sys
import time
import xmlrpc.client

import files
from supervisor_client import supervisor_at

CALL_SECONDS = 15.0
LOCK_SECONDS = 60.0
# Besides a program's own grace: its launcher's, and supervisor's.
STOP_MARGIN_SECONDS = 25.0
LONGEST_PAUSE_SECONDS = 0.5
# `supervisor/xmlrpc.py`
BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 10, 60, 70, 90
# What a call raises where no supervisor answers, or the node's environment is gone.
NO_ANSWER = (OSError, http.client.HTTPException, xmlrpc.client.Error, ImportError)


def state_of(seen, history):
    """State of a program in supervisor's terms: RUNNING, STARTING while its launcher waits for what it needs,
    BACKOFF while the launcher delays the restart of a crashing program (supervisor itself sees the launcher
    and reports both as running), MISSING if supervisor does not know it.

    @param seen: supervisor's process info
    @param history: content of the launcher's `run/<name>.json`
    """
    if seen is None:
        return "MISSING"
    # An exited program is restarted within a second, whatever its exit code.
    if seen["statename"] not in ("RUNNING", "EXITED"):
        return seen["statename"]
    history = history or {}
    if seen["statename"] == "RUNNING" and history.get("pid") == seen["pid"]:
        return "RUNNING"
    return "BACKOFF" if history.get("crashes", 0) > 0 else "STARTING"


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


class Node:
    """A node's directory and its supervisor.

    @param say: sends an answer to the client
    @param lines: the last log lines of a program
    """

    def __init__(self, directory, say, lines):
        self.directory = directory
        self.answer = say
        self.lines = lines
        self.is_heard = True

    def say(self, answer):
        """A client that has disconnected does not keep a change from its end."""
        try:
            if self.is_heard:
                self.answer(answer)
        except BrokenPipeError:
            self.is_heard = False

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def call(self, method, *arguments, seconds=CALL_SECONDS, fine=None):
        """@param fine: a fault's code that means that there is nothing to do"""
        import node

        try:
            supervisor = supervisor_at(node.socket_path(self.directory), seconds)
            return getattr(supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != fine:
                raise
            return None

    def answers(self):
        try:
            self.call("getState", seconds=2.0)
            return True
        except NO_ANSWER:
            return False

    def until_answers(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def infos(self):
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def units(self):
        """Specifications by unit."""
        try:
            names = sorted(os.listdir(self.path(files.UNITS)))
        except FileNotFoundError:
            return {}
        return {unit: self.programs(unit) for unit in names}

    def programs(self, unit):
        try:
            names = sorted(os.listdir(self.path(files.UNITS, unit)))
        except FileNotFoundError:
            return []
        found = [read_json(self.path(files.UNITS, unit, name)) for name in names if name.endswith(".json")]
        return [spec for spec in found if spec is not None]

    def history(self, name):
        return read_json(self.path("run", name + ".json"))

    @contextlib.contextmanager
    def lock(self, name, seconds=LOCK_SECONDS):
        """Held by one agent at a time; it ends with its process."""
        with open(self.path("run", name + ".lock"), "w", encoding="utf-8") as file:
            deadline = time.monotonic() + seconds
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        sys.exit("gave up after %g s: another update works on %s" % (seconds, name))
                    self.say({"waiting": "another update that works on " + name})
                    if not self.is_heard:
                        raise BrokenPipeError from None
                    time.sleep(LONGEST_PAUSE_SECONDS)
            yield

    def mark(self, unit):
        return self.path("run", unit + ".unfinished")

    def reload(self):
        """Names that are new, that differ, and that are gone, of all units."""
        return self.call("reloadConfig")[0]

    def at_once(self, action, items):
        items = list(items)
        with concurrent.futures.ThreadPoolExecutor(max(1, len(items))) as pool:
            list(pool.map(action, items))

    def stop(self, specs):
        """Stops programs, each with its own grace, and makes supervisor forget them."""

        def end(spec):
            name, seconds = spec["name"], spec["stopSeconds"] + STOP_MARGIN_SECONDS
            self.call("stopProcessGroup", name, True, seconds=seconds, fine=BAD_NAME)
            self.call("removeProcessGroup", name, fine=BAD_NAME)

        self.at_once(end, specs)
