/**
 * Keys of TensorRT-LLM's configuration for PyTorch, which refuses all others (`extra="forbid"`):
 * `TorchLlmArgs` and the groups of https://github.com/NVIDIA/TensorRT-LLM/blob/main/tensorrt_llm/llmapi/llm_args.py. A
 * release may have more: only those like a known key, and known ones of before, are mistakes for certain.
 */
export const LLM_KEYS = [
  ...["allreduce_strategy", "attention_dp_config", "attn_backend", "backend", "batch_wait_max_tokens_ratio"],
  ...["batch_wait_timeout_iters", "batch_wait_timeout_ms", "batched_logits_processor"],
  ...["cache_transceiver_config", "checkpoint_format", "checkpoint_loader", "context_parallel_size"],
  ...["cp_config", "cuda_graph_config", "custom_tokenizer", "decoding_config"],
  ...["disable_flashinfer_sampling", "disable_overlap_scheduler", "dtype", "enable_attention_dp"],
  ...["enable_autotuner", "enable_chunked_prefill", "enable_iter_perf_stats", "enable_iter_req_stats"],
  ...["enable_layerwise_nvtx_marker", "enable_lm_head_tp_in_adp", "enable_lora", "enable_min_latency"],
  ...["enable_sleep", "env_overrides", "force_dynamic_quantization", "garbage_collection_gen0_threshold"],
  ...["gather_generation_logits", "gpus_per_node", "guided_decoding_backend", "iter_stats_max_iterations"],
  ...["kv_cache_config", "kv_connector_config", "load_format", "lora_config", "max_batch_size"],
  ...["max_beam_width", "max_input_len", "max_num_tokens", "max_seq_len", "max_stats_len"],
  ...["mm_encoder_only", "model", "model_kwargs", "moe_cluster_parallel_size", "moe_config"],
  ...["moe_expert_parallel_size", "moe_tensor_parallel_size", "num_postprocess_workers"],
  ...["nvfp4_gemm_config", "orchestrator_type", "otlp_traces_endpoint", "peft_cache_config"],
  ...["perf_metrics_max_requests", "pipeline_parallel_size", "postprocess_tokenizer_dir", "pp_partition"],
  ...["print_iter_log", "ray_placement_config", "ray_worker_extension_cls", "reasoning_parser"],
  ...["request_stats_max_iterations", "return_perf_metrics", "revision", "sampler_force_async_worker"],
  ...["sampler_type", "scheduler_config", "skip_tokenizer_init", "sleep_config"],
  ...[
    "sparse_attention_config",
    "speculative_config",
    "stream_interval",
    "tensor_parallel_size",
    "tokenizer",
    "tokenizer_mode",
  ],
  ...["tokenizer_revision", "torch_compile_config", "trust_remote_code", "use_cute_dsl_blockscaling_bmm"],
  ...["use_cute_dsl_blockscaling_mm"],
  // `CacheTransceiverConfig`, but for what the plan sets.
  ...["cache_transceiver_config.transceiver_runtime", "cache_transceiver_config.max_tokens_in_buffer"],
  ...["cache_transceiver_config.kv_transfer_timeout_ms", "cache_transceiver_config.backend"],
  "cache_transceiver_config.kv_transfer_sender_future_timeout_ms",
];

/** Keys of earlier releases, of `trtllm-serve` and of the TensorRT backend, and what says the same today. */
export const FORMER_KEYS: Readonly<Record<string, string | undefined>> = {
  tp_size: "pools[].tensorParallel",
  pp_size: "pools[].pipelineParallel",
  ep_size: "pools[].expertParallel",
  kv_cache_free_gpu_memory_fraction: "pools[].gpuMemoryFraction",
  kv_cache_dtype: "kv_cache_config.dtype",
  use_cuda_graph: "cuda_graph_config",
  cuda_graph_batch_sizes: "cuda_graph_config.batch_sizes",
  cuda_graph_max_batch_size: "cuda_graph_config.max_batch_size",
  cuda_graph_padding_enabled: "cuda_graph_config.enable_padding",
  moe_backend: "moe_config.backend",
  moe_load_balancer: "moe_config.load_balancer",
  moe_max_num_tokens: "moe_config.max_num_tokens",
  autotuner_enabled: "enable_autotuner",
  enable_overlap_scheduler: "disable_overlap_scheduler",
  enable_trtllm_sampler: "sampler_type",
  pytorch_backend_config: "its keys, which stand at the top now",
  "cache_transceiver_config.max_num_tokens": "cache_transceiver_config.max_tokens_in_buffer",
  batching_type: undefined,
  normalize_log_probs: undefined,
  extended_runtime_perf_knob_config: undefined,
  calib_config: undefined,
  fast_build: undefined,
  enable_build_cache: undefined,
  embedding_parallel_mode: undefined,
};
