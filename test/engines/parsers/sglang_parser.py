"""SGLang's interpretation of a command line under Dynamo: `dynamo.sglang`'s own parser, on a machine without
a GPU.

Values that SGLang derives from the GPU (attention backend, memory fraction) are not those of an H100 here.
"""

import asyncio
from typing import Any

from serve import serve  # isort: skip

from dynamo.sglang.args import parse_args
from sglang.srt import runtime_context
from sglang.srt.entrypoints.engine import _calculate_rank_ranges
from sglang.srt.environ import Envs


def parse(argv: list[str]) -> dict[str, Any]:
    # Otherwise determined by querying the driver.
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
        "hostCacheGB": args.hicache_size if args.enable_hierarchical_cache else None,
        "reasoningParser": config.dynamo_args.dyn_reasoning_parser,
        "toolCallParser": config.dynamo_args.dyn_tool_call_parser,
    }


if __name__ == "__main__":
    serve(parse, (name for name in vars(Envs) if name.isupper()))
