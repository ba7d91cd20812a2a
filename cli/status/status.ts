/** Evaluates reports of nodes and SkyPilot: the state of a deployment, and its problems. Pure. */

import type { TaskName } from "../../config/task";
import { isLaunchers } from "../../lib/logs";
import type { ClusterState } from "../../lib/nodes";
import { counted } from "../../lib/words";
import { WORKER_ROLES, type WorkerRole } from "../../plan/types";
import { causesOf } from "../../sky/failure";
import { FAILURES } from "../../sky/failureKinds";
import type { Deployed, DeployedNode, DeployedProgram } from "../deployment/deployed";
import { type CostStatus, costOf } from "./cost";
import { between, samplesOf, type Totals, type Traffic, together, totalsOf, trafficOf } from "./metrics";
import type { FrontendReport, NodeAnswer, NodeReport, ProgramReport } from "./report";

/**
 * `running`; `starting` while it waits for dependencies; `crashing` if it repeatedly exits right after its
 * start; `missing` if its supervisor does not know it; `unknown` if the node does not answer; else
 * supervisor's own state (`stopped`, `fatal`): http://supervisord.org/subprocess.html#process-states
 */
export type State = "running" | "starting" | "crashing" | "missing" | "unknown" | (string & {});

export interface ProgramStatus {
  readonly name: string;
  readonly role: string;
  /**
   * On the machine, as CUDA knows them: indices, or UUIDs of GPUs or MIG instances. Before the first start
   * those of the plan, counted from 0.
   */
  readonly gpus: readonly (number | string)[];
  readonly ports: Readonly<Record<string, number>>;
  readonly state: State;
  /** Start of this state, ISO 8601; null if unknown. */
  readonly since: string | null;
  /** Number of automatic restarts since its configuration last changed. */
  readonly restarts: number;
  /** Its last exit. */
  readonly lastExit: { readonly at: string; readonly how: string } | null;
  /** Its last line of output. */
  readonly lastLine: string | null;
}

/** Why a program does not run, or is not ready, where its log names a cause that is known. */
export interface KnownCause {
  readonly program: string;
  /** `out of memory`. */
  readonly title: string;
  /** The line of the log. */
  readonly said: string;
  /** What to do. */
  readonly advice: string;
}

export interface NodeStatus {
  readonly rank: number;
  /** Why it cannot be queried; null if it can. */
  readonly problem: string | null;
  readonly programs: readonly ProgramStatus[];
}

export interface ClusterStatus extends ClusterState {
  readonly name: string;
  readonly cluster: string;
  readonly accelerator: string | null;
  readonly nodes: readonly NodeStatus[];
}

export interface RoleStatus {
  readonly role: WorkerRole;
  /** The lowest count of any frontend; null if no frontend answers. */
  readonly ready: number | null;
  readonly wanted: number;
}

export interface RequestStatus {
  readonly running: number;
  readonly queued: number;
  /** Since the frontends were started. */
  readonly total: Traffic;
  /** Between the two reports; null if there was only one. */
  readonly interval: (Traffic & { readonly seconds: number; readonly requestsPerSecond: number }) | null;
}

export interface Status {
  readonly at: string;
  readonly healthy: boolean;
  /** Problems, one sentence each. */
  readonly problems: readonly string[];
  /** What the nodes' checks have found, and may be harmless. */
  readonly notes: readonly string[];
  readonly causes: readonly KnownCause[];
  readonly endpoint: string;
  /** Since when its workers are asleep, ISO 8601; null if they are not. */
  readonly workersDown: string | null;
  readonly model: string;
  /** Task of the model. */
  readonly task: TaskName;
  readonly engine: string;
  readonly target: string;
  readonly routerMode: string;
  readonly roles: readonly RoleStatus[];
  /** Null if no frontend answers. */
  readonly requests: RequestStatus | null;
  readonly cost: CostStatus;
  readonly clusters: readonly ClusterStatus[];
}

export interface Seen {
  readonly at: Date;
  readonly clusters: Readonly<Record<string, ClusterState>>;
  /** Result of each node, in the order of the topology. */
  readonly nodes: readonly (DeployedNode & { readonly answer: NodeAnswer })[];
}

