/**
 * Open MPI, which starts TensorRT-LLM on several nodes: one rank per GPU in one MPI world. How it reaches the
 * other nodes: `runtime/mpi.py`; why: `docs/decisions/0007-tensorrt-llm-over-several-nodes-by-mpi.md`.
 *
 * Written for Open MPI 4.1, the version in NVIDIA's image
 * (https://github.com/ai-dynamo/dynamo/blob/v1.6.1/container/templates/trtllm_runtime.Dockerfile).
 * Parameters: `ompi_info --all`, https://docs.open-mpi.org/en/v4.1.x/ and
 * https://www.open-mpi.org/faq/?category=tcp
 */

import { neighbours, type PortNeed } from "../../config/ports";
import { NODE_DIR, NODE_IP } from "../../lib/placeholders";
import type { RankSpec, ReplicaSpec, WorkerCommand, WorkerSpec } from "../engine";

/**
 * `mpirun` listens on all ports of its range, a daemon on one. A port with closed connections stays in use
 * for a minute, so a restarted replica needs spare ones.
 */
const MPIRUN_PORTS = 4;
const DAEMON_PORTS = 4;
/** Ports of each rank; two for the same reason. */
const PORTS_PER_RANK = 2;

/** A replica over several nodes uses whole nodes. */
const ranksPerNode = ({ config }: ReplicaSpec): number => config.cluster.gpusPerNode;

const portsOfRanks = (spec: ReplicaSpec): number => ranksPerNode(spec) * PORTS_PER_RANK;

/** On every node of the replica: first for `mpirun`, then for a daemon, then for the ranks. */
export function mpiPorts(spec: RankSpec): PortNeed[] {
  return [neighbours("mpi", MPIRUN_PORTS + DAEMON_PORTS + portsOfRanks(spec))];
}

function portsOfMpirun(worker: WorkerSpec): Record<string, string> {
  const first = worker.ports.mpi ?? 0;
  return bothFamilies("oob_tcp_dynamic_ip", "_ports", `${first}-${first + MPIRUN_PORTS - 1}`);
}

function portsOfDaemon(worker: WorkerSpec): Record<string, string> {
  const first = (worker.ports.mpi ?? 0) + MPIRUN_PORTS;
  return bothFamilies("oob_tcp_dynamic_ip", "_ports", `${first}-${first + DAEMON_PORTS - 1}`);
}

/**
 * Start parameters, on every node. A launcher removes the variables of other MPI worlds (Slurm's) from the
 * environment.
 */
function mpiEnvironment(worker: WorkerSpec): Record<string, string> {
  const ranks = (worker.ports.mpi ?? 0) + MPIRUN_PORTS + DAEMON_PORTS;
  const isLocal = worker.config.target === "local";
  // Locally by name, since all nodes' addresses belong to the loopback interface.
  const network = isLocal ? "lo" : `${NODE_IP}/32`;
  return {
    OMPI_MCA_plm: "rsh",
    // Every node sets these parameters in its own environment, since they differ.
    OMPI_MCA_plm_rsh_pass_environ_mca_params: "0",
    // The first node starts all daemons itself, so that they stay children of the launchers.
    OMPI_MCA_plm_rsh_no_tree_spawn: "1",
    OMPI_MCA_orte_leave_session_attached: "1",
    OMPI_MCA_orte_keep_fqdn_hostnames: "1",
    OMPI_MCA_oob_tcp_if_include: network,
    // As Dynamo's operator does. Weights and activations use NCCL; MPI carries requests and the start.
    OMPI_MCA_pml: "ob1",
    // Local nodes have the same host name, so shared memory (vader) would take their ranks for neighbours.
    OMPI_MCA_btl: isLocal ? "self,tcp" : "self,vader,tcp",
    ...(isLocal ? { OMPI_MCA_orte_tmpdir_base: `${NODE_DIR}/run` } : {}),
    OMPI_MCA_btl_tcp_if_include: network,
    ...bothFamilies("btl_tcp_port_min_", "", String(ranks)),
    ...bothFamilies("btl_tcp_port_range_", "", String(portsOfRanks(worker))),
  };
}

/** If Open MPI is built with IPv6 it always listens there too, on ephemeral ports unless configured. */
function bothFamilies(beginning: string, end: string, value: string): Record<string, string> {
  return Object.fromEntries(["v4", "v6"].map((family) => [`OMPI_MCA_${beginning}${family}${end}`, value]));
}

/** The variable with the replacement for the remote shell; the working directory is the launchers'. */
const AGENT = "OMPI_MCA_plm_rsh_agent";

/** `mpirun` on the first node; every rank runs the given worker's command. */
export function mpirun(worker: WorkerSpec, launcher: string, served: WorkerCommand): WorkerCommand {
  const ranks = ranksPerNode(worker);
  const start = [
    ...["mpirun", "--allow-run-as-root"],
    ...["-n", String(ranks * worker.nodes)],
    ...["--host", worker.hosts.map((host) => `${host}:${ranks}`).join(",")],
    // Node by node. TensorRT-LLM binds its processes itself.
    ...["--map-by", "slot", "--bind-to", "none"],
    launcher,
  ];
  return {
    command: [...start, ...served.command],
    env: {
      ...mpiEnvironment(worker),
      ...portsOfMpirun(worker),
      [AGENT]: `python3 mpi.py daemon ${worker.name}`,
      ...served.env,
    },
    mpi: { hosts: worker.hosts, worker: start.length, daemonEnv: portsOfDaemon(worker) },
  };
}

/**
 * Command of a node other than the first: the daemon requested by `mpirun`, in the environment for its ranks.
 */
export function mpiDaemon(worker: WorkerSpec, env: Readonly<Record<string, string>>): WorkerCommand {
  return {
    command: ["orted"],
    env: { ...mpiEnvironment(worker), ...portsOfDaemon(worker), ...env },
    mpi: { hosts: worker.hosts },
  };
}
