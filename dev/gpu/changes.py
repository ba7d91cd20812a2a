"""What happens to a deployment while it serves: other programs on its nodes, put there as an update does it,
a killed worker, a network that is cut; and what a load shows of that.
"""

import asyncio
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import time

import aiohttp
import load
import nodes

# What an update gives a worker to become healthy, and its proof.
HEALTHY_SECONDS = 240
# Full speed again: this share of what it was before, over this many seconds.
FULL, STEADY_SECONDS = 0.95, 5
# A load goes on for so long after a change, to show that speed; longer after what may have an aftermath.
AFTERWARDS_SECONDS = {"roll": 10, "cut": 30}


def ask(node, request):
    """Answers of a node's own agent (`runtime/agent.py`)."""
    home = os.path.join(node.directory, ".dynamo-sky")
    told = subprocess.run(
        node.inside(["python3", os.path.join(home, "runtime", "agent.py")]),
        input=json.dumps({"dir": os.path.join(home, "node%d" % node.rank), **request}),
        capture_output=True,
        text=True,
        env=node.env,
        cwd=node.directory,
    )
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    problem = next((one for one in answers if {"failed", "silent", "error"} & set(one)), None)
    if told.returncode != 0 or problem is not None:
        raise RuntimeError("node %d: %s %s" % (node.rank, problem, told.stderr[-2000:]))
    return answers


def apply(deployment, unit):
    """Puts a unit on its node. @returns: seconds until its programs were healthy, by step."""
    began = time.monotonic()
    request = {"unit": unit["unit"], "programs": unit["programs"], "timeoutSeconds": HEALTHY_SECONDS}
    answers = ask(deployment.nodes[unit["node"]], {"apply": request})
    return {
        "unit": unit["unit"],
        "seconds": round(time.monotonic() - began, 1),
        "said": [one["line"] for one in answers if "line" in one],
    }


def worker_id(deployment, unit):
    """Number of a worker, as requests name it, from its status server: as in `lib/proof.ts`."""
    [program] = unit["programs"]
    base = re.match(r"https?://[^/]+", program["health"]["url"]).group()
    asked = {"url": base + "/metrics", "body": None, "seconds": 5}
    [answer] = ask(deployment.nodes[unit["node"]], {"call": asked})
    return int(re.search(r'\bworker_id="([0-9a-f]+)"', answer["text"]).group(1), 16)


def pin(number):
    return {"backend_instance_id": number, "extra_fields": ["worker_id"]}


def prove(deployment, target, unit, ask_one):
    """Waits until the worker itself has answered a request, as an update does before the next one's turn."""
    began = time.monotonic()
    while time.monotonic() - began < HEALTHY_SECONDS:
        try:
            number = worker_id(deployment, unit)
            told = asyncio.run(ask_one(target, "Say hello.", 4, pin(number)))
            if told["nvext"]["worker_id"]["decode_worker_id"] == number:
                return round(time.monotonic() - began, 1)
        except (aiohttp.ClientError, AttributeError, KeyError, OSError, ValueError):
            pass
        time.sleep(0.5)
    raise RuntimeError("%s has not answered for %d s" % (unit["unit"], HEALTHY_SECONDS))


def units_of(layout, step):
    return [one for one in layout["variants"][step["to"]] if one["role"] in step["roles"]]


def change(deployment, target, layout, step, ask_one):
    """Puts the units of a variant on their nodes: one after the other, each proven, or all at once."""

    def one(unit):
        done = apply(deployment, unit)
        if unit["role"] != "frontend":
            done["proven"] = prove(deployment, target, unit, ask_one)
        return done

    units = units_of(layout, step)
    if not step.get("atOnce"):
        return [one(unit) for unit in units]
    with concurrent.futures.ThreadPoolExecutor(len(units)) as pool:
        return list(pool.map(one, units))


def pins(deployment, layout):
    """Numbers of the workers, in the order of their units."""
    units = next(iter(layout["variants"].values()))
    return [worker_id(deployment, unit) for unit in units if unit["role"] == "aggregated"]


def roll(deployment, target, layout, step, ask_one):
    done = change(deployment, target, layout, step, ask_one)
    return {"changed": done}


def kill(deployment, target, layout, step, ask_one):
    node = deployment.nodes[step["node"]]
    os.kill(node.program(step["program"]), signal.SIGKILL)
    return {"killed": step["program"]}


def cut(deployment, target, layout, step, ask_one):
    """A node's network is away for a while; waits until the deployment answers again."""
    cable = deployment.nodes[step["node"]].cable
    nodes.ip("link", "set", cable, "down")
    time.sleep(step["away"])
    nodes.ip("link", "set", cable, "up")
    back = time.monotonic()
    while time.monotonic() - back < step["seconds"] - step["away"]:
        try:
            told = asyncio.run(asyncio.wait_for(ask_one(target, "Say hello.", 4), 10))
            if told["usage"]["completion_tokens"] == 4:
                break
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, KeyError, ValueError):
            pass
        time.sleep(0.5)
    return {"secondsUntilAnswer": round(time.monotonic() - back, 1), "endsAt": back}


HAPPENS = {"roll": roll, "kill": kill, "cut": cut}


def under_load(deployment, target, layout, step, words, ask_one):
    """A load, in the middle of which something happens.

    `secondsUntilFullSpeed` counts from the end of what happens: a network that is back, the last proof.
    """
    at = {}

    def during():
        time.sleep(step["warmSeconds"] + step["before"])
        at["began"] = time.monotonic()
        try:
            at["told"] = HAPPENS[step["kind"]](deployment, target, layout, step, ask_one)
        except RuntimeError as error:
            at["told"] = {"error": str(error)[-3000:]}
        at["ended"] = at["told"].pop("endsAt", time.monotonic())
        return AFTERWARDS_SECONDS.get(step["kind"])

    records, opens, closes = load.run(target, {**step, "words": words}, during)
    speed = per_second(records, opens, closes)
    first, last = int(at["began"] - opens), int(at["ended"] - opens)
    usual = sum(speed[:first]) / first
    back = full_again(speed[last + 1 :], usual)
    return {
        **load.summary(records, opens, closes, layout["gpus"]),
        **at["told"],
        "open": sum(one["start"] <= at["began"] < (one["end"] or closes) for one in records),
        "beganAt": round(at["began"] - opens, 1),
        "endedAt": round(at["ended"] - opens, 1),
        "piecesPerSecondBefore": round(usual, 1),
        "lowestPiecesPerSecond": min(speed[first + 1 :]),
        "piecesPerSecondMeanwhile": round(sum(speed[first:last]) / max(1, last - first), 1),
        "secondsUntilFullSpeed": None if back is None else back + 1,
        "piecesPerSecond": speed,
    }


def full_again(speed, usual):
    """The first second from which on it was full."""
    for second in range(len(speed) - STEADY_SECONDS + 1):
        if sum(speed[second : second + STEADY_SECONDS]) >= FULL * usual * STEADY_SECONDS:
            return second
    return None


def per_second(records, opens, closes):
    speed = [0] * int(closes - opens)
    for one in records:
        for at in one["pieces"]:
            if 0 <= at - opens < len(speed):
                speed[int(at - opens)] += 1
    return speed
