#!/usr/bin/env python3
"""Runs NVIDIA's planner: ``planner.py <configuration>``, the file of ``python -m dynamo.planner --config``.

The planner tells what it decides through Dynamo's own coordination of environments other than Kubernetes
(`VirtualConnectorClient`). This process takes the decision from there and leaves it for the agent
(`decisions.py`), which answers when it was carried out. Until then the planner decides nothing else.

Environment variables: NODE_DIR and Dynamo's own. Python 3.10 or later, in Dynamo's environment, with what the
planner imports (`toolchain/planner.in`).
"""

import asyncio
import importlib.util
import json
import os
import sys
import time
import types

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
import decisions

POLL_SECONDS = 0.5
# What the planner means by a number that it has not decided.
UNDECIDED = -1


def stand_in():
    """Stands in for `aisimulate_core` where it is not: PyPI has a stub of it, NVIDIA's images have it.

    The planner imports two of its names whatever its target is, and uses them for target `sla` alone. These
    two cannot be used.
    """
    if importlib.util.find_spec("aisimulate_core") is not None:
        return

    class NotThere:
        def __init__(self, *_args, **_kwargs):
            raise RuntimeError("the package aisimulate is not on this node, and target sla needs it")

    package = types.ModuleType("aisimulate_core")
    package.sdk = types.ModuleType("aisimulate_core.sdk")
    package.sdk.ForwardPassPerfModelConfig = type("ForwardPassPerfModelConfig", (NotThere,), {})
    package.sdk.RustForwardPassPerfModel = type("RustForwardPassPerfModel", (NotThere,), {})
    sys.modules["aisimulate_core"] = package
    sys.modules["aisimulate_core.sdk"] = package.sdk
    print(
        "aisimulate is not on this node: a stand-in takes its place, with which target sla is not there",
        flush=True,
    )


def number(decided):
    return None if decided == UNDECIDED else decided


async def tell(client, node_dir):
    """Passes decisions to the agent, and its answers back."""
    told = completed = None
    decisions.forget(node_dir)
    while True:
        decision = await client.get()
        if decision.decision_id not in (UNDECIDED, told):
            told = decision.decision_id
            answer = {
                "id": told,
                "prefill": number(decision.num_prefill_workers),
                "decode": number(decision.num_decode_workers),
                "at": time.time(),
            }
            decisions.write(node_dir, decisions.DECISION, answer)
            print("decided: %s" % json.dumps(answer), flush=True)
        done = (decisions.read(node_dir, decisions.DONE) or {}).get("id")
        if told is not None and done == told != completed:
            await client.complete(decision)
            completed = told
        await asyncio.sleep(POLL_SECONDS)


def main():
    if len(sys.argv) != 2:
        print("usage: planner.py <configuration>", flush=True)
        return 64
    stand_in()
    from dynamo._core import VirtualConnectorClient
    from dynamo.planner.__main__ import init_planner
    from dynamo.planner.config.planner_config import PlannerConfig
    from dynamo.runtime import dynamo_worker

    config = PlannerConfig.from_config_arg(sys.argv[1])
    node_dir = os.environ["NODE_DIR"]

    @dynamo_worker()
    async def run(runtime):
        client = VirtualConnectorClient(runtime, config.namespace)
        ends = [
            asyncio.ensure_future(init_planner(runtime, config)),
            asyncio.ensure_future(tell(client, node_dir)),
        ]
        # Either alone is of no use: supervisor starts both again.
        done, _pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            end.result()

    asyncio.run(run())
    return 1


if __name__ == "__main__":
    sys.exit(main())