export function statusOf(deployed: Deployed, seen: Seen): Status {
  const { deployment, topology, endpoint, model, engine, workersDown = null } = deployed;
  const clusters = topology.map(({ name, cluster, accelerator = null }): ClusterStatus => {
    const state = seen.clusters[cluster] ?? { status: "GONE" };
    const nodes = seen.nodes.filter((node) => node.cluster === cluster).map(nodeStatus);
    return { name, cluster, accelerator, ...state, nodes };
  });
  const frontends = seen.nodes.flatMap(frontendsOf);
  const roles = rolesOf(deployed, frontends);
  const problems = [
    ...clusters.flatMap((cluster) => clusterProblems(cluster, deployment.target)),
    ...frontends.flatMap(({ name, now }) => (now.metrics === undefined ? [silent(name, now)] : [])),
    ...roles.filter(({ ready, wanted }) => ready !== null && ready !== wanted).map(roleProblem),
  ];
  return {
    at: seen.at.toISOString(),
    healthy: problems.length === 0,
    problems,
    notes: seen.nodes.flatMap(notesOf),
    causes: causesIn(clusters, roles, seen),
    endpoint,
    workersDown,
    model,
    task: deployment.task,
    engine,
    target: deployment.target,
    routerMode: deployment.routerMode,
    roles,
    requests: requestsOf(frontends),
    cost: costOf(deployed, seen.clusters, seen.at),
    clusters,
  };
}

function notesOf({ cluster, rank, answer }: Seen["nodes"][number]): string[] {
  return "unreachable" in answer ? [] : answer.now.notes.map((note) => `node ${rank} of ${cluster}: ${note}`);
}

/** Of what does not run, of workers of a role that is not complete, and of the frontends that wait for it. */
function causesIn(
  clusters: readonly ClusterStatus[],
  roles: readonly RoleStatus[],
  { nodes }: Seen,
): KnownCause[] {
  const short = new Set<string>(
    roles.filter(({ ready, wanted }) => ready !== wanted).map(({ role }) => role),
  );
  if (short.size > 0) short.add("frontend");
  const troubled = clusters
    .flatMap((cluster) => cluster.nodes.flatMap(({ programs }) => programs))
    .filter(({ state, role }) => state !== "running" || short.has(role));
  const logs = troubled.map(({ name }) => ({ program: name, lines: linesOf(name, nodes) }));
  return causesOf(logs).map(({ program, kind, cause }) => ({ program, said: cause, ...FAILURES[kind] }));
}

function linesOf(name: string, nodes: Seen["nodes"]): readonly string[] {
  const found = nodes.find(({ programs }) => programs.some((program) => program.name === name));
  if (found === undefined || "unreachable" in found.answer) return [];
  return found.answer.now.programs[name]?.lines ?? [];
}

function nodeStatus({ rank, programs, answer }: DeployedNode & { readonly answer: NodeAnswer }): NodeStatus {
  if ("unreachable" in answer)
    return { rank, problem: answer.unreachable, programs: programs.map((program) => unknown(program)) };
  const { now } = answer;
  const problem = now.exists
    ? now.supervisor
      ? null
      : "its supervisor does not answer"
    : "nothing of the deployment is on it";
  return { rank, problem, programs: programs.map((program) => programStatus(program, now)) };
}

function unknown({ name, role, gpus, ports }: DeployedProgram): ProgramStatus {
  const nothing = { since: null, restarts: 0, lastExit: null, lastLine: null };
  return { name, role, gpus, ports, state: "unknown", ...nothing };
}

const seconds = (at: number) => new Date(at * 1000).toISOString();

function programStatus(program: DeployedProgram, { at, crashSeconds, programs }: NodeReport): ProgramStatus {
  const { name, role, ports } = program;
  const report = programs[name];
  if (report === undefined) return unknown(program);
  const history = report.history ?? undefined;
  const gpus = history?.gpus?.length ? history.gpus.map(indexOrUuid) : program.gpus;
  const { state } = report;
  // After a crash it must run longer than that to count as running.
  const isYoung = history !== undefined && at - history.at < (crashSeconds ?? 0);
  const again = state === "BACKOFF" || (state === "RUNNING" && isYoung && history.crashes > 0);
  const isCrashing = again || flapping(report.exits, at).length > 0;
  const lastExit = report.exits.at(-1);
  return {
    name,
    role,
    gpus,
    ports,
    state: isCrashing ? "crashing" : state.toLowerCase(),
    since: sinceOf(report, isCrashing, at),
    restarts: Math.max(0, (history?.starts ?? 0) - 1),
    lastExit: lastExit === undefined ? null : { at: seconds(lastExit.at), how: lastExit.how },
    lastLine: report.lines.findLast((line) => !isLaunchers(line)) ?? report.lines.at(-1) ?? null,
  };
}

const indexOrUuid = (gpu: string): number | string => (/^\d+$/.test(gpu) ? Number(gpu) : gpu);

/** A program that runs for a while before each exit does not count as crashing, but it is. */
const FLAPPING = { exits: 3, withinSeconds: 600, lastWithinSeconds: 60 } as const;

/**
 * The exits of the last minutes, if there are enough of them, and the last is recent enough, to expect
 * another one.
 */
function flapping(exits: ProgramReport["exits"], at: number): ProgramReport["exits"] {
  const recent = exits.filter((exit) => at - exit.at < FLAPPING.withinSeconds);
  const last = recent.at(-1);
  const isNear = last !== undefined && at - last.at < FLAPPING.lastWithinSeconds;
  return isNear && recent.length >= FLAPPING.exits ? recent : [];
}

