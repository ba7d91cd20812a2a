"""Brings a unit's programs to what is planned, and waits until they are healthy: the steps of an `apply` of
`units.py`.

Python 3.9 or later, standard library only.
"""

import contextlib
import os
import signal
import time

import files
from supervision import (
    ALREADY_ADDED,
    ALREADY_STARTED,
    LONGEST_PAUSE_SECONDS,
    read_json,
    state_of,
)

# While nothing changes, a write is the only way to notice that the client has disconnected.
HEARTBEAT_SECONDS = 2.0
# Of several starts, each with a trace.
RESTARTED_LINES = 1000
# States that supervisor does not leave by itself: http://supervisord.org/subprocess.html#process-states
STOPPED = ("STOPPED", "EXITED", "FATAL")
WAITING = {
    "STARTING": "it waits for what it needs",
    "BACKOFF": "it ended right after its start, and is held back",
}


@contextlib.contextmanager
def uninterrupted():
    """Between the stop of a program and its start a signal must not end this process: it waits until then."""
    signals, came = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), []
    before = [signal.signal(one, lambda number, _: came.append(number)) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before):
            signal.signal(one, handler)
        for number in came[:1]:
            os.kill(os.getpid(), number)


def replace(node, unit, specs):
    """Brings supervisor and the unit's files to what is planned. Changes of other units are left to those."""
    import plan

    names = {spec["name"] for spec in specs}
    before = node.programs(unit)
    gone = [spec for spec in before if spec["name"] not in names]
    # Processes first, files last: if this is cut off, the next one still knows them.
    for spec in gone:
        node.say({"line": "stopping %s" % spec["name"]})
    node.stop(gone)
    with node.lock("node"):
        plan.write_unit(node.directory, unit, specs)
        for spec in gone:
            for kind in ("conf", "json"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(node.path(files.UNITS, unit, "%s.%s" % (spec["name"], kind)))
        added, changed, _ = node.reload()
    graces = {spec["name"]: spec for spec in [*specs, *before]}
    changed = [graces[name] for name in changed if name in names]
    for spec in changed:
        node.say({"line": "restarting %s" % spec["name"]})
    node.stop(changed)
    new = [*(spec["name"] for spec in changed), *(name for name in added if name in names)]
    node.at_once(lambda name: node.call("addProcessGroup", name, fine=ALREADY_ADDED), new)
    start_stopped(node, names)


def start_stopped(node, names):
    """A program that was stopped by hand is not restarted automatically."""
    for name, info in node.infos().items():
        if name in names and info["statename"] in STOPPED:
            node.say({"line": "starting %s, which was %s" % (name, info["statename"])})
            node.call("startProcess", name, False, fine=ALREADY_STARTED)


def missing_of(node, spec, infos):
    """What a program is not healthy for; None if it is."""
    import launch

    name, history = spec["name"], node.history(spec["name"])
    # The probe alone is not enough: another process may answer on the port that it could not bind.
    state = state_of(infos.get(name), history)
    if state != "RUNNING":
        return "%s to run: %s" % (name, WAITING.get(state, state))
    probe = launch.filled_probe(spec["health"])
    error = launch.ask(probe)
    if error is None:
        return None
    crashes = (history or {}).get("crashes", 0)
    times = "1 time" if crashes == 1 else "%d times" % crashes
    again = " (it ended right after its start %s)" % times if crashes else ""
    return "%s at %s: %s%s" % (name, launch.describe(probe), error, again)


def restarted(node, missing, since):
    """The last lines of a program that was started more than once, from which the client tells whether the
    next start can end otherwise.

    @param since: when its specification was put on the node, by the node's clock
    """
    for name, what in missing:
        if (node.history(name) or {}).get("starts", 0) > 1:
            lines = node.lines(name)[-RESTARTED_LINES:]
            return {"again": {"program": name, "missing": what, "lines": lines, "since": since}}
    return {}


def fill_addresses(node):
    """Values of the placeholders, for `launch.py`."""
    import node as own

    os.environ.update(read_json(node.path(own.ADDRESSES)) or {}, NODE_DIR=node.directory)


def until_healthy(node, specs, seconds):
    """The first program that is not healthy in time and what was missing, else None."""
    fill_addresses(node)
    begun = beat = time.monotonic()
    # In whole seconds, as the launcher writes starts.
    since = int(time.time())
    pending, pause, told = list(specs), 0.05, None
    while True:
        infos, missing = node.infos(), []
        for spec in list(pending):
            what = missing_of(node, spec, infos)
            if what is None:
                pending.remove(spec)
                waited = time.monotonic() - begun
                node.say({"line": "%s is healthy after %.1f s" % (spec["name"], waited)})
            else:
                missing.append((spec["name"], what))
        now = time.monotonic()
        if not missing or now - begun >= seconds:
            return missing[0] if missing else None
        if missing[0][1] != told or now - beat >= HEARTBEAT_SECONDS:
            told, beat = missing[0][1], now
            node.say(dict({"waiting": told}, **restarted(node, missing, since)))
            if not node.is_heard:
                raise BrokenPipeError
        time.sleep(min(pause, max(0.0, begun + seconds - now)))
        pause = min(LONGEST_PAUSE_SECONDS, pause * 1.3)
