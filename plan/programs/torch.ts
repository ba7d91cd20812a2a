/** Network interface of torch.distributed, which connects the processes of SGLang, vLLM and TensorRT-LLM. */

import type { WorkerSpec } from "../../engines/engine";
import { LOOPBACK, NODE_INTERFACE } from "../../lib/placeholders";

/**
 * gloo uses the address of the node's own host name, which the installers of Debian and Ubuntu set to
 * 127.0.1.1, so the ranks of a replica never connect (`createDefaultDevice` of
 * torch/csrc/distributed/c10d/ProcessGroupGloo.cpp). So its interface is set: that of the node's address, or
 * loopback if all ranks are on one node.
 *
 * NCCL chooses better: InfiniBand's interfaces before others, never docker's or loopback
 * (`ncclFindInterfaces` of its src/misc/socket.cc), and without RDMA it uses several at a time, so its
 * interface is only set if nothing leaves the node. The same holds for NVSHMEM, which chooses likewise, and
 * UCX, whose list (`UCX_NET_DEVICES`) would exclude RDMA if it held an Ethernet interface only.
 *
 * `engineEnv` overrides these, and so does `sky.envs` for a whole node.
 */
export function torchEnvironment({ config, nodes, address }: WorkerSpec): Record<string, string> {
  const told = {
    GLOO_SOCKET_IFNAME: nodes > 1 ? NODE_INTERFACE : LOOPBACK_INTERFACE,
    ...(address === LOOPBACK ? { NCCL_SOCKET_IFNAME: LOOPBACK_INTERFACE } : {}),
  };
  return Object.fromEntries(Object.entries(told).filter(([name]) => !Object.hasOwn(config.sky.envs, name)));
}

const LOOPBACK_INTERFACE = "lo";
