import { acceleratorName, argument } from "./pools";
import { updateSchema } from "./update";
import {
  ALL_DEFAULTS,
  decimal,
  environment,
  flag,
  list,
  oneOf,
  optional,
  port,
  section,
  setting,
  text,
  whole,
} from "./values";

const seconds = (max: number) => whole({ min: 1, max, noun: "a whole number of seconds" });
const DAY = 86_400;

/** Of machines with H100: the default, except on target local. */
export const USUAL_GPUS_OF_A_NODE = 8;
/** More than any machine has; local nodes, whose GPUs are simulated, may have many. */
export const MOST_GPUS_OF_A_NODE = 1024;

/**
 * How long a worker of a real engine takes to exit after it has aborted its requests: SGLang 4, vLLM 3 to 7,
 * and once a little more than 8, because it waits 5 for a process that does not end (`docs/gpu.md`). Unit:
 * seconds.
 */
export const CLEAN_UP_SECONDS = 10;

export const frontendSchema = section({
  replicas: optional(whole({ min: 1, max: 64 }), {
    absent:
      "2 behind a gateway (`access.gateway`), so that one serves while the other is changed; otherwise 1",
    unit: "processes",
    about: "OpenAI-compatible frontends, each with a router of its own.",
  }),
  port: setting(port(), { default: 8000, about: "Port that clients connect to (`--http-port`)." }),
  migrationLimit: optional(whole({ min: 0, max: 100 }), {
    absent: "3, or 2 more than a node has room for workers, if that is more",
    unit: "moves per request",
    about:
      "How often a request may move on to another worker when its worker is lost (`--migration-limit`). Until a lost worker is forgotten (`controlPlane.leaseTtlSeconds`) a move may come to it, or to another worker of its node that is lost too. A request that makes workers crash may reach as many of them.",
  }),
  migrationMaxSeqLen: optional(whole({ min: 1, max: 4_294_967_295 }), {
    absent: "no limit",
    unit: "tokens",
    about: "Requests longer than this are not moved (`--migration-max-seq-len`).",
  }),
  args: setting(list("arguments", argument()), {
    default: [],
    about: "More arguments for `python -m dynamo.frontend`.",
  }),
  env: setting(environment(), { default: {}, about: "More environment variables for the frontend." }),
  update: setting(updateSchema, { ...ALL_DEFAULTS, about: "How running frontends are changed." }),
});

const DISCOVERY_KINDS = ["auto", "etcd", "file"] as const;
const EVENT_PLANES = ["auto", "nats", "zmq"] as const;
const REQUEST_PLANES = ["tcp", "nats"] as const;

export const controlPlaneSchema = section({
  discovery: setting(oneOf("a kind of discovery", DISCOVERY_KINDS), {
    default: "auto",
    about:
      "How processes find each other (`--discovery-backend`). `auto` is etcd; on target local, a shared directory (`file`) where etcd can be neither found nor installed.",
  }),
  events: setting(oneOf("an event plane", EVENT_PLANES), {
    default: "auto",
    about:
      "How workers publish KV events (`--event-plane`). `auto` is nats with etcd, and zmq with file discovery.",
  }),
  requestPlane: setting(oneOf("a request plane", REQUEST_PLANES), {
    default: "tcp",
    about:
      "How requests reach workers (`--request-plane`). With nats, a restart of NATS fails the requests in progress. With tcp, some of the streams of several workers that die at once may break (docs/benchmarks.md, What a loss costs).",
  }),
  tls: optional(flag(), {
    absent:
      "true where there are several nodes, except with placement dedicated off Slurm, where a cluster may be known to the others by an address that it does not know itself; else false",
    about:
      "Mutual TLS between Dynamo's processes, etcd and NATS: requests and answers are encrypted, and a peer without a certificate of this deployment is refused. Nodes make the certificates at every start.",
  }),
  generation: setting(whole({ min: 1, max: 1_000_000 }), {
    default: 1,
    about:
      "Another number makes new passwords and a new authority for the deployment's own connections; all programs restart with them.",
  }),
  leaseTtlSeconds: setting(whole({ min: 2, max: 3600, noun: "a whole number of seconds" }), {
    default: 30,
    unit: "seconds",
    about:
      "How long a process stays registered after its last sign of life (`ETCD_LEASE_TTL`). Longer survives a longer outage of etcd; shorter drops a dead worker sooner.",
  }),
});

