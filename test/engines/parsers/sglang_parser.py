"""What SGLang under Dynamo makes of a command line: `dynamo.sglang`'s own parser, on a machine without a GPU.

What SGLang derives from the GPU when it is not told (attention backend, memory fraction) is not that of an H100 here.
"""

import asyncio
from typing import Any

from serve import serve  # isort: skip

from dynamo.sglang.args import parse_args
from sglang.srt import runtime_context
from sglang.srt.entrypoints.engine import _calculate_rank_ranges


def parse(argv: list[str]) -> dict[str, Any]:
    # Found out by asking the driver otherwise.
    config = asyncio.run(parse_args([*argv, "--device", "cuda"]))
    args = config.server_args
    # It reads all but the node's number from what the process has published.
    runtime_context.publish(args, role="tokenizer")
    pipeline, tensor, _, _ = _calculate_rank_ranges(args.node_rank)
    return {
        "processes": len(pipeline) * len(tensor),
        "world": args.pp_size * args.tp_size,
        "blockSize": args.page_size,
        "role": config.serving_mode.value,
        "publishesKvEvents": config.dynamo_args.use_kv_events,
    }


if __name__ == "__main__":
    serve(parse)
