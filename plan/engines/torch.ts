/** torch.distributed, by which the processes of SGLang, vLLM and TensorRT-LLM meet: which network interface it takes. */
import { LOOPBACK, NODE_INTERFACE } from "../../lib/placeholders";
import type { WorkerSpec } from "./engine";

/**
 * gloo takes the address that the node's own name resolves to, which the installers of Debian and Ubuntu make 127.0.1.1, and then the ranks of a
 * replica never meet (`createDefaultDevice` of torch/csrc/distributed/c10d/ProcessGroupGloo.cpp). So it is told the interface: that of the
 * node's address, or loopback where all ranks are on one node.
 *
 * NCCL chooses better: InfiniBand's interfaces before others, never docker's or loopback (`ncclFindInterfaces` of its src/misc/socket.cc), and where there
 * is no RDMA it takes several at a time, so it is told nothing, but where nothing leaves the node at all. So do NVSHMEM, which chooses likewise, and UCX,
 * whose list (`UCX_NET_DEVICES`) would shut RDMA out if it had an Ethernet interface alone.
 *
 * What `engineEnv` says goes before, and so does what `sky.envs` sets for all of a node.
 */
export function torchEnvironment({ config, nodes, address }: WorkerSpec): Record<string, string> {
  const told = {
    GLOO_SOCKET_IFNAME: nodes > 1 ? NODE_INTERFACE : LOOPBACK_INTERFACE,
    ...(address === LOOPBACK ? { NCCL_SOCKET_IFNAME: LOOPBACK_INTERFACE } : {}),
  };
  return Object.fromEntries(Object.entries(told).filter(([name]) => !Object.hasOwn(config.sky.envs, name)));
}

const LOOPBACK_INTERFACE = "lo";
