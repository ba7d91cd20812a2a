/** Read-only access to a deployment's SkyPilot clusters: their state, and a shell on their nodes. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inherited } from "../lib/inherited";
import type { ClusterState, NodeShell } from "../lib/nodes";
import type { VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { latestJob, whyAbnormal } from "./records";
import { type Connection, sshArguments, sshHost, sshShell } from "./ssh";
import { Tunnel } from "./tunnel";

export interface InspectOptions {
  readonly infra: readonly string[];
  /** Full names. */
  readonly clusters: readonly string[];
  /** Whether to ask SkyPilot for prices too, which is slow. */
  readonly withPrices: boolean;
}

/** A busy node may be slow to accept ssh; `status` gives up on it after a minute. */
const CONNECT_SECONDS = 45;
/** How long an ssh connection is kept for the next call: opening one through SkyPilot takes seconds. */
const PERSIST_SECONDS = 60;
const END_MS = 5000;

export class SkyClusters {
  /** Control sockets of the kept connections. */
  private readonly sockets = mkdtempSync(join(tmpdir(), "dsky-ssh-"));
  private readonly reached = new Set<string>();
  private readonly tunnels: Tunnel[] = [];

  private constructor(
    private readonly sky: Sky,
    private readonly options: InspectOptions,
  ) {
    process.once("exit", this.close);
  }

  /** @throws UserError if SkyPilot is not available. */
  static async open(options: InspectOptions, context: VerbContext): Promise<SkyClusters> {
    return new SkyClusters(await Sky.find(options.infra, context), options);
  }

  /**
   * SkyPilot's current state, by full name. Also makes SkyPilot write its ssh entries if the clusters were
   * launched from another machine.
   */
  async look(): Promise<Readonly<Record<string, ClusterState>>> {
    const { clusters, withPrices } = this.options;
    const records = (await this.sky.clusters(clusters)).filter(({ name }) => clusters.includes(name));
    const up = records.filter(({ status }) => status === "UP").map(({ name }) => name);
    const jobs = await this.sky.jobs(up);
    const states = records.map(async (record) => {
      const { name, status, launched_at, resources_str, spot } = record;
      const job = latestJob(jobs[name] ?? []);
      const price = withPrices ? await this.sky.hourlyCost(name) : undefined;
      const state: ClusterState = {
        status,
        reason: whyAbnormal(record),
        since: launched_at == null ? undefined : new Date(launched_at * 1000).toISOString(),
        resources: resources_str ?? undefined,
        spot: spot ?? undefined,
        job: job && { id: job.job_id, status: job.status },
        // SkyPilot reports 0 for machines that are not a cloud's, as it has no price for them.
        dollarsPerHour: price || undefined,
      };
      return [name, state] as const;
    });
    return Object.fromEntries(await Promise.all(states));
  }

  shell(cluster: string, rank: number): NodeShell {
    this.reached.add(`${cluster} ${sshHost(cluster, rank)}`);
    return sshShell(cluster, rank, this.connection);
  }

  /**
   * Local port on 127.0.0.1 that forwards to a port on 127.0.0.1 of a cluster's head, until this is closed.
   *
   * @throws Error with ssh's message if it cannot be opened.
   */
  forwarded(cluster: string, port: number, signal: AbortSignal): Promise<number> {
    const tunnel = new Tunnel(this.sky, cluster, port);
    this.tunnels.push(tunnel);
    return tunnel.localPort(signal);
  }

  private get connection(): Connection {
    return {
      env: { ...this.sky.env },
      sockets: this.sockets,
      connectSeconds: CONNECT_SECONDS,
      persistSeconds: PERSIST_SECONDS,
    };
  }

  readonly close = (): void => {
    process.removeListener("exit", this.close);
    this.sky.close();
    for (const tunnel of this.tunnels) tunnel.close();
    for (const entry of this.reached) {
      const [cluster = "", host = ""] = entry.split(" ");
      const env = { ...inherited(), ...this.sky.env };
      spawnSync("ssh", [...sshArguments(cluster, this.connection), "-O", "exit", host], {
        env,
        stdio: "ignore",
        timeout: END_MS,
      });
    }
    rmSync(this.sockets, { recursive: true, force: true });
  };
}
