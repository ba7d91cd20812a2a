"""A Dynamo worker that registers models with parsers, and says what it is told to, for the frontend to parse.

Arguments: the directory with the tokenizer, and JSON: a list of models, each with its name, its parsers as
flags, and texts. A prompt with `text 2` is answered with the third, any other with the first.
"""

import asyncio
import json
import os
import re
import sys

import uvloop
from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime
from tokenizers import Tokenizer

DIRECTORY, MODELS = sys.argv[1:]
TOKENIZER = Tokenizer.from_file(os.path.join(DIRECTORY, "tokenizer.json"))


def saying(texts):
    async def write(request, context):
        asked = re.search(r"text (\d+)", TOKENIZER.decode(request["token_ids"]))
        tokens = TOKENIZER.encode(texts[int(asked[1]) if asked else 0], add_special_tokens=False).ids
        for number, token in enumerate(tokens):
            yield {"token_ids": [token], **({"finish_reason": "stop"} if number == len(tokens) - 1 else {})}

    return write


async def main():
    backend, plane = os.environ["DYN_DISCOVERY_BACKEND"], os.environ["DYN_REQUEST_PLANE"]
    runtime = DistributedRuntime(asyncio.get_running_loop(), backend, plane)
    served = []
    for number, model in enumerate(json.loads(MODELS)):
        endpoint = runtime.endpoint(f"dynamo.backend{number or ''}.generate")
        config = ModelRuntimeConfig()
        config.reasoning_parser = model["flags"].get("--dyn-reasoning-parser")
        config.tool_call_parser = model["flags"].get("--dyn-tool-call-parser")
        kind = ModelType.Chat | ModelType.Completions
        served += [
            endpoint.serve_endpoint(saying(model["texts"]), graceful_shutdown=True),
            register_model(
                *(ModelInput.Tokens, kind, endpoint, DIRECTORY, model["name"]),
                runtime_config=config,
                worker_type=WorkerType.Aggregated,
                needs=[],
            ),
        ]
    await asyncio.gather(*served)


uvloop.run(main())
