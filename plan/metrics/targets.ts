/** What Prometheus scrapes: one target for each program of the plan that serves its metrics. Pure; addresses are placeholders. */
import { NODE_IP, rankAddress } from "../../lib/placeholders";
import type { ClusterPlan, ProgramPlan, WorkerRole } from "../types";
import { WORKER_ROLES } from "../types";
import { JOBS, type Job } from "./series";

/** One endpoint with metrics. */
export interface ScrapeTarget {
  readonly job: Job;
  /** As the cluster's head reaches it: a placeholder of `lib/placeholders.ts`, or a loopback address of the head. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Added to every series of the target. */
  readonly labels: TargetLabels;
}

export interface TargetLabels {
  /** Name of the plan's cluster. */
  readonly cluster: string;
  /** Rank of the node in it. */
  readonly node: string;
  readonly program: string;
  readonly role: string;
  readonly replica: string;
  /** Which of the replica's nodes this is; rank 0 takes the requests. */
  readonly rank: string;
}

const PATH = "/metrics";

/** `main/0`: how a node is named where there may be several clusters. */
export function nodeKey(cluster: string, rank: number | string): string {
  return `${cluster}/${rank}`;
}

/** Prometheus itself, whose port is in the configuration it reads: it is on the head like the one that asks. */
export type TargetSource = Pick<ClusterPlan, "name" | "nodes">;

/** The targets of one cluster, in the order of its nodes and programs. */
export function scrapeTargets({ name, nodes }: TargetSource): ScrapeTarget[] {
  return nodes.flatMap((node) =>
    node.programs.flatMap((program) => {
      const place = placeOf(program);
      if (place === undefined) return [];
      const labels = {
        cluster: name,
        node: String(node.rank),
        program: program.name,
        role: program.role,
        replica: String(program.replica),
        rank: String(program.rank),
      };
      // The node's own address has another name on the head, which asks.
      const host = place.host === NODE_IP ? rankAddress(node.rank) : place.host;
      return [{ ...place, host, path: PATH, labels }];
    }),
  );
}

type Place = Pick<ScrapeTarget, "job" | "host" | "port">;

/** Where a program serves its metrics, seen from its own node; undefined where it has none. */
function placeOf(program: ProgramPlan): Place | undefined {
  const { role, ports } = program;
  if (isWorker(role)) {
    // A rank without Dynamo in it has no status server.
    return ports["system"] === undefined ? undefined : besideHealth(program, "worker");
  }
  switch (role) {
    case "frontend":
      return besideHealth(program, "frontend");
    case "etcd":
      return besideHealth(program, "etcd");
    case "exporter":
      return besideHealth(program, "node");
    case "prometheus":
      return besideHealth(program, "prometheus");
    default:
      return undefined;
  }
}

function isWorker(role: string): role is WorkerRole {
  return WORKER_ROLES.some((worker) => worker === role);
}

/** These have their metrics on the port where they tell their health. */
function besideHealth({ name, health }: ProgramPlan, job: Job): Place {
  const parts = health.kind === "http" ? /^http:\/\/([^/]+):(\d+)\//.exec(health.url) : null;
  const [, host, port] = parts ?? [];
  if (host === undefined || port === undefined) throw new TypeError(`${name} tells its health at no URL`);
  return { job, host, port: Number(port) };
}

/** Value of the `job` label. */
export function jobLabel({ job }: ScrapeTarget): string {
  return JOBS[job];
}
