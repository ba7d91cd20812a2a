"""A Dynamo worker that registers a model for one task and serves it, for tasks without a mode in the mocker.

Arguments: the task, the directory with the model's tokenizer, the served name of the model.
"""

import asyncio
import os
import sys

import uvloop
from dynamo.llm import ModelInput, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

TASK, MODEL, NAME = sys.argv[1:]
KINDS = {
    "completions": (ModelInput.Tokens, ModelType.Completions),
    "embedding": (ModelInput.Text, ModelType.Embedding),
    "classify": (ModelInput.Text, ModelType.Classify | ModelType.Pooling),
}


async def write(request, context):
    """Some tokens of the vocabulary's printable part."""
    count = request["stop_conditions"]["max_tokens"]
    for number in range(count):
        yield {"token_ids": [70 + number % 20], **({"finish_reason": "length"} if number == count - 1 else {})}


async def compute(request, context):
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    # With EMPTY like an engine that has computed nothing.
    value = 0.0 if os.environ.get("EMPTY") else 0.25
    key = "embedding" if TASK == "embedding" else "probs"
    more = {"object": "embedding"} if TASK == "embedding" else {"label": "A", "num_classes": 2}
    data = [{"index": index, key: [value, value], **more} for index in range(len(texts))]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    yield {"id": "1", "object": "list", "created": 1, "model": NAME, "data": data, "usage": usage}


async def main():
    backend, plane = os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"]
    runtime = DistributedRuntime(asyncio.get_running_loop(), backend, plane)
    endpoint = runtime.endpoint("dynamo.backend.generate")
    model_input, model_type = KINDS[TASK]
    await asyncio.gather(
        endpoint.serve_endpoint(write if TASK == "completions" else compute, graceful_shutdown=True),
        register_model(
            model_input, model_type, endpoint, MODEL, NAME, worker_type=WorkerType.Aggregated, needs=[]
        ),
    )


uvloop.run(main())
