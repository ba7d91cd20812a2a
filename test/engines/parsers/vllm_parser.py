"""vLLM's interpretation of a command line under Dynamo: `dynamo.vllm`'s own parser and vLLM's own checks,
without a GPU.

vLLM detects the hardware, and rejects unsupported options. Here it is made to detect a node with 8 H100. Its
compiled extensions cannot be loaded without NVIDIA's driver; nothing here computes with them.
"""

import sys
from typing import Any
from unittest.mock import MagicMock

from serve import serve

for _extension in ("_C", "_C_stable_libtorch", "_moe_C", "_custom_ops", "vllm_flash_attn"):
    sys.modules[f"vllm.{_extension}"] = MagicMock()

from vllm import platforms
from vllm.platforms.cuda import NonNvmlCudaPlatform
from vllm.platforms.interface import DeviceCapability


class H100(NonNvmlCudaPlatform):
    """Eight H100, as far as a configuration is checked against them."""

    @classmethod
    def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
        return DeviceCapability(9, 0)

    @classmethod
    def get_device_name(cls, device_id: int = 0) -> str:
        return "NVIDIA H100 80GB HBM3"

    @classmethod
    def get_device_total_memory(cls, device_id: int = 0) -> int:
        return 80 << 30

    @classmethod
    def device_count(cls) -> int:
        return 8


platforms._current_platform = H100()

from vllm.model_executor.models import registry


def _inspect(architecture: str, _model: Any) -> Any:
    """vLLM determines this by importing the model's code, which needs a GPU: all models here only generate
    text."""
    facts: dict[str, Any] = dict.fromkeys(registry._ModelInfo.__dataclass_fields__, False)
    facts.update(
        architecture=architecture,
        is_text_generation_model=True,
        supports_pp=True,
        attn_type="decoder",
        default_seq_pooling_type="LAST",
        default_tok_pooling_type="ALL",
        score_type="bi-encoder",
    )
    return registry._ModelInfo(**facts)


registry._try_inspect_model_cls = _inspect

from dynamo.vllm.args import parse_args
from vllm.config import KVTransferConfig
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
from vllm.envs import environment_variables
from vllm.usage.usage_lib import UsageContext
from vllm.v1.kv_offload.cpu.spec import CPUOffloadingSpec
from vllm.v1.kv_offload.factory import OffloadingSpecFactory


def _host_cache_gb(transfer: KVTransferConfig | None, ranks: int) -> float | None:
    """What its own offloading is given for the blocks of each rank. Names that vLLM does not have raise."""
    if transfer is None:
        return None
    KVConnectorFactory.get_connector_class(transfer)
    nested = transfer.kv_connector_extra_config.get("connectors", [])
    for one in [transfer, *(KVTransferConfig(**each) for each in nested)]:
        KVConnectorFactory.get_connector_class(one)
        if one.kv_connector == "OffloadingConnector":
            extra = one.kv_connector_extra_config
            assert OffloadingSpecFactory.get_spec_cls(extra) is CPUOffloadingSpec
            return extra["cpu_bytes_to_use"] / ranks / 1e9
    return None


def parse(argv: list[str]) -> dict[str, Any]:
    config = parse_args(argv)
    engine = config.engine_args.create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)
    parallel = engine.parallel_config
    return {
        # Ranks of one attention group on this node, times the groups that this process starts.
        "processes": parallel.local_world_size * parallel.data_parallel_size_local,
        "world": parallel.world_size * parallel.data_parallel_size,
        "blockSize": engine.cache_config.block_size,
        "role": config.disaggregation_mode.value,
        "publishesKvEvents": config.use_kv_events,
        "hostCacheGB": _host_cache_gb(engine.kv_transfer_config, parallel.world_size),
        "reasoningParser": config.dyn_reasoning_parser,
        "toolCallParser": config.dyn_tool_call_parser,
    }


if __name__ == "__main__":
    serve(parse, environment_variables, KVConnectorFactory._registry)
