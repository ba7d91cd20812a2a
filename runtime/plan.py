"""The plan of a task → the programs of each node, and their files. Used by ``start.py`` and `units.py`.

A plan (YAML or JSON) is a list of programs. Fields shared by several programs are written once, in an entry
with nested ``programs``, which inherit them; ``env`` and ``waits`` are merged, any other field is overridden
by the inner value:

    programs:
    - name: etcd                  # `<role>`, `<role>-<replica>`, or `<role>-<replica>-rank<rank>` if rank > 0
      node: 0                           # rank of the node that runs it. Default: 0
      command: etcd --name etcd …       # split into words as by a shell, but run without one
      ports: {client: 2379}             # by purpose; {mpi: 27000-27003} is mpi, mpi1, mpi2, mpi3
      health: http://127.0.0.1:2379/health
      secrets: [ETCD_AUTH_PASSWORD]     # variables from the node's secrets file
      stopSeconds: 10                   # between SIGTERM and SIGKILL. Default: 30
    - env: {DYN_NAMESPACE: dynamo}
      # must answer before it is started, within 120 seconds; another limit:
      # {etcd: {at: "http://127.0.0.1:2379/health", seconds: 60}}
      waits: {etcd: "http://127.0.0.1:2379/health", nats: "tcp://127.0.0.1:4222"}
      command: python3 -m dynamo.sglang --port {{PORT.engine}} …
      programs:
      - {name: decode-0, gpus: [0], ports: {engine: 31000}}
      - {name: decode-1, gpus: [1], ports: {engine: 31001}}

Further fields: ``files`` (text by name, written to ``run/<program>/`` before each start, {{SECRET.<name>}}
filled in), ``lockstep``, ``mpi`` and ``watch`` (`plan/types.ts`).

``{{PORT.<purpose>}}`` and ``{{NAME}}`` are replaced by the values of the program's own entry, ``{{MODEL}}``
by the task's environment variable of that name. All other placeholders are filled in by `launch.py`.
`plan/compact.ts` writes plans.

Python 3.9 or later, standard library only.
"""

import glob
import hashlib
import json
import math
import os
import re
import shlex

from files import UNITS, write_private

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PLACE = re.compile(r"(?P<role>[a-z]+)(-(?P<replica>[0-9]+)(-rank(?P<rank>[0-9]+))?)?")
OWN = re.compile(r"\{\{(NAME|MODEL|PORT\.[A-Za-z0-9]+)\}\}")
SECRET = re.compile(r"\{\{SECRET\.([A-Za-z_][A-Za-z0-9_]*)\}\}")
WAIT_SECONDS = 120
DEFAULTS = {"node": 0, "gpus": [], "ports": {}, "env": {}, "secrets": [], "waits": {}, "stopSeconds": 30}
# Fields of inner entries are added to those of outer ones.
ADDED = ("env", "waits")
FIELDS = {*DEFAULTS, "name", "command", "health", "files", "lockstep", "mpi", "watch", "programs"}
# How long an engine's launcher may take to stop beyond the engine's `stopSeconds`: it kills the engine's
# remaining processes, and in a replica over several nodes lets rank 0 stop first, and then takes
# GRACE_SECONDS of child.py itself.
LAUNCHER_STOP_SECONDS = 10
# The parts of a program whose change restarts it, and nothing else.
STARTED_WITH = (
    "name",
    "command",
    "env",
    "secretEnv",
    "files",
    "gpus",
    "waitsFor",
    "lockstep",
    "mpi",
    "watch",
    "brought",
)

# http://supervisord.org/configuration.html; `silent` keeps its log out of its own standard output.
SUPERVISORD_CONF = """[supervisord]
nodaemon=true
silent=true
umask=077
logfile=logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile=run/supervisord.pid
minfds=1024

[unix_http_server]
file=%(ENV_DYNAMO_SKY_SOCKET)s
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%(ENV_DYNAMO_SKY_SOCKET)s

[include]
files=units/*/*.conf
"""

