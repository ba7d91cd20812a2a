"""A command line's interpretation by Dynamo's TensorRT-LLM worker, without TensorRT-LLM, which is not on
PyPI.

`dynamo.trtllm`'s own parser reads four defaults from the engine; they are defined here, and nothing else is
imitated. The parser accepts any `--trtllm.<group>.<key>`, which the engine would validate (its classes reject
unknown keys). Those that the plan uses are listed here, from
https://github.com/NVIDIA/TensorRT-LLM/blob/v1.3.0rc29/tensorrt_llm/llmapi/llm_args.py (`TorchLlmArgs`,
`KvCacheConfig`, `CacheTransceiverConfig`, the same since 1.1), so that a mistyped one is rejected here too.
"""

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from serve import serve

_KEYS: dict[str, Any] = {
    "revision": str,
    "trust_remote_code": bool,
    "disable_overlap_scheduler": bool,
    "kv_cache_config.tokens_per_block": int,
    "kv_cache_config.free_gpu_memory_fraction": (int, float),
    "kv_cache_config.host_cache_size": int,
    "kv_cache_config.enable_partial_reuse": bool,
    "kv_cache_config.enable_block_reuse": bool,
    "cuda_graph_config.batch_sizes": list,
    "cache_transceiver_config.backend": str,
}

# TensorRT-LLM's default.
_BLOCK_TOKENS = 32

_ROLES = {"prefill_and_decode": "agg"}

_DEFAULTS = {"max_batch_size": 2048, "max_num_tokens": 8192, "max_seq_len": None, "max_beam_width": 1}


def _pretend_engine() -> None:
    llmapi = ModuleType("tensorrt_llm.llmapi")
    fields = {name: SimpleNamespace(default=value) for name, value in _DEFAULTS.items()}
    llmapi.BuildConfig = SimpleNamespace(model_fields=fields)
    sys.modules["tensorrt_llm"] = ModuleType("tensorrt_llm")
    sys.modules["tensorrt_llm.llmapi"] = llmapi


_pretend_engine()
from dynamo.trtllm.args import parse_args


def _flat(overrides: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` → `{"a.b": 1}`."""
    found: dict[str, Any] = {}
    for key, value in overrides.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return found


def parse(argv: list[str]) -> dict[str, Any]:
    config = parse_args(argv)
    overrides = _flat(json.loads(config.override_engine_args or "{}"))
    for key, value in overrides.items():
        if key not in _KEYS:
            raise ValueError(f"TensorRT-LLM has no --trtllm.{key}")
        if not isinstance(value, _KEYS[key]):
            raise ValueError(f"--trtllm.{key} {value!r} is of the wrong type")
    if config.kv_block_size != overrides.get("kv_cache_config.tokens_per_block", _BLOCK_TOKENS):
        raise ValueError("the block size of Dynamo and that of the engine differ")
    host_bytes = overrides.get("kv_cache_config.host_cache_size")
    world = config.tensor_parallel_size * config.pipeline_parallel_size
    return {
        "processes": world,
        "world": world,
        "blockSize": config.kv_block_size,
        "role": _ROLES.get(config.disaggregation_mode.value, config.disaggregation_mode.value),
        "publishesKvEvents": config.use_kv_events,
        "hostCacheGB": None if host_bytes is None else host_bytes / 1e9,
        "reasoningParser": config.dyn_reasoning_parser,
        "toolCallParser": config.dyn_tool_call_parser,
    }


if __name__ == "__main__":
    serve(parse)
