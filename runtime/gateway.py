#!/usr/bin/env python3
"""Runs nginx as the gateway of a deployment: ``gateway.py --listen ADDRESS:PORT …``, started by
``launch.py``.

It authenticates clients by key, limits the requests of a key, and balances requests over the frontends; see
`nginx.conf` beside it. Environment variable: NODE_DIR. The keys are read from the node's ``secrets.json``
(mode 0600) and written in nginx's form into ``run/gateway-keys.conf`` with the same mode, the certificate and
its key likewise into ``run/gateway-tls.pem``; they are in no argument and no message. When the secrets
change, or the grace time of a retired key ends, nginx reloads them without dropping a request. On SIGTERM
this process stops nginx gracefully (SIGQUIT).

Python 3.9 or later, standard library only.
"""

import argparse
import base64
import ctypes
import datetime
import grp
import json
import os
import pwd
import re
import resource
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
import processes
from child import end_all, say
from files import ASKED, SECRETS, Unusable, read_secrets, write_private

SECRET = "DYNAMO_SKY_API_KEY"
TLS = "DYNAMO_SKY_TLS"
# Lower case only: nginx's map lookups are case-insensitive.
KEY = re.compile(r"[a-z0-9_-]{32,200}")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
FORM = "at least 32 lower-case letters, digits, - and _ (such as `openssl rand -hex 32` writes)"
EXIT_UNUSABLE = 78  # EX_CONFIG of sysexits.h
LOOK_SECONDS = 0.5
PR_SET_PDEATHSIG = 1  # linux/prctl.h


# Versions: https://wiki.mozilla.org/Security/Server_Side_TLS, "intermediate".
TLS_DIRECTIVES = """ssl_certificate gateway-tls.pem;
    ssl_certificate_key gateway-tls.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1h;
    ssl_session_tickets off;
    # Plain HTTP where TLS is spoken.
    error_page 497 =400 @plain;"""
# Connection counts: https://nginx.org/en/docs/http/ngx_http_stub_status_module.html
STATUS_SERVER = """server {
    listen %s;
    access_log off;
    location = /stub_status { stub_status; }
    location / { return 404; }
  }"""
ACCESS_LOG = "access_log /dev/stdout gateway buffer=32k flush=1s;"
# When the last request came that no worker was there for: `agent.py` reads the file's time. Not buffered.
ASKED_LOG = "access_log %s asked if=$wakes;" % ASKED
ASKED_BYTES = 1 << 20
# For a model without a worker where nobody has to be woken: one is being started again.
USUAL_SECONDS = 5
NO_WORKER = "The model has no worker at the moment. %s"
SOON = NO_WORKER % "Try again in a moment."
WAKES = NO_WORKER % "If it is asleep, this request wakes it. Try again in %d seconds."
# None is left out for a while after a failure: it is on this node, so asking one that does not run takes no
# time, and one that was just started again is needed before the next one is stopped.
FRONTEND = "server %s max_fails=0;"
PLACEHOLDER = re.compile(r"\{\{([A-Z_]+)\}\}")


def parse_bundle(value):
    """The certificate and its key as PEM, from PEM or base64."""
    text = value
    if not text.lstrip().startswith("-----BEGIN"):
        try:
            text = base64.b64decode(value, validate=True).decode("ascii")
        except ValueError:
            raise Unusable("%s is neither PEM nor base64 of it" % TLS) from None
    for what in ("PRIVATE KEY", "CERTIFICATE"):
        if not re.search("^-----BEGIN (RSA |EC )?%s-----" % what, text, re.MULTILINE):
            raise Unusable("%s has no %s in PEM" % (TLS, what))
    return text


def read_time(name, text):
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise Unusable("%s: the grace time of key %s is no ISO time with a zone" % (SECRET, name))
    return when.timestamp()


def parse_keys(value):
    """Parses ``key`` or ``name:key,name:key@time`` into a list of (name, key, expiry time or None)."""
    keys = []
    for number, entry in enumerate(value.split(",")):
        name, colon, rest = entry.partition(":")
        if not colon:
            name, rest = "default", entry
        key, at, until = rest.partition("@")
        if not NAME.fullmatch(name):
            raise Unusable("%s: entry %d has no proper name before its colon" % (SECRET, number + 1))
        if not KEY.fullmatch(key):
            raise Unusable("%s: the key %s is not usable. Allowed: %s" % (SECRET, name, FORM))
        keys.append((name, key, read_time(name, until) if at else None))
    for what, values in (("name", [key[0] for key in keys]), ("key", [key[1] for key in keys])):
        if len(set(values)) < len(values):
            raise Unusable("%s: two entries have the same %s" % (SECRET, what))
    return keys


