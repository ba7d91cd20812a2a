#!/usr/bin/env python3
"""Prometheus exporter for metrics that the programs of a node do not expose themselves: ``exporter.py ADDRESS
PORT [options]``.

- The node's programs, from its supervisor and from the state that `launch.py` writes: which run, how often
  each was started, their memory.
- NATS (``--nats URL`` of its /varz), under the names of NATS's own exporter.
- The gateway (``--nginx URL`` of its stub_status, under the names of nginx's own exporter; ``--nginx-log
  NAME`` of its program: keys and statuses are counted from its log, since nginx does not count them).
- With several clusters (``--etcd URL``, see registry.py): registers this node's address in etcd (``--announce
  NODE``), or serves the other nodes' addresses to Prometheus (``--find FILE`` with the planned targets) at
  /targets/JOB.

`plan/metrics/series.ts` lists all metric names. Environment variables: NODE_DIR, DYNAMO_SKY_SOCKET. Python
3.9 or later, standard library only.
"""

import argparse
import collections
import http.client
import http.server
import json
import os
import re
import shutil
import sys
import threading
import time
import urllib.request
import xmlrpc.client

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
import processes
from supervisor_client import supervisor_at

ASK_SECONDS = 2.0
LOG_SECONDS = 0.5
TICKS = os.sysconf("SC_CLK_TCK")
# `log_format gateway` in plan/programs/gateway.ts, as far as it is needed.
ACCESS = re.compile(rb'^\S+ \S+ key="([^"]*)" "[^"]*" (\d{3}) ')
# Fields of /varz by nats-server's names; its exporter prefixes them with `gnatsd_varz_`.
VARZ = (
    ("connections", "gauge"),
    ("total_connections", "counter"),
    ("in_msgs", "counter"),
    ("out_msgs", "counter"),
    ("in_bytes", "counter"),
    ("out_bytes", "counter"),
    ("slow_consumers", "counter"),
    ("subscriptions", "gauge"),
    ("mem", "gauge"),
)


