#!/usr/bin/env python3
"""Runs layouts one after the other on the GPUs of this machine, and writes what was measured:
``measure.py BUNDLE OUT``. `npx tsx dev/gpu.ts` makes the bundle and says what is in it.

    --only NAME,NAME   these layouts alone
    --skip NAME,NAME   without these steps
    --seconds N        end after that many: what is then not measured yet is left out, and said
    --apart            a network of its own for a single node too, where others use the machine's ports
    --path DIR:DIR     where programs are: Dynamo's Python first, then etcd, nats-server, nginx, ip

Per layout: time until the first answer, two requests with the same beginning, then the steps of the bundle.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import asyncio

import aiohttp
import changes
import load
import nodes

# A recipe over several nodes derives its passwords from it. These nodes last minutes, on one machine.
SECRETS = {"DYNAMO_SKY_CLUSTER_SECRET": os.urandom(32).hex()}
START_SECONDS = 420
# Of the launcher, about a program that does not stay.
AGAIN = "ended soon after its start 3 times"
WARM_ANSWER = 16
PROOF_TOKENS = 1024


def say(*what):
    print("%7.1f" % (time.monotonic() - BEGAN), *what, flush=True)


async def answer(target, prompt, tokens, extension=None):
    """One request; what the server says of it."""
    body = {
        "model": target["model"],
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "nvext": extension or {"extra_fields": ["worker_id", "timing"]},
    }
    async with load.session_of(target) as session:
        async with session.post(target["url"] + "/chat/completions", json=body) as response:
            if response.status != 200:
                raise aiohttp.ClientError("HTTP %d: %s" % (response.status, (await response.text())[:200]))
            return await response.json(content_type=None)


async def workers(target):
    """Workers that the frontend knows, by role."""
    async with load.session_of(target) as session:
        async with session.get("%s/models/%s/ready" % (target["url"], target["model"])) as response:
            spaces = (await response.json(content_type=None))["namespaces"] if response.status == 200 else {}
    found = {}
    for space in spaces.values():
        for role, one in space["worker_types"].items():
            found[role] = found.get(role, 0) + one["workers"]
    return found


def ready(deployment, target, wanted, words):
    """Waits for all workers and an answer with tokens. @returns: seconds since the start."""
    began = time.monotonic()
    last = None
    while time.monotonic() - began < START_SECONDS:
        if any(node.running.poll() is not None or AGAIN in node.tail() for node in deployment.nodes):
            raise RuntimeError("a node or a program of it has ended:\n" + deployment.logs())
        try:
            target.update(access(deployment, target))
            last = asyncio.run(workers(target))
            if sum(last.values()) >= wanted:
                told = asyncio.run(answer(target, load.text(words, 32, "ready"), WARM_ANSWER))
                if told["usage"]["completion_tokens"] == WARM_ANSWER:
                    return round(time.monotonic() - began, 1)
                last = told
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, KeyError, ValueError) as error:
            last = last or repr(error)
        time.sleep(0.5)
    raise RuntimeError("not ready after %d s (%s):\n%s" % (START_SECONDS, last, deployment.logs()))


def access(deployment, target):
    """The key that the first node has made, once it is there."""
    path = os.path.join(deployment.nodes[0].directory, ".dynamo-sky", "access", "api-key")
    with open(path, encoding="utf-8") as file:
        return {"key": file.read().strip()}


def proof(target, words):
    """Two requests with the same beginning, which no cache knows."""
    beginning = load.text(words, PROOF_TOKENS, os.urandom(8).hex())
    told = []
    for end in ("first", "second"):
        began = time.monotonic()
        response = asyncio.run(answer(target, beginning + " " + end, 8))
        seconds = round(time.monotonic() - began, 3)
        told.append({"seconds": seconds, "usage": response["usage"], "nvext": response.get("nvext")})
        time.sleep(1)  # KV events are on their way: here time itself is part of what is asked
    return told


def warm_up(target, words, step):
    """Requests of the kinds that are measured, until they take as long as the ones before: kernels compile
    when they are first used."""
    took = []
    for count in step["clients"]:
        began = time.monotonic()
        one = {**step, "words": words, "clients": count, "prefixes": 0, "warmSeconds": 0}
        load.run(target, one)
        took.append(round(time.monotonic() - began, 1))
    return {"secondsOfWarmUp": took}


def steady(target, words, step, gpus):
    results = []
    for count in step["clients"]:
        one = {**step, "words": words, "clients": count}
        records, opens, closes = load.run(target, one)
        found = {"clients": count, **load.summary(records, opens, closes, gpus)}
        say(step["name"], json.dumps(found))
        results.append(found)
    return results


def ways(deployment, target, words, step, layout):
    """The same load through the gateway and around it, at the frontends themselves."""
    address = deployment.nodes[0].address
    urls = [one.replace("{{NODE_IP}}", address) + "/v1" for one in layout["frontends"]]
    direct = {"urls": urls, "model": target["model"], "key": None}
    results = []
    for way in step["order"]:
        one = {**step, "words": words}
        records, opens, closes = load.run(direct if way == "direct" else target, one)
        results.append({"way": way, **load.summary(records, opens, closes, layout["gpus"])})
        say(step["name"], json.dumps(results[-1]))
    return results


def pinned(deployment, target, words, step, layout):
    """A part of the clients for each worker, which is summed up by itself."""
    numbers = changes.pins(deployment, layout)
    records, opens, closes = load.run(target, {**step, "words": words, "pins": numbers})
    results = []
    for index, number in enumerate(numbers):
        own = [one for one in records if one["pin"] == number]
        gpus = layout["gpus"] / len(numbers)
        results.append({"worker": index, **load.summary(own, opens, closes, gpus)})
        say(step["name"], json.dumps(results[-1]))
    return results


def changed(deployment, target, words, step, layout):
    found = changes.change(deployment, target, layout, step, answer)
    say(step["name"], json.dumps(found))
    return found


def under_load(deployment, target, words, step, layout):
    found = changes.under_load(deployment, target, layout, step, words, answer)
    say(step["name"], json.dumps({key: value for key, value in found.items() if key != "piecesPerSecond"}))
    return found


STEPS = {
    "warm": lambda deployment, target, words, step, layout: warm_up(target, words, step),
    "steady": lambda deployment, target, words, step, layout: steady(target, words, step, layout["gpus"]),
    "ways": ways,
    "pinned": pinned,
    "change": changed,
    **dict.fromkeys(("roll", "kill", "cut"), under_load),
}


def measure(layout, bundle, found, arguments):
    """@param found: what is measured, written as it is; the results are kept after every step"""
    with open(os.path.join(bundle["directory"], layout["recipe"]), encoding="utf-8") as file:
        recipe = yaml.safe_load(file)
    words = load.words_of(bundle["tokenizer"])
    runtime = os.path.join(bundle["directory"], "runtime")
    directory = os.path.join(bundle["directory"], "nodes")
    with nodes.Nodes(recipe, directory, runtime, arguments.path, arguments.apart) as deployment:
        url = "https://%s:%d/v1" % (deployment.nodes[0].address, layout["port"])
        target = {"url": url, "model": bundle["model"], "key": None}
        deployment.set_up(SECRETS)
        deployment.start(SECRETS)
        try:
            found["secondsToFirstAnswer"] = ready(deployment, target, layout["workers"], words)
            say(layout["name"], "answers after", found["secondsToFirstAnswer"], "s")
            found["gpuMemoryMiB"] = gpu_memory()
            for step in layout["steps"]:
                if step["name"] not in arguments.skip:
                    take(step, deployment, target, words, layout, found, arguments.seconds)
                    bundle["keep"]()
        except Exception as error:
            found["error"] = "%s: %s" % (type(error).__name__, str(error)[-6000:])
            say(layout["name"], found["error"])
        finally:
            found.update(deployment.stop())
            found["gpuMemoryMiBAfter"] = gpu_memory()
            found["workersLog"] = keep_logs(deployment, layout, bundle["out"])
    after = found["left"], found["gpuMemoryMiBAfter"]
    say(layout["name"], "stopped:", found["stopSeconds"], "s, left", *after)


def take(step, deployment, target, words, layout, found, ends):
    if step["name"] == "proof":
        found["proof"] = proof(target, words)
        say("proof", json.dumps(found["proof"]))
    elif isinstance(found["steps"].get(step.get("after")), str):
        # Otherwise it would be measured with what it was meant to be compared with.
        found["steps"][step["name"]] = "left out: %s was" % step["after"]
        say(step["name"], found["steps"][step["name"]])
    elif time.monotonic() - BEGAN + step["longest"] > ends:
        found["steps"][step["name"]] = "left out: no time"
        say(step["name"], "left out: no time")
    else:
        run = STEPS[step["kind"]]
        found["steps"][step["name"]] = run(deployment, target, words, step, layout)


def gpu_memory():
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return [int(one) for one in subprocess.run(query, capture_output=True, text=True).stdout.split()]


def keep_logs(deployment, layout, out):
    name = "logs-%s.tar.gz" % layout["id"]
    with tarfile.open(os.path.join(out, name), "w:gz") as archive:
        for node in deployment.nodes:
            archive.add(node.log, "node%d/log" % node.rank)
            logs = os.path.join(node.directory, ".dynamo-sky", "node%d" % node.rank, "logs")
            if os.path.isdir(logs):
                archive.add(logs, "node%d/logs" % node.rank)
    return name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle")
    parser.add_argument("out")
    parser.add_argument("--only", type=lambda names: names.split(","))
    parser.add_argument("--skip", type=lambda names: names.split(","), default=[])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--path", default="")
    parser.add_argument("--apart", action="store_true")
    arguments = parser.parse_args()
    # Nodes get it too (`nodes.py`); `ip` is called here.
    os.environ["PATH"] = os.pathsep.join([*filter(None, [arguments.path]), os.environ["PATH"]])
    os.makedirs(arguments.out, exist_ok=True)
    with open(os.path.join(arguments.bundle, "bundle.json"), encoding="utf-8") as file:
        bundle = json.load(file)
    bundle["directory"] = os.path.abspath(arguments.bundle)
    bundle.update(out=arguments.out, tokenizer=tokenizer_of(bundle["model"]))
    results = []
    bundle["keep"] = lambda: keep(results, arguments.out)
    for layout in bundle["layouts"]:
        if arguments.only and layout["id"] not in arguments.only:
            continue
        if time.monotonic() - BEGAN + layout["longestStart"] > arguments.seconds:
            say(layout["name"], "left out: no time")
            continue
        results.append({"id": layout["id"], "name": layout["name"], "steps": {}})
        measure(layout, bundle, results[-1], arguments)
        bundle["keep"]()
    if any("error" in one for one in results):
        raise SystemExit(1)


def keep(results, out):
    path = os.path.join(out, "results.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    os.replace(path + ".new", path)


def tokenizer_of(model):
    hub = os.path.join(os.environ["HF_HOME"], "hub", "models--" + model.replace("/", "--"))
    with open(os.path.join(hub, "refs", "main"), encoding="utf-8") as file:
        return os.path.join(hub, "snapshots", file.read().strip(), "tokenizer.json")


if __name__ == "__main__":
    BEGAN = time.monotonic()
    main()
