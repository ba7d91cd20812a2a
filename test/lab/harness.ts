/** The lab in tests: real SkyPilot on a real Slurm, asked through the users' commands. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunningDeployment } from "../../cli/deployment/running";
import type { ConfigInput } from "../../config/schema";
import type { Ports } from "../../dev/freePorts";
import { whyNoLab } from "../../dev/lab/system";
import { installedSky } from "../../dev/lab/tools";
import { callHttp, type HttpAnswer } from "../../lib/http";
import { interpreterOf } from "../../sky/interpreter";
import type { ClusterRecord, JobRecord, RequestRecord } from "../../sky/records";
import { jsonIn } from "../../sky/records";
import { SkySession } from "../../sky/session";
import { LAB, LAB_MARK } from "../../toolchain/labLayout";
import { type Lab, SLURM, skyEnvironmentOf } from "../../toolchain/labs";

export const REPOSITORY = join(__dirname, "..", "..");
const OUTPUT_BYTES = 64 << 20;
export const MINUTES = 60_000;
/** After which a command hangs, on whatever machine. */
export const HANGS_MINUTES = 25;

/** Why these tests cannot run here; undefined when they can. */
export const reason = whyNoLab();
/** The title of a group of tests, with the reason if they are skipped. */
export const titled = (title: string) =>
  reason === undefined ? title : `${title} (skipped on this machine: ${reason})`;

/** Marks the processes of tests, so that stopping the lab kills leftovers. */
export const MARK = { [LAB_MARK]: LAB.root };

/** Result of a command. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in the repository, its processes marked. */
export function run(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = "",
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = {
      env: { ...process.env, ...MARK, ...env },
      cwd: REPOSITORY,
      maxBuffer: OUTPUT_BYTES,
      timeout: HANGS_MINUTES * MINUTES,
    };
    const child = execFile(file, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** @throws Error that says how to start the lab; tests do not start it. */
export function requireLab(): void {
  if (!existsSync(LAB.etc))
    throw new Error("The lab is not up: run these tests by 'npm test -- --project lab'.");
}

type Environment = Readonly<Record<string, string>>;

/** A lab's SkyPilot, asked like a user does. */
export class LabSky {
  private readonly sessions = new Map<string, SkySession>();
  /** Of its processes, in addition to this one's. */
  readonly env: Environment;

  constructor(private readonly lab: Lab) {
    this.env = { [LAB_MARK]: lab.root, ...skyEnvironmentOf(lab) };
  }

  run(...args: readonly string[]): Promise<Ended> {
    return run(installedSky(this.lab), args, this.env);
  }

  /** @param env Selects another API server than the lab's own. */
  async clusters(env?: Environment): Promise<ClusterRecord[]> {
    return (await this.asked(["status", "-o", "json"], env)) as ClusterRecord[];
  }

  async jobs(cluster: string): Promise<JobRecord[]> {
    const queues = (await this.asked(["queue", "-o", "json", cluster])) as Record<string, JobRecord[]>;
    return queues[cluster] ?? [];
  }

  /** Ids of all launches since the API server's creation. */
  async launches(): Promise<string[]> {
    const requests = (await this.asked([
      "api",
      "status",
      "-a",
      "-l",
      "all",
      "-o",
      "json",
    ])) as RequestRecord[];
    return requests.filter(({ name }) => name === "sky.launch").map(({ request_id }) => request_id);
  }

  /** Short queries, in a process that is kept for the next one: starting `sky` takes seconds. */
  private async asked(args: readonly string[], env: Environment = {}): Promise<unknown> {
    const key = JSON.stringify(env);
    const program = { command: installedSky(this.lab), env: { ...this.env, ...env } };
    const python = interpreterOf(program.command);
    if (python === undefined) throw new Error(`${program.command} has no Python beside it`);
    const session = this.sessions.get(key) ?? new SkySession(program, python, new AbortController().signal);
    this.sessions.set(key, session);
    const { code, stdout, stderr } = await session.ask(args, 180);
    if (code !== 0) throw new Error(`sky ${args.join(" ")} failed:\n${stderr}`);
    return jsonIn(stdout);
  }
}

/** That of the Slurm lab, and its questions. */
export const SLURM_SKY = new LabSky(SLURM);
export const sky = SLURM_SKY.run.bind(SLURM_SKY);
export const clusters = SLURM_SKY.clusters.bind(SLURM_SKY);
export const jobs = SLURM_SKY.jobs.bind(SLURM_SKY);
export const launches = SLURM_SKY.launches.bind(SLURM_SKY);

/** A verb of the driver, run like Pulumi does. */
export function driver(
  verb: string,
  input: object,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return run(join(REPOSITORY, "bin", "dynamo-sky"), verb.split(" "), env, JSON.stringify(input));
}

/** Two workers with eight GPUs, one per node. */
export function labConfig(ports: Ports, changes: Partial<ConfigInput> = {}): ConfigInput {
  return {
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100" },
    pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
    router: { mode: "round-robin" },
    ...ports,
    sky: { infra: "slurm/lab" },
    ...changes,
  };
}

/** Two prefill workers and some decode workers; two of each fill both nodes. */
export const disaggregated = (decode: number, minReadySeconds = 0): Partial<ConfigInput> => ({
  cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100", allowIdleGpus: true },
  pools: [
    { role: "prefill", replicas: 2, tensorParallel: 4, update: { minReadySeconds } },
    { role: "decode", replicas: decode, tensorParallel: 4 },
  ],
  router: { mode: "kv" },
});

/** What a client needs to know of an endpoint. */
export type Endpoint = Pick<RunningDeployment, "endpoint" | "apiKey" | "fingerprint">;

/** The endpoint in a stack's outputs. */
export function endpointOf(outputs: Readonly<Record<string, unknown>>, apiKey: string | undefined): Endpoint {
  const { endpoint, certificateFingerprint } = outputs;
  return { endpoint: String(endpoint), fingerprint: String(certificateFingerprint), apiKey };
}

/** Sends a chat request. */
export function chat({ endpoint, apiKey, fingerprint }: Endpoint, question: string): Promise<HttpAnswer> {
  return callHttp(`${endpoint}/v1/chat/completions`, {
    body: {
      model: "Qwen/Qwen3-8B",
      messages: [{ role: "user", content: question }],
      max_tokens: 8,
      nvext: { extra_fields: ["worker_id"] },
    },
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    fingerprint,
    timeoutMs: 30_000,
    signal: new AbortController().signal,
  });
}

/** Sends a chat request. @returns The number of tokens and the worker that served it. */
export async function ask(endpoint: Endpoint, question: string): Promise<{ tokens: number; worker: string }> {
  const { text } = await chat(endpoint, question);
  // Worker ids have more digits than a JavaScript number can hold.
  const worker = /"(?:decode_)?worker_id":\s*(\d+)/.exec(text)?.[1] ?? "";
  const tokens = Number(/"completion_tokens":\s*(\d+)/.exec(text)?.[1] ?? 0);
  return { tokens, worker };
}
