#!/usr/bin/env python3
"""Node agent: reports status, prints logs, and changes the units and secrets of a node.

`lib/agent.ts` pipes it, with the modules it imports before it and the request after it, into a Python process
on this machine or through SkyPilot's ssh. So the client and the node need not have the same version, and no
command line holds a value of a secret. The request is JSON; each answer is one line of JSON on standard
output. Values of the node's secrets file never leave it: they are masked in log lines.

    {"dir": D, "sky": {"cluster": C, "rank": R} or null, "report": {"programs": [names], "frontends": {name:
    port}, "model": M, "series": [names],
                          "times": N or null, "every": seconds}}
    {"dir": D, "sky": …, "logs": {"programs": [names], "tail": N or null, "since": seconds since 1970 or null,
    "follow": bool}}
    {"dir": D, "sky": …, "decision": {"done": id or null}} as in `decisions.py`
    {"dir": D, "sky": …, "asked": {}} how long ago a request came that no worker was there for
    {"dir": D, "sky": …, "secrets" | "apply" | "remove" | "keep" | "state" | "stop": …} as in `units.py`

Python 3.9 or later, standard library only, since it runs with any interpreter of the node.
"""

import glob
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

import decisions
import files
import processes
import supervision
import units
from supervisor_client import supervisor_at

ASK_SECONDS = 4.0
FOLLOW_SECONDS = 0.25
# While nothing is logged, a write is the only way to notice that the client has disconnected.
HEARTBEAT_SECONDS = 2.0
RUNNING_SECONDS = 60.0
END_BYTES = 65536
HISTORY_BYTES = 262144
END_LINES = 12
# Of a program that does not run well: its cause may be far above its last line.
TROUBLED_LINES, TROUBLED_SECONDS = 200, 600.0
LONGEST_LINE = 16384
EXITED = re.compile(r"^(\S+ \S+),\d+ \w+ exited: (\S+) \(([^;)]*)")
# Shorter parts of a secret's value are words such as a key's name.
SHORTEST_SECRET = 12


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Redaction:
    """Masks values of the node's secrets file."""

    def __init__(self, node_dir):
        self.pieces = []
        try:
            with open(os.path.join(node_dir, files.SECRETS), encoding="utf-8") as file:
                values = [str(value) for value in json.load(file).values()]
        except (OSError, ValueError, AttributeError):
            values = []
        for value in values:
            # A value may be a list of named keys: `name:key,name:key@until`.
            for piece in {value, *re.split(r"[,:@\s]+", value)}:
                if len(piece) >= SHORTEST_SECRET:
                    self.pieces.append(piece)
        self.pieces.sort(key=len, reverse=True)

    def __call__(self, line):
        for piece in self.pieces:
            line = line.replace(piece, "[secret]")
        return line[:LONGEST_LINE]


def end_of(path, size):
    """The last bytes of a file as lines, without the truncated first one; empty if there is no such file."""
    try:
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            file.seek(max(0, length - size))
            lines = file.read(size).decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    return [line for line in (lines[1:] if length > size else lines) if line.strip()]


def last_lines(node_dir, program, redact):
    path = os.path.join(node_dir, "logs", program + ".log")
    return [redact(line) for line in end_of(path, END_BYTES)]


def supervised(node_dir):
    """Supervisor's process info by name; None if it does not answer."""
    try:
        import node  # the node's own module, which has the socket's path

        supervisor = supervisor_at(node.socket_path(node_dir), ASK_SECONDS)
        return {info["name"]: info for info in supervisor.getAllProcessInfo()}
    except Exception:  # any error means that there is no supervisor to ask
        return None


def crash_seconds(node_dir):
    """How soon after its start an exit counts as a crash, from the launcher of this node."""
    try:
        import launch

        return launch.CRASH_SECONDS
    except Exception:  # a node that was never started
        return None


def exits(node_dir):
    """When and how programs exited by themselves, from supervisor's log; oldest first."""
    log = os.path.join(node_dir, "logs", "supervisord.log")
    found = {}
    for path in (log + ".1", log):
        for line in end_of(path, HISTORY_BYTES):
            match = EXITED.match(line)
            if match:
                at = time.mktime(time.strptime(match.group(1), "%Y-%m-%d %H:%M:%S"))
                found.setdefault(match.group(2), []).append({"at": at, "how": match.group(3)})
    return found


