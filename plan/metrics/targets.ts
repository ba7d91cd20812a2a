/**
 * Scrape targets of Prometheus: one for each planned program with metrics. Pure; addresses are placeholders.
 */
import { NODE_IP, rankAddress } from "../../lib/placeholders";
import type { ClusterPlan, ProgramPlan, WorkerRole } from "../types";
import { WORKER_ROLES } from "../types";
import type { Job } from "./series";

/** One endpoint with metrics. */
export interface ScrapeTarget {
  readonly job: Job;
  /**
   * Address from the cluster's head: a placeholder of `lib/placeholders.ts`, or a loopback address of the
   * head.
   */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Labels added to every series of the target. */
  readonly labels: TargetLabels;
}

export interface TargetLabels {
  /** Name of the plan's cluster. */
  readonly cluster: string;
  /** Rank of its node. */
  readonly node: string;
  readonly program: string;
  readonly role: string;
  readonly replica: string;
  /** Index of the node in its replica; rank 0 receives the requests. */
  readonly rank: string;
}

const PATH = "/metrics";

/** `main/0`: name of a node across clusters. */
export function nodeKey(cluster: string, rank: number | string): string {
  return `${cluster}/${rank}`;
}

/** Prometheus itself is excluded: its port is part of the configuration that it reads. */
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
      // The node's own address, as the head reaches it.
      const host = place.host === NODE_IP ? rankAddress(node.rank) : place.host;
      return [{ ...place, host, path: PATH, labels }];
    }),
  );
}

type Place = Pick<ScrapeTarget, "job" | "host" | "port">;

/** Address of a program's metrics from its own node; undefined if it has none. */
function placeOf(program: ProgramPlan): Place | undefined {
  const { role, ports } = program;
  if (isWorker(role)) {
    // A rank without Dynamo has no status server.
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

/** These expose metrics on the port of their health probe. */
function besideHealth({ name, health }: ProgramPlan, job: Job): Place {
  const parts = health.kind === "http" ? /^http:\/\/([^/]+):(\d+)\//.exec(health.url) : null;
  const [, host, port] = parts ?? [];
  if (host === undefined || port === undefined) throw new TypeError(`${name} tells its health at no URL`);
  return { job, host, port: Number(port) };
}
