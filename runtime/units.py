"""The units of a node: puts them on it, takes them off, and tells what they do. Requests of `agent.py`, which
has this module sent with it.

A unit is a set of programs that are started, changed and removed together. Its files in ``units/<unit>/`` are
the node's plan: there is no other copy. They are written by the node's own `plan.py`, since its own
`launch.py` reads them.

Each request can be repeated from any state, so one that was cut off is completed by the next.

    {"apply": {"unit": U, "programs": [specifications], "timeoutSeconds": S, "weights": {"models": [names],
        "seconds": S} or absent, "generation": text that is kept with the unit, or absent}}
        → {"line": progress} and {"waiting": for what}, of a program that was
        started more than once with "again": as "failed", and "since": S; at last {"done": true}, or
        {"failed": {"program": P, "missing": what, "lines": [its last log lines]}}
    {"begin": {"unit": U, "owner": O}} marks the unit as being changed by O, whatever that means to the
        client, until it says {"finish": {"unit": U}} → {"done": true}. Within, an apply with "owner": O is
        no end of the change.
    {"changes": {"unit": U, "programs": [specifications]}} → {"changed": [names of its programs that an apply
        of these would restart or end], "generation": as it was applied last, or null}
    {"call": {"url": U, "body": JSON or null, "seconds": S}} asks from the node, the URL's placeholders filled
        in → {"status": N, "text": answer} or {"error": why there is none}
    {"rollout": {}} → {"rollout": as it was given with `keep`, or null}
    {"remove": {"unit": U}} → {"done": true}
    {"keep": {"units": [U, …], "files": [names] or absent, "rollout": anything or absent}} removes all other
        units, and files that were brought; keeps the last → {"line": progress}, {"done": true}
    {"secrets": {"values": {name: value}, "reread": [names]}} writes the node's secrets, and restarts programs
        that have a changed one, except for those that they read again by themselves → {"done": true}
    {"state": {"seconds": S}} waits so long for supervisor →
        {"supervisor": bool, "programs": [{"name", "unit", "state", "pid", "unfinished": bool,
        "owner": O or null}]}
    {"stop": {"except": [roles]}} stops the programs of all other roles →
        {"graceSeconds": how long what is left may take}
    {"clean": {}} removes the socket that a killed supervisor has left → {"done": true}

The answer is {"silent": true} where a request needs supervisor and none answers.

Python 3.9 or later, standard library only.
"""

import contextlib
import http.client
import json
import os
import shutil
import urllib.error
import urllib.request
import xmlrpc.client

import brought
import files
import weights
from supervision import ALREADY_STARTED, NO_ANSWER, NOT_RUNNING, read_json, state_of
from unit_changes import fill_addresses, replace, uninterrupted, until_healthy

LONGEST_STOP_SECONDS = 3600.0
LOG_LINES = 20
# How the deployment's units are changed; not of this module's concern.
ROLLOUT = "run/rollout.json"


def apply(node, wanted):
    unit, specs, seconds = wanted["unit"], wanted["programs"], wanted["timeoutSeconds"]
    with node.lock(unit, seconds):
        # After a failed change Pulumi keeps the previous input; reverting to it makes no difference to
        # Pulumi, while the node has the changed programs.
        files.write_private(node.mark(unit), json.dumps(wanted.get("owner")))
        wants = wanted.get("weights") or {"models": [], "seconds": 0}
        # What runs serves on meanwhile.
        lines = weights.ensure(node, wants["models"], wants["seconds"])
        if lines is not None:
            failed = {"program": specs[0]["name"], "missing": "the weights of its model", "lines": lines}
            node.say({"failed": failed})
            return
        with uninterrupted():
            replace(node, unit, specs)
        late = until_healthy(node, specs, seconds)
        if late is not None:
            name, missing = late
            lines = node.lines(name)[-LOG_LINES:]
            node.say({"failed": {"program": name, "missing": missing, "lines": lines}})
            return
        write_or_remove(generation_path(node, unit), wanted.get("generation"))
        if wanted.get("owner") is None:
            os.unlink(node.mark(unit))
    node.say({"done": True})


def generation_path(node, unit):
    return node.path("run", unit + ".generation.json")


def write_or_remove(path, value):
    if value is not None:
        files.write_private(path, json.dumps(value))
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def begin(node, wanted):
    files.write_private(node.mark(wanted["unit"]), json.dumps(wanted["owner"]))
    node.say({"done": True})


def finish(node, wanted):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(node.mark(wanted["unit"]))
    node.say({"done": True})


