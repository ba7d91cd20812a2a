/**
 * Access of the readiness check to SkyPilot clusters: the endpoint, the state of their tasks, and their logs.
 */
import { UserError } from "../lib/errors";
import type { ProgramLog } from "../lib/logs";
import type { VerbContext } from "../lib/verb";
import { Sky } from "./cli";
import { hostAndPort } from "./endpoint";
import { explained, failureMessage } from "./failure";
import { failedPart, programLogs } from "./jobLog";
import { isActive, type JobRecord, latestJob } from "./records";
import { stillRunning } from "./stillRunning";
import { canConnect, Tunnel } from "./tunnel";

/** The clusters of a deployment. */
export interface RemoteSpec {
  readonly infra: readonly string[];
  /** Full names; the one with the endpoint first. */
  readonly clusters: readonly string[];
}

/** Each queue query goes to the cluster's head. */
const ASK_EVERY_MS = 15_000;
const LOG_SECONDS = 120;
/** Of all programs of a cluster: several starts of one that crashes must be among them. */
const LOG_LINES = "5000";

export class RemoteDeployment {
  private tunnel: Tunnel | undefined;
  private asked = performance.now();

  private constructor(
    private readonly sky: Sky,
    private readonly spec: RemoteSpec,
    private readonly context: VerbContext,
  ) {}

  static async open(spec: RemoteSpec, context: VerbContext): Promise<RemoteDeployment> {
    return new RemoteDeployment(await Sky.find(spec.infra, context), spec, context);
  }

  /**
   * URL at which this machine reaches the endpoint: its own, or a tunnel through SkyPilot's ssh if its
   * network is not reachable, as for a port that is not open to the internet.
   */
  async reachable(endpoint: string): Promise<string> {
    const { host, port } = hostAndPort(endpoint);
    const [head] = this.spec.clusters;
    if (head === undefined || (this.tunnel === undefined && (await canConnect(host, port)))) return endpoint;
    if (this.tunnel === undefined) {
      this.context.progress.line(`${endpoint} cannot be reached from here: asking through ssh ${head}`);
      this.tunnel = new Tunnel(this.sky, head, port);
    }
    return `${new URL(endpoint).protocol}//127.0.0.1:${await this.tunnel.localPort(this.context.signal)}`;
  }

  /** @throws UserError with the last lines of the rank that failed, if the task of a cluster has ended. */
  async assertRunning(): Promise<void> {
    if (performance.now() - this.asked < ASK_EVERY_MS) return;
    this.asked = performance.now();
    const { clusters } = this.spec;
    const jobs = await this.sky.jobs(clusters);
    const silent = clusters.filter((cluster) => jobs[cluster] === undefined);
    // Its head may be busy: whether it is gone is known by a look at its machines.
    const seen = silent.length === 0 ? [] : await this.sky.clusters(silent, true);
    const busy = new Set(seen.flatMap(({ name, status }) => (status === "UP" ? [name] : [])));
    for (const cluster of clusters) {
      if (silent.includes(cluster) && busy.has(cluster)) continue;
      const job = latestJob(jobs[cluster] ?? []);
      if (job === undefined || !isActive(job)) throw await this.failure(cluster, job);
    }
  }

  private async failure(cluster: string, job: JobRecord | undefined): Promise<UserError> {
    const log = job === undefined ? [] : await this.log(cluster);
    const { who, lines } = failedPart(log, job?.status ?? "");
    const cause = job === undefined ? "it has no task any more" : `job ${job.job_id} ended as ${job.status}`;
    return new UserError(
      failureMessage(`${cluster} stopped serving`, explained({ kind: "run", cause }, lines), {
        source: `Last lines of ${who}`,
        lines,
        running: await stillRunning(this.sky, cluster),
      }),
    );
  }

  /** The logs of all programs of all clusters, with what shows them. */
  async programLogs(): Promise<(ProgramLog & { readonly source: string })[]> {
    const found = await Promise.all(
      this.spec.clusters.map(async (cluster) =>
        programLogs(await this.log(cluster)).map((one) => ({
          ...one,
          source: `${one.program}, in 'sky logs ${cluster}'`,
        })),
      ),
    );
    return found.flat();
  }

  private async log(cluster: string): Promise<readonly string[]> {
    const args = ["logs", "--no-follow", "--tail", LOG_LINES, cluster];
    return (await this.sky.run(args, { timeoutSeconds: LOG_SECONDS })).lines;
  }

  close(): void {
    this.tunnel?.close();
    this.sky.close();
  }
}