function sinceOf(
  { history, exits, state, start }: ProgramReport,
  isCrashing: boolean,
  at: number,
): string | null {
  if (isCrashing) {
    // The first of the consecutive crashes, as far back as known.
    const inRow = exits.slice(-Math.max(1, history?.crashes ?? 1));
    const first = [...inRow, ...flapping(exits, at)].toSorted((a, b) => a.at - b.at)[0];
    return first === undefined ? null : seconds(first.at);
  }
  if (state === "RUNNING" && history !== null) return seconds(history.at);
  return start === null || start === 0 ? null : seconds(start);
}

interface Frontend {
  readonly name: string;
  readonly earlier: FrontendReport | undefined;
  readonly now: FrontendReport;
  /** Between the two reports. */
  readonly seconds: number;
}

function frontendsOf({ answer }: { readonly answer: NodeAnswer }): Frontend[] {
  if ("unreachable" in answer) return [];
  const { earlier, now } = answer;
  return Object.entries(now.frontends).map(([name, report]) => ({
    name,
    earlier: earlier?.frontends[name],
    now: report,
    seconds: earlier === undefined ? 0 : now.at - earlier.at,
  }));
}

function silent(name: string, { error }: FrontendReport): string {
  return `${name} does not answer: ${error ?? "no reason given"}`;
}

function rolesOf({ deployment }: Deployed, frontends: readonly Frontend[]): RoleStatus[] {
  const answering = frontends.filter(({ now }) => now.metrics !== undefined);
  return WORKER_ROLES.flatMap((role): RoleStatus[] => {
    const { [role]: wanted } = deployment.workers;
    const counts = answering.map(({ now }) => registered(now.ready, deployment.namespace, role));
    const ready = counts.length === 0 ? null : Math.min(...counts);
    return wanted === 0 && !ready ? [] : [{ role, ready, wanted }];
  });
}

/** Workers of a role registered with a frontend; none if it does not know the model yet. */
function registered(ready: unknown, namespace: string, role: WorkerRole): number {
  const types = field(field(field(ready, "namespaces"), namespace), "worker_types");
  return Number(field(field(types, role), "workers") ?? 0);
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
}

function requestsOf(frontends: readonly Frontend[]): RequestStatus | null {
  const answering = frontends.flatMap(({ earlier, now, seconds }) =>
    now.metrics === undefined
      ? []
      : {
          earlier: earlier?.metrics && totalsOf(samplesOf(earlier.metrics)),
          now: totalsOf(samplesOf(now.metrics)),
          seconds,
        },
  );
  if (answering.length === 0) return null;
  const all = together(answering.map(({ now }) => now));
  const changes = answering.flatMap(({ earlier, now }): Totals[] =>
    earlier === undefined ? [] : [between(earlier, now)],
  );
  const seconds = Math.max(0, ...answering.map((one) => one.seconds));
  return {
    running: all.inflight,
    queued: all.queued,
    total: trafficOf(all),
    interval: changes.length === 0 || seconds <= 0 ? null : intervalOf(together(changes), seconds),
  };
}

function intervalOf(totals: Totals, seconds: number) {
  return { seconds, requestsPerSecond: totals.requests / seconds, ...trafficOf(totals) };
}

function clusterProblems(cluster: ClusterStatus, target: string): string[] {
  const { name, status, job, nodes } = cluster;
  if (status === "GONE")
    return [
      `cluster ${name}: ${target === "local" ? "it is not on this machine" : "SkyPilot knows no such cluster"}`,
    ];
  if (status !== "UP") return [`cluster ${name}: it is ${status}`];
  const jobProblem =
    target === "sky" && job?.status !== "RUNNING"
      ? [`cluster ${name}: its job is ${job?.status ?? "gone"}`]
      : [];
  return [...jobProblem, ...nodes.flatMap((node) => nodeProblems(name, node))];
}

function nodeProblems(cluster: string, { rank, problem, programs }: NodeStatus): string[] {
  if (problem !== null) return [`node ${rank} of ${cluster}: ${problem}`];
  return programs.filter(({ state }) => state !== "running").map(programProblem);
}

function programProblem({ name, state, restarts, lastExit }: ProgramStatus): string {
  if (state !== "crashing") return `${name} is ${state}`;
  const how = lastExit === null ? "" : `, last with ${lastExit.how}`;
  return `${name} is crashing: started again ${counted(restarts, "time")}${how}`;
}

function roleProblem({ role, ready, wanted }: RoleStatus): string {
  const lost = (ready ?? 0) > wanted ? " (lost ones are listed until their lease ends)" : "";
  return `${role}: ${ready} of ${wanted} workers registered${lost}`;
}
