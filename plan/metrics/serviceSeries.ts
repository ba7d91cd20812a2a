/** Series of the services besides Dynamo. */
import { counter, gauge, histogram } from "../../engines/series";

/** https://etcd.io/docs/v3.4/metrics/ */
export const ETCD = {
  etcdLeader: gauge("etcd", "etcd_server_has_leader", "1 while etcd can write.", { program: "etcd" }),
  etcdSize: gauge("etcd", "etcd_mvcc_db_total_size_in_bytes", "Size of the database.", { program: "etcd" }),
  etcdQuota: gauge("etcd", "etcd_server_quota_backend_bytes", "The size at which etcd stops writing.", {
    program: "etcd",
  }),
  etcdFsync: histogram(
    "etcd",
    "etcd_disk_wal_fsync_duration_seconds",
    "How long the disk takes to keep a write.",
    { program: "etcd" },
  ),
  etcdProposals: counter("etcd", "etcd_server_proposals_committed_total", "Writes.", { program: "etcd" }),
  etcdLeases: counter(
    "etcd",
    "etcd_debugging_server_lease_expired_total",
    "Leases that ran out: processes that went silent.",
    { program: "etcd" },
  ),
};

/**
 * Series of `runtime/exporter.py`. Those of NATS are named as by NATS's own exporter
 * (https://github.com/nats-io/prometheus-nats-exporter) and those of nginx as by nginx's
 * (https://github.com/nginx/nginx-prometheus-exporter), so that existing dashboards work.
 */
export const NODE = {
  programUp: gauge(
    "node",
    "dynamo_sky_program_up",
    "1 while a program runs, 0 while it waits, is held back or is stopped.",
  ),
  programStarts: counter("node", "dynamo_sky_program_starts_total", "How often a program was started."),
  programCrashes: gauge(
    "node",
    "dynamo_sky_program_crashes",
    "How often in a row it ended right after its start.",
  ),
  programStartTime: gauge(
    "node",
    "dynamo_sky_program_start_time_seconds",
    "When it was started last, Unix time.",
  ),
  programMemory: gauge(
    "node",
    "dynamo_sky_program_resident_memory_bytes",
    "Memory of a program and its children.",
  ),
  programCpu: counter(
    "node",
    "dynamo_sky_program_cpu_seconds_total",
    "CPU time of a program and its children that live.",
  ),
  diskFree: gauge("node", "dynamo_sky_node_disk_free_bytes", "Room on the disk of the node's directory."),
  natsUp: gauge("node", "nats_up", "1 while NATS answers.", { program: "nats" }),
  natsConnections: gauge("node", "gnatsd_varz_connections", "Connected processes.", { program: "nats" }),
  natsIn: counter("node", "gnatsd_varz_in_msgs", "Messages received: KV events, for the most part.", {
    program: "nats",
  }),
  natsOut: counter("node", "gnatsd_varz_out_msgs", "Messages handed on.", { program: "nats" }),
  natsBytes: counter("node", "gnatsd_varz_in_bytes", "Bytes received.", { program: "nats" }),
  natsSlow: counter("node", "gnatsd_varz_slow_consumers", "Receivers that were too slow and lost messages.", {
    program: "nats",
  }),
  gatewayUp: gauge("node", "nginx_up", "1 while the gateway answers.", { program: "gateway" }),
  gatewayConnections: gauge("node", "nginx_connections_active", "Open connections of clients.", {
    program: "gateway",
  }),
  gatewayRequests: counter(
    "node",
    "dynamo_sky_gateway_requests_total",
    "Answers of the gateway, by name of the key (empty without one) and status.",
    { program: "gateway" },
  ),
};

export const PROMETHEUS = {
  headSeries: gauge("prometheus", "prometheus_tsdb_head_series", "Series in memory."),
  ruleFailures: counter(
    "prometheus",
    "prometheus_rule_evaluation_failures_total",
    "Rules that could not be evaluated.",
  ),
};