class Keys:
    """The keys and the certificate of nginx, kept in step with the secrets and the clock."""

    def __init__(self, node_dir, with_tls):
        self.source = os.path.join(node_dir, SECRETS)
        self.path = os.path.join(node_dir, "run", "gateway-keys.conf")
        self.tls_path = os.path.join(node_dir, "run", "gateway-tls.pem")
        self.names = [SECRET, TLS] if with_tls else [SECRET]
        self.seen = None
        self.keys = []
        self.accepted = None
        self.bundle = None
        self.shown = None

    def look(self):
        """Rewrites nginx's files if they differ; returns whether they did. Raises Unusable for invalid
        secrets."""
        try:
            state = os.stat(self.source)
            seen = (state.st_mtime_ns, state.st_ino, state.st_size)
        except OSError:
            seen = None
        if seen is None or seen != self.seen:
            self.seen = seen
            value, *bundle = read_secrets(os.path.dirname(self.source), self.names).values()
            self.keys, self.bundle = parse_keys(value), parse_bundle(bundle[0]) if bundle else None
        return any([self.show_certificate(), self.accept_keys()])

    def show_certificate(self):
        if self.bundle == self.shown:
            return False
        write_private(self.tls_path, self.bundle)
        self.shown = self.bundle
        return True

    def accept_keys(self):
        now = time.time()
        accepted = [(name, key) for name, key, until in self.keys if until is None or now < until]
        if accepted == self.accepted:
            return False
        write_private(self.path, "".join('"Bearer %s" "%s";\n' % (key, name) for name, key in accepted))
        self.accepted = accepted
        say("accepted keys: %s" % (", ".join(name for name, _ in accepted) or "none"))
        return True


def die_with_parent():
    """nginx overwrites its environment, so nothing could find it once this process is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def keep_short(path):
    """Empties nginx's file, to which it appends."""
    try:
        if os.stat(path).st_size > ASKED_BYTES:
            os.truncate(path, 0)
    except FileNotFoundError:
        pass


def worker_user():
    """nginx's `user` directive: started by root, its workers run as nobody."""
    if os.getuid() != 0:
        return []
    try:
        nobody = pwd.getpwnam("nobody")
        return ["-g", "user nobody %s;" % grp.getgrgid(nobody.pw_gid).gr_name]
    except KeyError:
        return ["-g", "user root;"]


def former_processes(node_dir):
    """nginx processes of an earlier run, by their working directory: it may have been deleted and created
    again."""
    here = os.path.realpath(node_dir)
    named = [pid for pid in processes.pids() if processes.read(pid, "comm").strip() == b"nginx"]
    return [pid for pid in named if processes.directory_of(pid) in (here, here + " (deleted)")]


def start_guard(group):
    """Starts a guard process that kills the process group when this process has exited for any reason.

    If a scheduler kills this process and its children at once, nginx would leave workers that nothing finds
    and that hold the port. So the guard process is detached (double fork), and detects the exit by a pipe
    that only this process holds.
    """
    ending, held = os.pipe()
    child = os.fork()
    if child != 0:
        os.close(ending)
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    os.close(held)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    while os.read(ending, 1):
        pass
    end_group(group)
    os._exit(0)


