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
import types
import uuid

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
import decisions

POLL_SECONDS = 1.0
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


async def tell(client, run, node_dir):
    """Passes decisions to the agent, and its answers back."""
    told = completed = None
    decisions.forget(node_dir)
    while True:
        decision = await client.get()
        decided = "%s-%d" % (run, decision.decision_id)
        if decision.decision_id != UNDECIDED and decided != told:
            told = decided
            answer = {
                "id": told,
                "prefill": number(decision.num_prefill_workers),
                "decode": number(decision.num_decode_workers),
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
    from dynamo.planner.connectors import virtual
    from dynamo.planner.core import planner_factory
    from dynamo.runtime import dynamo_worker

    class Answered(planner_factory.VirtualConnector):
        """Takes the workers as they are once a decision was answered.

        A limit or a schedule may have left others than it decided: it would wait for those for ever.
        """

        def __init__(self, runtime, dynamo_namespace, *args, **kwargs):
            super().__init__(runtime, dynamo_namespace, *args, **kwargs)
            waits = (
                virtual.SCALING_CHECK_INTERVAL,
                virtual.SCALING_MAX_WAIT_TIME,
                virtual.SCALING_MAX_RETRIES,
            )
            self.coord = virtual.VirtualConnectorCoordinator(runtime, room, *waits)

        async def get_actual_worker_counts(self, *args, **kwargs):
            prefill, decode, _settled = await super().get_actual_worker_counts(*args, **kwargs)
            return prefill, decode, await self.coord.is_scaling_ready()

    planner_factory.VirtualConnector = Answered
    config = PlannerConfig.from_config_arg(sys.argv[1])
    node_dir = os.environ["NODE_DIR"]
    # Its decisions are its own: of one that ran before it would take up what was decided, and not that it was
    # answered, and wait for that.
    run_id = uuid.uuid4().hex[:8]
    room = "%s-planner-%s" % (config.namespace, run_id)

    @dynamo_worker()
    async def run(runtime):
        client = VirtualConnectorClient(runtime, room)
        ends = [
            asyncio.ensure_future(init_planner(runtime, config)),
            asyncio.ensure_future(tell(client, run_id, node_dir)),
        ]
        # Either alone is of no use: supervisor starts both again.
        done, _pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            end.result()

    asyncio.run(run())
    return 1


if __name__ == "__main__":
    sys.exit(main())
