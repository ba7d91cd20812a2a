#!/usr/bin/env python3
"""Starts one program of a node: ``launch.py <spec.json>``.

The node's supervisor runs this for every program. It fills in values known only on the node (addresses,
secrets), waits until the services that the program depends on answer, and then becomes the program (exec),
so that signals and exit codes are the program's own. Of an engine, and of what is watched (`health.py`), it
stays the parent instead (`child.py`), keeps the ranks of a replica over several nodes in step
(`lockstep.py`), or starts them as one MPI world (`mpi.py`). No shell is involved at any point.

Environment variables: NODE_DIR, and those of the specification's placeholders (HEAD_IP, NODE_IP, …). Python
3.9 or later, standard library only: it runs on nodes before anything is installed there.

Exit codes: 75 a service or another rank did not answer in time, another rank has ended, or the program hung,
78 the specification or the secrets are invalid, 127 no such program, 126 it cannot be executed.
"""

import json
import os
import re
import sys
import time

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
import certificates
import child
import gpus
import network
from files import Unusable, read_secrets, write_private
from health import ask, describe, watch_of

EXIT_TIMED_OUT = 75  # EX_TEMPFAIL of sysexits.h
EXIT_UNUSABLE = 78  # EX_CONFIG of sysexits.h
# `lib/placeholders.ts` documents them; the node's environment has a variable of the same name for each.
PLACEHOLDER = re.compile(
    r"\{\{(HEAD_IP|CONTROL_IP|RANK_IP_[0-9]+|NODE_IP|NODE_DIR|CLUSTER_DIR|FILES|MODELS)\}\}"
)
# The deployment's files, in the node's directory: `NODE_FILES` of lib/placeholders.ts.
FILES = "files"
# Determined here, as `gpus.OWN_GPUS` is; each is the whole value of a variable, never a part of an argument.
OWN_INTERFACE = "{{NODE_INTERFACE}}"
# Where workers answer a frontend: `plan/programs/frontend.ts`.
RESPONSE_PORT = "DYN_TCP_RESPONSE_STREAM_PORT"
# A secret in one of the program's files.
SECRET = re.compile(r"\{\{SECRET\.([A-Za-z_][A-Za-z0-9_]*)\}\}")
REPORT_EVERY_SECONDS = 10.0
# A program that exits sooner than this after its start is 'crashing', and is restarted after a growing pause.
CRASH_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0


def say(message):
    print(message, flush=True)


def fill_in(text):
    """Replaces placeholders; one without a value on this node is an error, not an empty string."""

    def value_of(match):
        name = match.group(1)
        if name == "FILES":
            return os.path.join(os.environ["NODE_DIR"], FILES)
        if name == "MODELS":
            import models  # only where one came out of a bucket

            return models.share(os.environ["NODE_DIR"])
        if name not in os.environ:
            raise Unusable("{{%s}} is used, but %s is not in this node's environment" % (name, name))
        return os.environ[name]

    return PLACEHOLDER.sub(value_of, text)


def wait_for(wait):
    """Polls until the probe succeeds. Returns whether it did within the time limit."""
    name, probe, limit = wait["name"], wait["probe"], wait["timeoutSeconds"]
    started = reported = time.monotonic()
    error = ask(probe)
    if error is None:
        return True
    say("waiting for %s at %s (at most %g s): %s" % (name, describe(probe), limit, error))
    pause = 0.1
    while error is not None:
        now = time.monotonic()
        if now - started >= limit:
            say(
                "gave up waiting for %s at %s after %d s; last error: %s"
                % (name, describe(probe), now - started, error)
            )
            return False
        if now - reported >= REPORT_EVERY_SECONDS:
            say("still waiting for %s (%d of %g s): %s" % (name, now - started, limit, error))
            reported = now
        time.sleep(min(pause, max(0.0, limit - (now - started))))
        pause = min(1.0, pause * 1.5)
        error = ask(probe)
    say("%s answers after %.1f s" % (name, time.monotonic() - started))
    return True