def history(node_dir, name):
    """State written by `History` in launch.py; empty before the first start."""
    try:
        with open(os.path.join(node_dir, "run", name + ".json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def usage_by_program(node_dir):
    """Memory (bytes) and CPU time (seconds) of each program's living processes.

    A process belongs to a program if it or an ancestor has the mark set by launch.py: nginx overwrites its
    environment.
    """
    prefix = node_dir + "/"
    stats, owners = {}, {}
    for pid in processes.pids():
        # Split after the name, which may hold any character: the first field here is field 3 of proc(5).
        stat = processes.read(pid, "stat").decode("utf-8", "replace").rpartition(")")[2].split()
        if not stat:
            continue
        stats[str(pid)] = stat
        mark = processes.environment_of(pid).get("DYNAMO_SKY_PROGRAM", "")
        if mark.startswith(prefix):
            owners[str(pid)] = mark[len(prefix) :]
    found = collections.defaultdict(lambda: [0, 0.0])
    for entry, fields in stats.items():
        owner = owner_of(entry, stats, owners)
        if owner is not None:
            found[owner][0] += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            found[owner][1] += (int(fields[11]) + int(fields[12])) / TICKS
    return found


def owner_of(entry, stats, owners):
    """The program of a process, from its own mark or the nearest ancestor's."""
    while entry in stats:
        if entry in owners:
            return owners[entry]
        entry = stats[entry][1]
    return None


def fetch(url):
    # Bypasses proxies of the environment: both programs are on the same node.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=ASK_SECONDS) as answer:
        return answer.read().decode()


class Page:
    """Prometheus's text format: https://prometheus.io/docs/instrumenting/exposition_formats/"""

    def __init__(self):
        self.lines = []
        self.kinds = {}

    def add(self, name, kind, value, /, **labels):
        self.kinds.setdefault(name, kind)
        inner = ",".join('%s="%s"' % (key, escaped(text)) for key, text in labels.items())
        self.lines.append((name, "%s%s %s" % (name, "{%s}" % inner if inner else "", repr(value))))

    def text(self):
        """All samples of a metric are grouped, as the format requires."""
        parts = []
        for name, kind in self.kinds.items():
            parts.append("# TYPE %s %s" % (name, kind))
            parts += [line for owner, line in self.lines if owner == name]
        return "\n".join(parts) + "\n"


def escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class AccessLog(threading.Thread):
    """Counts the gateway's responses by key and status from its log, across rotations."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.counts = collections.Counter()
        self.file = None
        self.rest = b""

    def run(self):
        # Existing lines are skipped; a counter may start anywhere.
        self.open(at_end=True)
        while True:
            self.read()
            if self.is_rotated():
                self.read()
                self.open(at_end=False)
            time.sleep(LOG_SECONDS)

    def open(self, at_end):
        if self.file is not None:
            self.file.close()
        self.file, self.rest = None, b""
        try:
            self.file = open(self.path, "rb")
        except OSError:
            return
        if at_end:
            self.file.seek(0, os.SEEK_END)

    def is_rotated(self):
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        return self.file is None or there.st_ino != os.fstat(self.file.fileno()).st_ino

    def read(self):
        if self.file is None:
            return
        for piece in iter(lambda: self.file.read(1 << 16), b""):
            *lines, self.rest = (self.rest + piece).split(b"\n")
            for line in lines:
                match = ACCESS.match(line)
                if match is not None:
                    self.counts[match[1].decode(errors="replace"), match[2].decode()] += 1


class Exporter:
    def __init__(self, node_dir, nats, nginx, log, finder):
        self.node_dir = node_dir
        self.finder = finder
        self.nats = nats
        self.nginx = nginx
        self.log = log

    def page(self):
        page = Page()
        page.add("dynamo_sky_node_disk_free_bytes", "gauge", shutil.disk_usage(self.node_dir).free)
        self.programs(page)
        if self.nats is not None:
            self.ask_nats(page)
        if self.nginx is not None:
            self.ask_nginx(page)
        if self.log is not None:
            for (key, status), count in sorted(self.log.counts.items()):
                page.add("dynamo_sky_gateway_requests_total", "counter", count, key=key, status=status)
        return page.text()

    def programs(self, page):
        usage = usage_by_program(self.node_dir)
        for process in supervisor_at(os.environ["DYNAMO_SKY_SOCKET"], ASK_SECONDS).getAllProcessInfo():
            name = process["name"]
            noted = history(self.node_dir, name)
            # Until the launcher has written its own pid, it is still waiting for the program's dependencies.
            runs = process["statename"] == "RUNNING" and noted.get("pid") == process["pid"]
            memory, cpu = usage.get(name, (0, 0.0))
            page.add("dynamo_sky_program_up", "gauge", int(runs), name=name)
            # From 0 to 1 would count as a restart.
            if noted.get("starts", 0) > 0:
                page.add("dynamo_sky_program_starts_total", "counter", noted["starts"], name=name)
                page.add("dynamo_sky_program_crashes", "gauge", noted.get("crashes", 0), name=name)
                page.add("dynamo_sky_program_start_time_seconds", "gauge", noted.get("at", 0.0), name=name)
            page.add("dynamo_sky_program_resident_memory_bytes", "gauge", memory, name=name)
            page.add("dynamo_sky_program_cpu_seconds_total", "counter", cpu, name=name)

    def ask_nats(self, page):
        try:
            varz = json.loads(fetch(self.nats))
        except (OSError, ValueError):
            page.add("nats_up", "gauge", 0)
            return
        page.add("nats_up", "gauge", 1)
        for name, kind in VARZ:
            if isinstance(varz.get(name), (int, float)):
                page.add("gnatsd_varz_" + name, kind, varz[name])

    def ask_nginx(self, page):
        try:
            # Active connections: 1 / server accepts handled requests / 5 5 9 / Reading: 0 Writing: 1 Waiting:
            # 0
            numbers = [int(number) for number in re.findall(r"\d+", fetch(self.nginx))]
            active, accepted, handled, requests, reading, writing, waiting = numbers
        except (OSError, ValueError):
            page.add("nginx_up", "gauge", 0)
            return
        page.add("nginx_up", "gauge", 1)
        for name, kind, value in (
            ("connections_active", "gauge", active),
            ("connections_accepted", "counter", accepted),
            ("connections_handled", "counter", handled),
            ("http_requests_total", "counter", requests),
            ("connections_reading", "gauge", reading),
            ("connections_writing", "gauge", writing),
            ("connections_waiting", "gauge", waiting),
        ):
            page.add("nginx_" + name, kind, value)


def handler_of(exporter):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/health":
                return self.answer(200, "ok\n")
            if self.path.startswith("/targets/") and exporter.finder is not None:
                return self.targets(self.path[len("/targets/") :])
            if self.path != "/metrics":
                return self.answer(404, "only /metrics and /health are here\n")
            try:
                return self.answer(200, exporter.page())
            except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
                # No metrics rather than wrong ones: Prometheus then reports the node as down.
                return self.answer(503, "the node's supervisor does not answer: %s\n" % error)

        def targets(self, job):
            try:
                return self.answer(200, json.dumps(exporter.finder.targets(job)), "application/json")
            except (OSError, ValueError, KeyError) as error:
                # Prometheus keeps the last list that it received.
                return self.answer(503, "etcd does not tell where the nodes are: %s\n" % error)

        def answer(self, status, text, kind="text/plain; version=0.0.4; charset=utf-8"):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description="Tells Prometheus of a node's programs.")
    parser.add_argument("address", help="address to listen on")
    parser.add_argument("port", type=int)
    parser.add_argument("--nats", help="URL of NATS's /varz")
    parser.add_argument("--nginx", help="URL of the gateway's stub_status")
    parser.add_argument("--nginx-log", help="name of the gateway's program, whose log is read")
    parser.add_argument("--etcd", help="URL of etcd, where there are several clusters")
    parser.add_argument("--announce", help="tell etcd where this node is: its name, cluster/rank")
    parser.add_argument(
        "--find", help="tell Prometheus where the other nodes are: file with what is planned there"
    )
    arguments = parser.parse_args()
    node_dir = os.environ["NODE_DIR"]
    log = None
    if arguments.nginx_log is not None:
        log = AccessLog(os.path.join(node_dir, "logs", arguments.nginx_log + ".log"))
        log.start()
    finder = None
    if arguments.etcd is not None:
        import registry  # only on nodes of a deployment with several clusters

        nodes = registry.Registry(arguments.etcd)
        if arguments.announce is not None:
            registry.Announcer(nodes, arguments.announce, arguments.address).start()
        if arguments.find is not None:
            finder = registry.Finder(nodes, arguments.find)
    exporter = Exporter(node_dir, arguments.nats, arguments.nginx, log, finder)
    server = http.server.ThreadingHTTPServer((arguments.address, arguments.port), handler_of(exporter))
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