def read_mark(node, unit):
    """Whether the unit's change has not ended, and who has begun it. Read once: its end removes the mark."""
    try:
        with open(node.mark(unit), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return False, None
    # Older marks are empty.
    return True, json.loads(text) if text else None


def changes(node, wanted):
    """Supervisor restarts a program whose configuration differs, and that holds a digest of the program."""
    import plan

    unit = wanted["unit"]
    planned = plan.unit_files(unit, wanted["programs"])
    changed = []
    for spec in node.programs(unit):
        path = "%s/%s/%s.conf" % (files.UNITS, unit, spec["name"])
        with contextlib.suppress(FileNotFoundError), open(node.path(path), encoding="utf-8") as file:
            if file.read() != planned.get(path):
                changed.append(spec["name"])
    node.say({"changed": changed, "generation": read_json(generation_path(node, unit))})


def call(node, wanted):
    import launch

    fill_addresses(node)
    body = wanted["body"]
    request = urllib.request.Request(
        launch.fill_in(wanted["url"]),
        data=None if body is None else body.encode(),
        headers={"content-type": "application/json"},
    )
    # Bypasses proxies of the environment: what is asked is in the same cluster.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            answer = opener.open(request, timeout=wanted["seconds"])
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            node.say({"status": answer.status, "text": answer.read().decode("utf-8", "replace")})
    except (OSError, ValueError, http.client.HTTPException) as error:
        node.say({"error": str(getattr(error, "reason", error)) or type(error).__name__})


def rollout(node, _wanted):
    node.say({"rollout": read_json(node.path(ROLLOUT))})


def remove_unit(node, unit):
    with node.lock(unit), uninterrupted():
        node.stop(node.programs(unit))
        with node.lock("node"):
            shutil.rmtree(node.path(files.UNITS, unit), ignore_errors=True)
            node.reload()
        for path in (node.mark(unit), generation_path(node, unit)):
            write_or_remove(path, None)


def remove(node, wanted):
    remove_unit(node, wanted["unit"])
    node.say({"done": True})


def keep(node, wanted):
    others = [unit for unit in node.units() if unit not in wanted["units"]]
    for unit in others:
        node.say({"line": "stopping %s, which the deployment no longer has" % unit})
    node.at_once(lambda unit: node.stop(node.programs(unit)), others)
    for unit in others:
        remove_unit(node, unit)
    if "files" in wanted:
        brought.forget_others(node, wanted["files"])
    if "rollout" in wanted:
        write_or_remove(node.path(ROLLOUT), wanted["rollout"])
    node.say({"done": True})


def secrets(node, wanted):
    """All values of the node. What is in `reread` is read again by programs that run."""
    import plan

    path, left = node.path(files.SECRETS), node.path("run", "secrets-to-read")
    values, before = wanted["values"], read_json(path) or {}
    differ = {name for name in {*before, *values} if before.get(name) != values.get(name)}
    # In a file, since another agent goes on where this one was cut off.
    stale = sorted({*differ, *(read_json(left) or [])} - set(wanted["reread"]))
    files.write_private(left, json.dumps(stale))
    if differ:
        files.write_private(path, json.dumps(values))
    users = [
        spec["name"]
        for specs in node.units().values()
        for spec in specs
        if set(stale) & set(plan.secrets_of([spec]))
    ]

    def start_again(name):
        node.say({"line": "restarting %s, for which a secret has changed" % name})
        node.call("stopProcess", name, True, seconds=LONGEST_STOP_SECONDS, fine=NOT_RUNNING)
        node.call("startProcess", name, False, fine=ALREADY_STARTED)

    with uninterrupted():
        node.at_once(start_again, users)
    os.unlink(left)
    if differ and before and not users:
        node.say({"line": "new keys and certificate are on the node: nothing is started anew"})
    node.say({"done": True})


def state(node, wanted):
    node.until_answers(wanted["seconds"])
    try:
        infos = node.infos()
    except NO_ANSWER:
        infos = None
    programs = []
    for unit, specs in node.units().items():
        unfinished, owner = read_mark(node, unit)
        for spec in specs:
            name = spec["name"]
            seen = (infos or {}).get(name)
            programs.append(
                {
                    "name": name,
                    "unit": unit,
                    "state": state_of(seen, node.history(name)),
                    "pid": seen["pid"] if seen else 0,
                    "unfinished": unfinished,
                    "owner": owner,
                }
            )
    node.say({"supervisor": infos is not None, "programs": programs})


def stop(node, wanted):
    """Supervisor's own shutdown stops programs one by one, and those that others need while they stop with
    them."""
    specs = [spec for specs in node.units().values() for spec in specs]
    # Those that do not stop are killed by the client, with the node's other processes.
    with contextlib.suppress(OSError, xmlrpc.client.Error):
        node.stop([spec for spec in specs if spec["role"] not in wanted["except"]])
    node.say({"graceSeconds": max([spec["stopSeconds"] for spec in specs], default=0)})


def clean(node, _wanted):
    import node as own

    own.remove_short_paths(node.directory)
    node.say({"done": True})


VERBS = {
    "secrets": secrets,
    "apply": apply,
    "begin": begin,
    "finish": finish,
    "changes": changes,
    "call": call,
    "lacking": brought.lacking,
    "bring": brought.bring,
    "rollout": rollout,
    "remove": remove,
    "keep": keep,
    "state": state,
    "stop": stop,
    "clean": clean,
}
WITHOUT_SUPERVISOR = ("state", "begin", "finish", "changes", "call", "rollout", "lacking", "bring", "clean")


def carry_out(node, verb, wanted, seconds):
    """@param seconds: how long to wait for supervisor"""
    if verb not in WITHOUT_SUPERVISOR and not node.until_answers(seconds):
        node.say({"silent": True})
    else:
        VERBS[verb](node, wanted)