class History:
    """Start history of the program in `run/<name>.json`, to slow down a crashing one.

    Its `pid` is the process that became the program, or an engine's parent: while it differs from
    supervisor's pid, the program is not running yet, and its launcher is waiting.
    """

    def __init__(self, node_dir, name, digest):
        self.path = os.path.join(node_dir, "run", name + ".json")
        self.state = {"digest": digest, "starts": 0, "crashes": 0, "at": 0.0, "pid": 0}
        try:
            with open(self.path, encoding="utf-8") as file:
                before = json.load(file)
            if before.get("digest") == digest:
                self.state.update(before)
        except (OSError, ValueError):
            pass

    def pause_seconds(self):
        """Counts a crash if the last start was a moment ago; returns how long to delay the next start."""
        crashed = 0 <= time.time() - self.state["at"] < CRASH_SECONDS
        self.state["crashes"] = self.state["crashes"] + 1 if crashed else 0
        self.write()
        return min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(self.state["crashes"] - 1, 10)) if crashed else 0.0

    def record_start(self, assigned):
        """`assigned`: the program's GPUs as CUDA knows them on this machine, empty if it has none."""
        self.state.update(starts=self.state["starts"] + 1, at=time.time(), pid=os.getpid(), gpus=assigned)
        self.write()

    def write(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        write_private(self.path, json.dumps(self.state))


def write_files(spec, node_dir):
    """Writes the program's files atomically, readable by this user only."""
    names = {name for text in spec.get("files", {}).values() for name in SECRET.findall(text)}
    secrets = read_secrets(node_dir, sorted(names))
    directory = os.path.join(node_dir, "run", spec["name"])
    for name, text in spec.get("files", {}).items():
        os.makedirs(directory, mode=0o700, exist_ok=True)
        path = os.path.join(directory, name)
        write_private(path, SECRET.sub(lambda match: secrets[match[1]], fill_in(text)))


def environment_of(spec, node_dir):
    env = dict(os.environ)
    if "mpi" in spec:
        import mpi  # only on nodes with a rank of such a replica

        env = mpi.without_foreign_world(env)
    for name, value in spec["env"].items():
        if value == gpus.OWN_GPUS:
            set_gpus(env, name, spec["gpus"])
        elif value == OWN_INTERFACE:
            set_interface(env, name)
        else:
            env[name] = fill_in(value)
    secrets = read_secrets(node_dir, spec["secretEnv"])
    authority = secrets.pop(certificates.SECRET, None)
    env.update(secrets)
    if authority is not None:
        env.update(certificates.environment(spec, node_dir, authority, own_addresses()))
    # Identifies every process of the program later, even one that left its process group.
    env["DYNAMO_SKY_PROGRAM"] = "%s/%s" % (node_dir, spec["name"])
    return env


def own_addresses():
    """Those by which other programs may reach this node's."""
    given = [os.environ["NODE_IP"]] if "NODE_IP" in os.environ else []
    return [*given, "127.0.0.1", *network.addresses()]


def assigned_gpus(spec, env):
    return [
        gpu for name, value in spec["env"].items() if value == gpus.OWN_GPUS for gpu in env[name].split(",")
    ]


def set_gpus(env, name, numbers):
    """Sets the program's GPUs, which differ from the plan's numbers if the node was allotted only some of the
    machine's."""
    try:
        env[name] = gpus.chosen(numbers, os.environ)
    except gpus.TooFew as error:
        raise Unusable(str(error)) from None
    plans = ",".join(map(str, numbers))
    if env[name] != plans:
        say("GPU %s of the plan: %s of this machine" % (plans, env[name]))
    # The order of nvidia-smi, Slurm and device files. CUDA's default lists the fastest GPU first.
    env.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


def set_interface(env, name):
    address = fill_in("{{NODE_IP}}")
    interface = network.interface_of(address)
    if interface is None:
        say("no interface of this node has its address %s: %s is left unset" % (address, name))
    else:
        env[name] = interface


def filled_probe(probe):
    return {key: fill_in(value) if isinstance(value, str) else value for key, value in probe.items()}


def run(start, command, env):
    """Calls `start(command, env)`, which starts the program; reports why if that fails."""
    try:
        return start(command, env)
    except FileNotFoundError:
        say("%s: no such program on this node's PATH (%s)" % (command[0], env.get("PATH", "")))
        return 127
    except OSError as error:
        say("%s cannot be executed: %s" % (command[0], error.strerror))
        return 126


def keepalive_of(spec):
    """For a frontend to which workers on other nodes answer."""
    port = spec["env"].get(RESPONSE_PORT)
    if port is None:
        return None
    from keepalive import KeepAlive

    return KeepAlive(int(port), say)


def become(command, env):
    os.execvpe(command[0], command, env)


def launch(path):
    # `runsIn` of lib/logs.ts: tells what one start has said from what the next one says.
    say(time.strftime("started at %Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    node_dir = os.environ.setdefault("NODE_DIR", os.getcwd())
    env = environment_of(spec, node_dir)
    command = [fill_in(argument) for argument in spec["command"]]
    write_files(spec, node_dir)
    place = spec.get("lockstep")
    if place is not None:
        secret = read_secrets(node_dir, [place["secret"]])[place["secret"]]
        place = dict(place, host=fill_in(place["host"]), secret=secret.encode())
    waits = [dict(wait, probe=filled_probe(wait["probe"])) for wait in spec["waitsFor"]]
    watch = watch_of(spec, filled_probe(spec["health"]))

    history = History(node_dir, spec["name"], os.environ.get("DYNAMO_SKY_SPEC", ""))
    pause = history.pause_seconds()
    marker = "DYNAMO_SKY_PROGRAM=" + env["DYNAMO_SKY_PROGRAM"]
    # An engine's children may have outlived it, and a killed supervisor leaves every program running on its
    # port; the new run could then never start.
    child.end_leftovers(marker)
    if pause:
        crashes = history.state["crashes"]
        times = "1 time" if crashes == 1 else "%d times" % crashes
        say("ended soon after its start %s; starting again in %g s" % (times, pause))
        time.sleep(pause)
    for wait in waits:
        if not wait_for(wait):
            return EXIT_TIMED_OUT
    if place is None:
        history.record_start(assigned_gpus(spec, env))
        keepalive = keepalive_of(spec)
        if not spec["gpus"] and watch is None and keepalive is None:
            return run(become, command, env)
        return run(child.Single(spec["stopSeconds"], marker, watch, keepalive).run, command, env)
    import lockstep  # only on nodes with a rank of a replica

    peers = lockstep.join("%s-%d" % (spec["role"], spec["replica"]), spec["rank"], place)
    if peers is None:
        return EXIT_TIMED_OUT
    history.record_start(assigned_gpus(spec, env))
    if "mpi" in spec:
        import mpi

        rank = mpi.rank(spec, [fill_in(host) for host in spec["mpi"]["hosts"]], peers, marker, watch)
    else:
        rank = lockstep.Rank(spec["rank"], peers, spec["stopSeconds"], marker, watch)
    return run(rank.run, command, env)


def main():
    if len(sys.argv) != 2:
        say("usage: launch.py <spec.json>")
        return 64
    try:
        return launch(sys.argv[1])
    except Unusable as error:
        say(str(error))
    except (OSError, ValueError, KeyError, TypeError) as error:
        say("%s is not a usable specification: %s: %s" % (sys.argv[1], type(error).__name__, error))
    # Supervisor restarts without a pause, so an invalid specification must not cause a busy loop.
    time.sleep(5)
    return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