def end_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def exactly(text):
    """A regular expression that matches exactly these bytes, without characters special to nginx or the
    launcher."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else "\\x%02x" % byte for byte in text.encode()
    )


def in_json(character):
    """All representations of a character in a JSON string."""
    escaped = json.dumps(character)[1:-1]
    ways = {escaped, json.dumps(character, ensure_ascii=False)[1:-1]} | (
        {"\\/"} if character == "/" else set()
    )
    return "(?:%s)" % "|".join(
        "(?i:%s)" % exactly(way) if "\\u" in way else exactly(way) for way in sorted(ways)
    )


def model_in_body(model):
    """Matches `"model": "NAME"`; in a string of the request its quotes would be escaped."""
    quote = exactly('"')
    name = "".join(map(in_json, model))
    return f"~(?<!{exactly(chr(92))}){quote}model{quote}\\s*:\\s*{quote}{name}{quote}"


def nginx_conf(arguments):
    """`nginx.conf` with its placeholders filled in."""
    waking = arguments.waking_seconds
    values = {
        "ACCESS_LOG": ACCESS_LOG,
        # What a location says of logs is instead of what the server does.
        "ASKED": "%s %s" % (ACCESS_LOG, ASKED_LOG) if waking else "",
        "RETRY_AFTER": waking or USUAL_SECONDS,
        "NO_WORKER": WAKES % waking if waking else SOON,
        "LISTEN": arguments.listen + (" ssl" if arguments.tls else ""),
        "TLS": TLS_DIRECTIVES if arguments.tls else "",
        "FRONTENDS": "\n    ".join(FRONTEND % address for address in arguments.frontends.split(",")),
        "MAX_REQUEST_MB": arguments.max_request_mb,
        "REQUESTS_PER_SECOND": arguments.requests_per_second,
        "BURST": arguments.burst,
        "CONNECTIONS_PER_KEY": arguments.connections_per_key,
        "MODEL_URI": "~^/v1/(?:%s)$" % "|".join(exactly(path) for path in arguments.paths.split(",")),
        "MODEL_ITSELF": "~^/v1/models/%s(?:/ready)?$" % exactly(arguments.model),
        "MODEL_IN_BODY": model_in_body(arguments.model),
        "STATUS": STATUS_SERVER % arguments.status if arguments.status else "",
    }
    with open(
        os.path.join(os.path.dirname(os.path.abspath(__file__)), "nginx.conf"), encoding="utf-8"
    ) as file:
        return PLACEHOLDER.sub(lambda match: str(values[match[1]]), file.read())


class Gateway:
    def __init__(self, node_dir, arguments):
        self.node_dir = node_dir
        self.arguments = arguments
        self.keys = Keys(node_dir, with_tls=arguments.tls)
        self.nginx = None
        self.stopping = False

    def start(self):
        conf = os.path.join(self.node_dir, "run", "gateway-nginx.conf")
        self.keys.look()
        write_private(conf, nginx_conf(self.arguments))
        # They would hold the port.
        end_all(lambda: former_processes(self.node_dir))
        # Without the environment, which has the secret; in its own process group, so that a stop signal
        # reaches only this process.
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        command = ["nginx", "-p", self.node_dir, "-c", conf] + worker_user()
        self.nginx = subprocess.Popen(
            command, env=env, cwd=self.node_dir, start_new_session=True, preexec_fn=die_with_parent
        )
        start_guard(self.nginx.pid)

    def stop(self, *_):
        # A second signal does not wait for requests in progress.
        self.nginx.send_signal(signal.SIGTERM if self.stopping else signal.SIGQUIT)
        self.stopping = True

    def refresh(self):
        keep_short(os.path.join(self.node_dir, ASKED))
        try:
            if self.keys.look():
                self.nginx.send_signal(signal.SIGHUP)
        except Unusable as error:
            say("the keys stay as they were: %s" % error)

    def run(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        while True:
            try:
                code = self.nginx.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if not self.stopping:
                    self.refresh()
                continue
            # Workers outlive a killed master, and hold the port.
            end_group(self.nginx.pid)
            if not self.stopping:
                say("nginx ended with %d" % code)
            return 0 if self.stopping else 1


def main():
    parser = argparse.ArgumentParser(description="Runs nginx as the gateway of a deployment.")
    parser.add_argument("--listen", required=True, help="address and port for clients")
    parser.add_argument(
        "--tls", action="store_true", help="speak TLS, with the certificate among the secrets"
    )
    parser.add_argument(
        "--frontends", required=True, help="their addresses and ports, with commas between them"
    )
    parser.add_argument("--model", required=True, help="as requests name it")
    parser.add_argument(
        "--paths", required=True, help="where it answers, below /v1/, with commas between them"
    )
    parser.add_argument("--max-request-mb", type=int, required=True, help="longest request")
    parser.add_argument("--requests-per-second", type=int, required=True, help="of one key")
    parser.add_argument("--burst", type=int, required=True, help="requests of one key beyond that, at once")
    parser.add_argument(
        "--connections-per-key", type=int, required=True, help="requests of one key at a time"
    )
    parser.add_argument(
        "--waking-seconds", type=int, help="a request without a worker wakes some: when to come back"
    )
    parser.add_argument("--status", help="address and port that tell how many connections there are")
    parser.add_argument("--print", action="store_true", help="print nginx's configuration, and start nothing")
    arguments = parser.parse_args()
    if arguments.print:
        print(nginx_conf(arguments), end="")
        return 0
    os.umask(0o077)
    try:
        return Gateway(os.environ["NODE_DIR"], arguments).run()
    except Unusable as error:
        say(str(error))
    except FileNotFoundError:
        say("nginx: no such program on this node's PATH (%s)" % os.environ.get("PATH", ""))
        return 127
    # Supervisor restarts without a pause, so invalid secrets must not cause a busy loop.
    time.sleep(5)
    return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
