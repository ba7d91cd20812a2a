"""Replays a load whose prompts share beginnings, by Dynamo's offline replay: with round robin, and KV-aware.

Reads a question as JSON from standard input: `{"load", "layouts": [{"roles": [{"role", "workers",
"kvTokens", "batch"}], "concurrency", "requests"}]}`. The load is `{"trace", "blockTokens"}`, a file of
requests that name their blocks, or `{"isl", "osl", "prefix", "prefixes"}`, of which Dynamo makes `requests`.
`kvTokens` is the KV cache of a worker, null for the mocker's default; `batch` is its number of requests at a
time.

Prints `{"version", "layouts": […]}`, for each layout `{"roundRobin", "kv", "requests", "kvTokens": […]}`:
the share of the prompts' tokens that a worker had in its cache, the requests that were counted, and the cache
of a worker of each role; or `{"problem"}`.

It runs in Dynamo's own Python environment, in which `python -m dynamo.replay` has no program of its own:
https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/replay/api.py
"""

import contextlib
import importlib.metadata
import json
import sys

from dynamo.mocker.config import normalize_mocker_config
from dynamo.replay import run_synthetic_trace_replay, run_trace_replay

# `router_mode` of Dynamo's replay, by the name of the answer.
MODES = {"roundRobin": "round_robin", "kv": "kv_router"}


def answer_of(load, layout):
    engines = {role["role"]: engine_of(role) for role in layout["roles"]}
    try:
        found = {name: shared(load, layout, engines, mode) for name, mode in MODES.items()}
    except Exception as error:  # one layout, or a trace that Dynamo does not read: it says why
        return {"problem": str(error).strip().splitlines()[0]}
    for share in found.values():
        if "problem" in share:
            return share
    sizes = [engines[role["role"]]["engine"] for role in layout["roles"]]
    return {
        **{name: share["share"] for name, share in found.items()},
        "requests": found["kv"]["requests"],
        "kvTokens": [size["num_gpu_blocks"] * size["block_size"] for size in sizes],
    }


def engine_of(role):
    """The mocker as a worker: its times are not those of a GPU, its cache is."""
    usual = normalize_mocker_config({})["engine"]
    own = {"worker_type": role["role"], "max_num_seqs": max(usual["max_num_seqs"], role["batch"])}
    if role["kvTokens"] is not None:
        own["num_gpu_blocks"] = max(1, role["kvTokens"] // usual["block_size"])
    return normalize_mocker_config({"engine": own})


def shared(load, layout, engines, mode):
    options = {"router_mode": mode, "replay_concurrency": layout["concurrency"], "capture_per_request": True}
    for role in layout["roles"]:
        name = role["role"]
        prefix, engine = ("", "extra") if name == "aggregated" else (f"{name}_", name)
        options[f"num_{prefix}workers"] = role["workers"]
        options[f"{engine}_engine_args"] = engines[name]
    if "trace" in load:
        report = run_trace_replay(load["trace"], trace_block_size=load["blockTokens"], **options)
    else:
        report = run_synthetic_trace_replay(
            load["isl"],
            load["osl"],
            layout["requests"],
            shared_prefix_ratio=load["prefix"] / load["isl"],
            num_prefix_groups=load["prefixes"],
            **options,
        )
    done, count = report.summary["completed_requests"], report.summary["num_requests"]
    if done == 0 or done < count:
        unanswered = f"{count - done} of {count} requests were not answered"
        return {"problem": f"{unanswered}: they do not fit in the cache"}
    requests = sorted(report.per_request, key=lambda request: request["first_admit_ms"])
    if "trace" not in load:
        # Of a load that goes on for ever the caches are filled: the first half fills them.
        requests = requests[len(requests) // 2 :]
    found = sum(request["reused_input_tokens"] or 0 for request in requests)
    return {"share": found / sum(request["input_length"] for request in requests), "requests": len(requests)}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        question = json.load(sys.stdin)
        layouts = [answer_of(question["load"], one) for one in question["layouts"]]
        said = {"version": importlib.metadata.version("ai-dynamo"), "layouts": layouts}
    json.dump(said, sys.stdout)