/** Base ports by purpose. Further instances of a program on a node get the next free ports above. */
export const portsSchema = section({
  etcdClient: setting(port(), { default: 2379, about: "etcd, for its clients." }),
  etcdPeer: setting(port(), { default: 2380, about: "etcd, among its members." }),
  etcdMetrics: setting(port(), {
    default: 2381,
    about: "etcd, health and metrics over HTTP; only with `controlPlane.tls`.",
  }),
  nats: setting(port(), { default: 4222, about: "NATS, for its clients." }),
  natsMonitor: setting(port(), { default: 8222, about: "NATS, health and metrics over HTTP." }),
  eventsIn: setting(port(), {
    default: 5550,
    about: "Where workers send KV events to where there is no NATS (ZMQ broker, `DYN_ZMQ_BROKER_URL`).",
  }),
  eventsOut: setting(port(), { default: 5551, about: "Where routers receive them." }),
  workerSystem: setting(port(), {
    default: 9100,
    about:
      "First port for workers' health and metrics (`DYN_SYSTEM_PORT`); one for each worker process of a node.",
  }),
  workerRpc: setting(port(), {
    default: 9300,
    about: "First port on which workers take requests (`DYN_TCP_RPC_PORT`).",
  }),
  frontendHttp: setting(port(), {
    default: 9800,
    about:
      "First port of the frontends behind the gateway (`access.gateway`); only their own node reaches it.",
  }),
  frontendResponse: setting(port(), {
    default: 9700,
    about:
      "First port on which frontends take the workers' answers (`DYN_TCP_RESPONSE_STREAM_PORT`). On target local any free one.",
  }),
  gatewayStatus: setting(port(), {
    default: 9850,
    about: "The gateway's own metrics (`metrics.exporters`); only its own node reaches it.",
  }),
  exporter: setting(port(), {
    default: 9050,
    about: "What each node tells Prometheus (`metrics.exporters`).",
  }),
  prometheus: setting(port(), {
    default: 9090,
    about: "Prometheus (`metrics.prometheus`); only its own node reaches it.",
  }),
  kvEvents: setting(port(), { default: 5557, about: "First port on which engines publish KV events (ZMQ)." }),
  forwardPass: setting(port(), {
    default: 20380,
    about:
      "First port on which vLLM tells what the planner decides by (`DYN_FORWARDPASS_METRIC_PORT`), with a pool that has `maxReplicas`.",
  }),
  bootstrap: setting(port(), {
    default: 30001,
    about: "First port on which prefill workers meet decode workers (`--disaggregation-bootstrap-port`).",
  }),
  engine: setting(port(), {
    default: 31000,
    about: "First port of the engines' own servers (`--port` of SGLang).",
  }),
  distInit: setting(port(), {
    default: 29500,
    about: "First port on which the ranks of one replica meet (`--dist-init-addr`, `--master-port`).",
  }),
  lockstep: setting(port(), {
    default: 29300,
    about:
      "First port on which the ranks of a replica over several nodes hold together: they start when all are there, and when one ends all are started again.",
  }),
  mpi: setting(port(), {
    default: 27000,
    about:
      "First port of Open MPI (`oob_tcp_dynamic_ipv4_ports`, `btl_tcp_port_min_v4`) where TensorRT-LLM spans nodes; on each node a replica takes 8, and two for each GPU.",
  }),
  sideChannel: setting(port(), {
    default: 5600,
    about: "First port of the side channel of the KV transfer, which vLLM has.",
  }),
});

export const kvOffloadSchema = section({
  hostMemoryGB: optional(decimal({ min: 0, above: true }), {
    absent: "no offload to host memory",
    unit: "GB per GPU",
    about: "Host memory that keeps KV blocks which no longer fit the GPU.",
  }),
  diskGB: optional(decimal({ min: 0, above: true }), {
    absent: "no offload to disk",
    unit: "GB per GPU",
    about: "Disk that keeps KV blocks which no longer fit host memory.",
  }),
  diskPath: optional(
    text({ noun: "an absolute path", allowed: "a path that starts with /", pattern: /^\/[^\n\r\0]*$/ }),
    {
      absent: "the node's own directory",
      about: "Directory on the node for those blocks.",
    },
  ),
});

export const timeoutsSchema = section({
  readySeconds: optional(seconds(DAY), {
    absent: "3600; 180 on target local",
    unit: "seconds",
    about:
      "How long `up` waits, once processes run, until every worker is registered and a completion has come back.",
  }),
  dependencySeconds: setting(seconds(DAY), {
    default: 120,
    unit: "seconds",
    about:
      "How long a process waits for etcd or NATS, or for the other ranks of its replica, before it gives up and is started again.",
  }),
  stopSeconds: setting(seconds(3600), {
    default: 30,
    unit: "seconds",
    about: `Time between SIGTERM and SIGKILL when a process is stopped; requests in progress finish in it. A worker of a real engine always takes all but its last ${CLEAN_UP_SECONDS} seconds, and aborts what is not finished then.`,
  }),
  provisionMinutes: setting(whole({ min: 1, max: 10_080, noun: "a whole number of minutes" }), {
    default: 60,
    unit: "minutes",
    about: "How long SkyPilot may take to provision a cluster and set it up.",
  }),
});

export const clusterSchema = section({
  nodes: setting(whole({ min: 1, max: 10_000 }), {
    default: 1,
    unit: "nodes",
    about: "Nodes of the shared cluster; on target local, loopback addresses.",
  }),
  gpusPerNode: optional(whole({ min: 1, max: MOST_GPUS_OF_A_NODE }), {
    absent: "8; on target local as many as the pools need",
    unit: "GPUs",
    about: "GPUs of one node.",
  }),
  accelerator: setting(acceleratorName(), {
    default: "H100",
    about: "What the nodes' GPUs are, by SkyPilot's name.",
  }),
  workersPerGpu: setting(whole({ min: 1, max: 8 }), {
    default: 1,
    unit: "workers",
    about:
      "Above 1 for trying out a topology on few GPUs, such as prefill and decode on one: so many workers share a GPU, each with its pool's `gpuMemoryFraction`, and start one after the other. They slow each other down.",
  }),
  allowIdleGpus: optional(flag(), {
    absent: "false; true on target local",
    about:
      "Accepts GPUs that no worker uses. When false they are an error, for they cost as much as the others.",
  }),
});