def address(node_dir):
    """Address of frontends, as seen from the node: a local node has its own address."""
    try:
        with open(os.path.join(node_dir, "node.json"), encoding="utf-8") as file:
            return json.load(file)["address"]
    except (OSError, ValueError, KeyError):
        return "127.0.0.1"


def get(url):
    # Bypasses proxies of the environment: both programs are on the same node.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=ASK_SECONDS) as answer:
        return answer.read().decode("utf-8", "replace")


def frontend(base, model, series):
    try:
        metrics = [line for line in get(base + "/metrics").split("\n") if line.startswith(tuple(series))]
    except (OSError, ValueError) as error:
        return {"error": str(getattr(error, "reason", error))}
    try:
        return {"metrics": metrics, "ready": json.loads(get("%s/v1/models/%s/ready" % (base, model)))}
    except (OSError, ValueError) as error:
        # The model is not listed until a worker has registered.
        return {"metrics": metrics, "error": str(getattr(error, "reason", error))}


def is_unhealthy(state, ends):
    return (
        state is None
        or state["statename"] != "RUNNING"
        or (bool(ends) and time.time() - ends[-1]["at"] < TROUBLED_SECONDS)
    )


def report(node_dir, wanted, redact):
    states = supervised(node_dir)
    ended = exits(node_dir)
    host = address(node_dir)
    programs = {}
    for name in wanted["programs"]:
        state = (states or {}).get(name)
        ends = ended.get(name, [])[-50:]
        history = supervision.read_json(os.path.join(node_dir, "run", name + ".json"))
        lines = last_lines(node_dir, name, redact)
        programs[name] = {
            "state": supervision.state_of(state, history),
            "start": state and state["start"],
            "history": history,
            "exits": ends,
            "lines": lines[-(TROUBLED_LINES if is_unhealthy(state, ends) else END_LINES) :],
        }
    return {
        "at": time.time(),
        "exists": os.path.isdir(os.path.join(node_dir, "logs")),
        "supervisor": states is not None,
        "crashSeconds": crash_seconds(node_dir),
        "notes": supervision.read_json(os.path.join(node_dir, files.NOTES)) or [],
        "programs": programs,
        "frontends": {
            name: frontend("http://%s:%d" % (host, port), wanted["model"], wanted["series"])
            for name, port in wanted["frontends"].items()
        },
    }


def reports(node_dir, wanted):
    redact = Redaction(node_dir)
    left = wanted["times"]
    due = time.monotonic()
    while left is None or left > 0:
        say(report(node_dir, wanted, redact))
        left = None if left is None else left - 1
        due = max(due + wanted["every"], time.monotonic())
        if left != 0:
            time.sleep(max(0.0, due - time.monotonic()))


class LogFile:
    """A program's log including supervisor's rotated files: `x.log` becomes `x.log.1`, then `x.log.2`."""

    def __init__(self, node_dir, program, redact):
        self.path = os.path.join(node_dir, "logs", program + ".log")
        self.program = program
        self.redact = redact
        self.file = None
        self.rest = b""

    def earlier(self, since):
        """The rotated files with lines of the requested time, oldest first."""
        found = sorted(glob.glob(glob.escape(self.path) + ".[0-9]*"), key=os.path.getmtime)
        return [path for path in found if since is None or os.path.getmtime(path) >= since]

    def send(self, data):
        *whole, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > LONGEST_LINE:
            whole, self.rest = [*whole, self.rest], b""
        for line in whole:
            self.send_line(line)

    def send_line(self, line):
        text = line.decode("utf-8", "replace").rstrip("\r")
        if text.strip():
            say({"program": self.program, "line": self.redact(text)})

    def begin(self, tail, since):
        """Returns the existing lines, and continues from the end."""
        try:
            self.file = open(self.path, "rb")
        except OSError:
            return
        if tail is None:
            for path in self.earlier(since):
                with open(path, "rb") as file:
                    self.send(file.read())
            if since is None or os.fstat(self.file.fileno()).st_mtime >= since:
                self.send(self.file.read())
            else:
                self.file.seek(0, os.SEEK_END)
        else:
            self.tail(tail)

    def tail(self, count):
        """The last lines, including rotated files."""
        data = self.file.read()
        for path in reversed(self.earlier(None)):
            if data.count(b"\n") >= count:
                break
            with open(path, "rb") as file:
                data = file.read() + data
        *whole, self.rest = data.split(b"\n")
        for line in whole[-count:] if count > 0 else []:
            self.send_line(line)

    def go_on(self):
        """Lines written since the last call, also if the file was rotated or truncated in between."""
        if self.file is not None:
            self.send(self.file.read())
        try:
            now = os.stat(self.path)
        except OSError:
            return
        if self.file is not None:
            own = os.fstat(self.file.fileno())
            if own.st_ino == now.st_ino and self.file.tell() <= now.st_size:
                return
            self.send(self.file.read())
            self.file.close()
        self.file = open(self.path, "rb")
        self.send(self.file.read())

    def finish(self):
        """Returns a last line without its line feed."""
        if self.rest:
            self.send_line(self.rest)
            self.rest = b""


