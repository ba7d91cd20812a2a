/** Dashboard of the infrastructure: nodes and their programs, etcd, NATS, Prometheus itself. */
import { SERIES, UP } from "../../plan/metrics/series";
import { type Dashboard, type Panel, quantile, rate, select, sum } from "./panels";

const { programUp, programStarts, programCrashes, programStartTime, programMemory, programCpu, diskFree } =
  SERIES;
const { etcdLeader, etcdSize, etcdQuota, etcdFsync, etcdProposals, etcdLeases } = SERIES;
const { natsUp, natsConnections, natsIn, natsOut, natsBytes, natsSlow, gatewayUp, headSeries, ruleFailures } =
  SERIES;

const PROGRAM = ["cluster", "node", "name"];
const program = "{{name}} (node {{node}})";

export function nodesDashboard(): Dashboard {
  return {
    uid: "dynamo-nodes",
    title: "Dynamo: nodes and services",
    about: "Programs, restarts and memory of each node; etcd, NATS, the gateway and Prometheus.",
    rows: [
      { title: "Programs", panels: programPanels() },
      { title: "etcd", panels: etcdPanels() },
      { title: "NATS and gateway", panels: natsPanels() },
      { title: "Prometheus", panels: prometheusPanels() },
    ],
  };
}

function programPanels(): Panel[] {
  return [
    {
      title: "Answering",
      about: "Share of each kind of program that Prometheus reaches.",
      unit: "percentunit",
      queries: [{ expr: `avg by (job) (${select(UP)})`, legend: "{{job}}" }],
      series: [],
    },
    {
      title: "Not running",
      about: "Programs that wait for something, are held back or were stopped.",
      unit: "short",
      queries: [
        {
          expr: `sum by (cluster, node) (1 - ${select(programUp.name)})`,
          legend: "node {{node}} of {{cluster}}",
        },
      ],
      series: [programUp],
    },
    {
      title: "Restarts",
      about: "In the last 15 minutes.",
      unit: "short",
      queries: [
        {
          expr: `sum by (cluster, node, name) (increase(${select(programStarts.name)}[15m]))`,
          legend: program,
        },
      ],
      series: [programStarts],
    },
    {
      title: "Crashing",
      about: "How often in a row a program ended right after its start; it is held back longer each time.",
      unit: "short",
      queries: [{ expr: sum(programCrashes, PROGRAM), legend: program }],
      series: [programCrashes],
    },
    {
      title: "Age",
      about: "Since a program's last start.",
      unit: "s",
      queries: [
        {
          expr: `time() - max by (cluster, node, name) (${select(programStartTime.name)})`,
          legend: program,
        },
      ],
      series: [programStartTime],
    },
    {
      title: "Memory",
      about: "Of a program and its children, without the GPU's.",
      unit: "bytes",
      queries: [{ expr: sum(programMemory, PROGRAM), legend: program }],
      series: [programMemory],
    },
    {
      title: "CPU",
      about: "Cores that a program and its children keep busy.",
      unit: "short",
      queries: [{ expr: rate(programCpu, PROGRAM), legend: program }],
      series: [programCpu],
    },
    {
      title: "Disk",
      about: "Room left on the disk of the node's directory.",
      unit: "bytes",
      queries: [
        { expr: `min by (cluster, node) (${select(diskFree.name)})`, legend: "node {{node}} of {{cluster}}" },
      ],
      series: [diskFree],
    },
  ];
}

function etcdPanels(): Panel[] {
  return [
    {
      title: "Can write",
      about: "1 while etcd has a leader: itself.",
      unit: "short",
      queries: [{ expr: `max(${select(etcdLeader.name)})`, legend: "leader" }],
      series: [etcdLeader],
    },
    {
      title: "Database",
      about: "Size, and the quota at which etcd stops writing.",
      unit: "bytes",
      queries: [
        { expr: sum(etcdSize), legend: "size" },
        { expr: sum(etcdQuota), legend: "quota" },
      ],
      series: [etcdSize, etcdQuota],
    },
    {
      title: "Keeping a write",
      about:
        "What the disk takes for it, p99. Above 10 ms, leases begin to run out: https://etcd.io/docs/v3.4/faq/",
      unit: "s",
      queries: [{ expr: quantile(0.99, etcdFsync), legend: "p99" }],
      series: [etcdFsync],
    },
    {
      title: "Writes",
      about: "Per second.",
      unit: "cps",
      queries: [{ expr: rate(etcdProposals), legend: "writes" }],
      series: [etcdProposals],
    },
    {
      title: "Leases run out",
      about: "Per second: processes that went silent.",
      unit: "cps",
      queries: [{ expr: rate(etcdLeases), legend: "leases" }],
      series: [etcdLeases],
    },
  ];
}

function natsPanels(): Panel[] {
  return [
    {
      title: "Up",
      about: "1 while it answers.",
      unit: "short",
      queries: [{ expr: `min(${select(natsUp.name)})`, legend: "NATS" }],
      series: [natsUp],
    },
    {
      title: "Gateway up",
      about: "1 while it answers.",
      unit: "short",
      queries: [{ expr: `min(${select(gatewayUp.name)})`, legend: "gateway" }],
      series: [gatewayUp],
    },
    {
      title: "Connections",
      about: "Processes that are connected to NATS.",
      unit: "short",
      queries: [{ expr: sum(natsConnections), legend: "connections" }],
      series: [natsConnections],
    },
    {
      title: "Messages",
      about: "Per second: KV events, for the most part.",
      unit: "cps",
      queries: [
        { expr: rate(natsIn), legend: "in" },
        { expr: rate(natsOut), legend: "out" },
      ],
      series: [natsIn, natsOut],
    },
    {
      title: "Bytes",
      about: "Received per second.",
      unit: "Bps",
      queries: [{ expr: rate(natsBytes), legend: "in" }],
      series: [natsBytes],
    },
    {
      title: "Too slow",
      about: "Receivers that NATS cut off: their router has lost KV events.",
      unit: "short",
      queries: [{ expr: sum(natsSlow), legend: "receivers" }],
      series: [natsSlow],
    },
  ];
}

function prometheusPanels(): Panel[] {
  return [
    {
      title: "Series",
      about: "In memory.",
      unit: "short",
      queries: [{ expr: sum(headSeries), legend: "series" }],
      series: [headSeries],
    },
    {
      title: "Rules that fail",
      about: "Per second.",
      unit: "cps",
      queries: [{ expr: rate(ruleFailures), legend: "rules" }],
      series: [ruleFailures],
    },
    {
      title: "Scrapes",
      about: "What each kind of program takes to tell its metrics.",
      unit: "s",
      queries: [{ expr: `max by (job) (${select("scrape_duration_seconds")})`, legend: "{{job}}" }],
      series: [],
    },
  ];
}