# Supervisor's own give-up logic (startsecs, startretries, FATAL) is disabled: a program is restarted for as
# long as its node runs, regardless of its exit code, and launch.py slows a crashing one down. It is stopped
# by one signal to its main process, which stops its children in the right order (`child.py`). The digest
# makes supervisor notice a change of the specification, which is in a separate file.
PROGRAM_CONF = """[program:{name}]
command=python3 launch.py units/{unit}/{name}.json
environment=DYNAMO_SKY_SPEC="{digest}"
autostart=true
autorestart=true
startsecs=0
startretries=1000000
stopsignal=TERM
stopwaitsecs={stop}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


class BadPlan(Exception):
    """A mistake in the plan, with a message for the user."""


def nodes_of(plan, model=None):
    """Specifications of all programs, as read by `launch.py`, by rank of their node.

    @param model: value of {{MODEL}}
    @raises BadPlan
    """
    nodes = {}
    for entry in leaves(plan, {}):
        spec = specification(entry, model)
        programs = nodes.setdefault(entry["node"], [])
        if any(other["name"] == spec["name"] for other in programs):
            raise BadPlan("two programs of node %d are named '%s'" % (entry["node"], spec["name"]))
        programs.append(spec)
    return nodes


def leaves(entry, outer):
    """The entries of single programs, merged with the entries around them."""
    unknown = sorted(set(entry) - FIELDS)
    if unknown:
        raise BadPlan("unknown field '%s'. Allowed: %s" % (unknown[0], ", ".join(sorted(FIELDS))))
    whole = {**outer, **entry}
    for field in ADDED:
        if field in outer and field in entry:
            whole[field] = {**outer[field], **entry[field]}
    inner = whole.pop("programs", None)
    if inner is None:
        return [{**DEFAULTS, **whole}]
    return [leaf for one in inner for leaf in leaves(one, whole)]


def specification(entry, model):
    """A program in the form of `ProgramPlan` of `plan/types.ts`."""
    for field in ("name", "command", "health"):
        if field not in entry:
            raise BadPlan("program '%s' has no %s" % (entry.get("name", "?"), field))
    name = entry["name"]
    place = PLACE.fullmatch(name)
    if place is None:
        raise BadPlan(
            "'%s' is no name of a program: <role>, <role>-<replica> or <role>-<replica>-rank<rank>" % name
        )
    ports = ports_of(entry["ports"])
    values = {"NAME": name, "MODEL": model}
    values.update({"PORT." + purpose: str(port) for purpose, port in ports.items()})

    def filled(value):
        if isinstance(value, str):
            return OWN.sub(lambda match: values.get(match[1]) or match[0], value)
        if isinstance(value, list):
            return [filled(one) for one in value]
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        return value

    waits = {
        name: where if isinstance(where, dict) else {"at": where} for name, where in entry["waits"].items()
    }
    return {
        "name": name,
        "role": place["role"],
        "replica": int(place["replica"] or 0),
        "rank": int(place["rank"] or 0),
        # Split first: a value with a space is still one word.
        "command": filled(shlex.split(entry["command"])),
        "env": filled(entry["env"]),
        "secretEnv": entry["secrets"],
        "gpus": entry["gpus"],
        "ports": ports,
        "waitsFor": [
            {
                "name": name,
                "probe": probe(filled(wait["at"])),
                "timeoutSeconds": wait.get("seconds", WAIT_SECONDS),
            }
            for name, wait in waits.items()
        ],
        "health": probe(filled(entry["health"])),
        "stopSeconds": entry["stopSeconds"],
        **{field: filled(entry[field]) for field in ("files", "lockstep", "mpi", "watch") if field in entry},
    }


def ports_of(written):
    """Port by purpose; a range is numbered."""
    ports = {}
    for purpose, value in written.items():
        first, _, last = str(value).partition("-")
        for number, port in enumerate(range(int(first), int(last or first) + 1)):
            ports["%s%d" % (purpose, number) if number else purpose] = port
    return ports


def probe(where):
    """``http://…``, or ``tcp://host:port``."""
    if not where.startswith("tcp://"):
        return {"kind": "http", "url": where}
    host, _, port = where[len("tcp://") :].rpartition(":")
    return {"kind": "tcp", "host": host, "port": int(port)}


def secrets_of(specs):
    """Names of the secrets that programs, or their launchers, read from the node's secrets file."""
    names = [name for spec in specs for name in spec["secretEnv"]]
    names += [
        name for spec in specs for text in spec.get("files", {}).values() for name in SECRET.findall(text)
    ]
    return sorted({*names, *(spec["lockstep"]["secret"] for spec in specs if "lockstep" in spec)})


def unit_of(spec):
    """The unit of a program: a service, or one replica, whose programs are started, changed and removed
    together. Named after its first rank's program."""
    return re.sub(r"-rank[0-9]+$", "", spec["name"])


def unit_files(unit, specs):
    """Text by path, relative to the node's directory."""
    check_name("unit", unit)
    files = {}
    for spec in specs:
        check_name("program", spec["name"])
        path = "%s/%s/%s" % (UNITS, unit, spec["name"])
        if path + ".json" in files:
            raise BadPlan("two programs of unit '%s' are named '%s'" % (unit, spec["name"]))
        has_launcher = spec["gpus"] or "lockstep" in spec
        stop = math.ceil(spec["stopSeconds"]) + (LAUNCHER_STOP_SECONDS if has_launcher else 0)
        files[path + ".conf"] = PROGRAM_CONF.format(
            name=spec["name"], unit=unit, digest=digest(spec), stop=stop
        )
        files[path + ".json"] = json.dumps(spec, sort_keys=True, indent=2) + "\n"
    return files


def digest(spec):
    parts = {part: spec[part] for part in STARTED_WITH if part in spec}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def check_name(what, name):
    if not NAME.fullmatch(name):
        raise BadPlan(
            "'%s' is no name for a %s: it must consist of lower-case letters, digits and single hyphens."
            % (name, what)
        )


def given(directory):
    """Specifications that were written into a node's directory."""
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), UNITS, "*", "*.json"))):
        with open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    return found


def write_unit(directory, unit, specs):
    os.makedirs(os.path.join(directory, UNITS, unit), mode=0o700, exist_ok=True)
    for path, text in unit_files(unit, specs).items():
        write_private(os.path.join(directory, path), text)