def logs(node_dir, wanted):
    if not os.path.isdir(os.path.join(node_dir, "logs")):
        sys.exit("nothing of the deployment is on it (no %s/logs)" % node_dir)
    redact = Redaction(node_dir)
    # Some programs log in the node's time zone.
    say({"offset": time.localtime().tm_gmtoff})
    opened = [LogFile(node_dir, program, redact) for program in wanted["programs"]]
    for file in opened:
        file.begin(wanted["tail"], wanted["since"])
    if not wanted["follow"]:
        for file in opened:
            file.finish()
        return
    say({"following": True})
    beat = time.monotonic()
    while True:
        time.sleep(FOLLOW_SECONDS)
        for file in opened:
            file.go_on()
        if time.monotonic() - beat >= HEARTBEAT_SECONDS:
            beat = time.monotonic()
            say({})


def seconds_since_asked(node_dir):
    """None if nobody has. The node's clock may be another than that of who asks."""
    try:
        return max(0.0, time.time() - os.stat(os.path.join(node_dir, files.ASKED)).st_mtime)
    except FileNotFoundError:
        return None


def directory_of(place, usual):
    """Directory of a node on SkyPilot."""
    running = processes.node_directory(place["cluster"], place["rank"])
    if running is not None:
        return running
    home = os.path.expanduser("~")
    below = os.path.relpath(usual, home)
    on_slurm = os.path.join(home, ".sky_clusters", os.environ.get("SKY_CLUSTER_NAME", ""), below)
    return on_slurm if os.path.isdir(on_slurm) else usual


def until_running(place):
    """Waits for a task that has just started, and is still writing its files."""
    deadline = time.monotonic() + RUNNING_SECONDS
    while True:
        directory = processes.node_directory(place["cluster"], place["rank"])
        if directory is not None:
            return directory
        if time.monotonic() > deadline:
            sys.exit("no supervisor of %s runs on node %d" % (place["cluster"], place["rank"]))
        time.sleep(FOLLOW_SECONDS)


def main():
    request = json.load(sys.stdin)
    node_dir = os.path.abspath(os.path.expanduser(request["dir"]))
    changes = [verb for verb in units.VERBS if verb in request]
    if request.get("sky"):
        waits = changes and changes != ["state"]
        node_dir = until_running(request["sky"]) if waits else directory_of(request["sky"], node_dir)
    # The node has its own `node.py` and `launch.py`.
    sys.path.insert(0, node_dir)
    sys.dont_write_bytecode = True
    try:
        if "report" in request:
            reports(node_dir, request["report"])
        elif "logs" in request:
            logs(node_dir, request["logs"])
        elif "decision" in request:
            say(decisions.answer(node_dir, request["decision"]))
        elif "asked" in request:
            say({"secondsAgo": seconds_since_asked(node_dir)})
        else:
            [verb] = changes
            redact = Redaction(node_dir)
            node = supervision.Node(node_dir, say, lambda name: last_lines(node_dir, name, redact))
            # On SkyPilot nobody else starts it.
            units.carry_out(node, verb, request[verb], RUNNING_SECONDS if request.get("sky") else 0)
    except BrokenPipeError:
        # The client has disconnected. Without this Python would report the broken pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
