/** Runs stacks on the lab: real SkyPilot on a real Slurm, through the commands that a person types. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { ConfigInput } from "../../plan/schema";
import type { ClusterRecord, JobRecord, RequestRecord } from "../../sky/records";
import { jsonIn } from "../../sky/records";
import { SKY_ENVIRONMENT } from "../../tools/lab/layout";
import { labProcesses } from "../../tools/lab/processes";
import { whyNoLab } from "../../tools/lab/system";
import { installedSky } from "../../tools/lab/tools";

export const REPOSITORY = join(__dirname, "..", "..");
const OUTPUT_BYTES = 64 << 20;
const MINUTES = 60_000;

/** Why these tests cannot run here; undefined when they can. */
export const reason = whyNoLab();
/** The title of a group of tests, which names the reason where they are skipped. */
export const titled = (title: string) =>
  reason === undefined ? title : `${title} (skipped on this machine: ${reason})`;

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  return new Promise((resolve) => {
    const options = {
      env: { ...process.env, ...env },
      cwd: REPOSITORY,
      maxBuffer: OUTPUT_BYTES,
      timeout: 10 * MINUTES,
    };
    execFile(file, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

function tool(name: string, args: readonly string[]): readonly string[] {
  return ["--import", "tsx", join(REPOSITORY, "tools", `${name}.ts`), ...args];
}

/** Starts the lab unless it runs. @returns what undoes that. */
export async function ensureLab(): Promise<() => Promise<void>> {
  const lab = (verb: string): Promise<Ended> => run(process.execPath, tool("lab", [verb]), {});
  const ran = (await lab("status")).code === 0;
  const { code, stderr } = await lab("up");
  if (code !== 0) throw new Error(`the lab does not start:\n${stderr}`);
  return async () => {
    if (!ran) await lab("down");
  };
}

/** SkyPilot of the lab, as a person uses it. */
export function sky(...args: readonly string[]): Promise<Ended> {
  return run(installedSky(), args, SKY_ENVIRONMENT);
}

export async function clusters(): Promise<ClusterRecord[]> {
  return jsonIn((await sky("status", "-o", "json")).stdout) as ClusterRecord[];
}

export async function jobs(cluster: string): Promise<JobRecord[]> {
  const queues = jsonIn((await sky("queue", "-o", "json", cluster)).stdout) as Record<string, JobRecord[]>;
  return queues[cluster] ?? [];
}

/** Ids of all launches that the API server has ever had. */
export async function launches(): Promise<string[]> {
  const { stdout } = await sky("api", "status", "-a", "-l", "all", "-o", "json");
  const requests = jsonIn(stdout) as RequestRecord[];
  return requests.filter(({ name }) => name === "sky.launch").map(({ request_id }) => request_id);
}

/** Processes of the lab whose command or environment names a cluster. */
export function processesOf(cluster: string): string[] {
  return labProcesses().flatMap((pid) => {
    try {
      const [command, environment] = ["cmdline", "environ"].map((file) =>
        readFileSync(`/proc/${pid}/${file}`, "utf8"),
      );
      return `${command}\0${environment}`.includes(cluster)
        ? [`${pid} ${command?.split("\0").slice(0, 4).join(" ")}`]
        : [];
    } catch {
      return []; // It ended meanwhile.
    }
  });
}

/** What `npm run stack` prints with `--json`. */
export interface Operation {
  readonly code: number;
  /** Progress and errors. */
  readonly told: string;
  readonly steps: readonly { readonly op: string; readonly name: string; readonly reason?: string }[];
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly seconds: number;
}

/** A Pulumi project with one stack of its own, on this repository's program. */
export class LabStack {
  private readonly directory = mkdtempSync(join(tmpdir(), "lab-stack-"));
  private readonly env: Record<string, string>;

  constructor(
    readonly project: string,
    readonly stack = "test",
  ) {
    const state = join(this.directory, "state");
    mkdirSync(state);
    this.env = { DYNAMO_SKY_STATE: state, PULUMI_CONFIG_PASSPHRASE: "test", DYNAMO_SKY_ROOT: REPOSITORY };
    const file = { name: project, runtime: "nodejs", main: join(REPOSITORY, "index.ts") };
    writeFileSync(join(this.directory, "Pulumi.yaml"), stringify(file));
  }

  configure(config: ConfigInput): void {
    const keys = Object.entries(config).map(([key, value]) => [`dynamo-sky:${key}`, value]);
    const text = stringify({ config: Object.fromEntries(keys) });
    writeFileSync(join(this.directory, `Pulumi.${this.stack}.yaml`), text);
  }

  async do(verb: string, ...args: readonly string[]): Promise<Operation> {
    const { code, stdout, stderr } = await run(process.execPath, this.command(verb, ...args), this.env);
    const start = stdout.search(/^\{/m);
    const {
      steps = [],
      outputs = {},
      seconds = 0,
    } = (start < 0 ? {} : JSON.parse(stdout.slice(start))) as Partial<Operation>;
    return { code, told: `${stderr}${stdout}`, steps, outputs, seconds };
  }

  /** Starts an operation in a process group of its own, to be killed as a whole. */
  start(verb: string): ChildProcess {
    const options = {
      env: { ...process.env, ...this.env },
      cwd: REPOSITORY,
      detached: true,
      stdio: "ignore" as const,
    };
    return spawn(process.execPath, this.command(verb), options);
  }

  private command(verb: string, ...args: readonly string[]): readonly string[] {
    return tool("stack", [verb, "--stack", this.stack, "--cwd", this.directory, "--json", ...args]);
  }

  /** Ids of the processes that work for this project: the engine, its plugins, the driver. */
  processes(): number[] {
    const mark = `DYNAMO_SKY_STATE=${this.env["DYNAMO_SKY_STATE"]}`;
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark);
        } catch {
          return false;
        }
      });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Two workers of eight GPUs, one a node, on ports of the tests' own. */
export function labConfig(changes: Partial<ConfigInput> = {}): ConfigInput {
  return {
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100" },
    pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
    router: { mode: "round-robin" },
    frontend: { port: 18_100 },
    ports: {
      etcdClient: 12_479,
      etcdPeer: 12_480,
      nats: 14_322,
      natsMonitor: 18_322,
      workerSystem: 19_400,
      workerRpc: 19_500,
      frontendResponse: 19_600,
    },
    sky: { infra: "slurm/lab" },
    ...changes,
  };
}

/** Asks a chat question. @returns the answer's tokens and the worker that gave it. */
export async function ask(endpoint: string, question: string): Promise<{ tokens: number; worker: string }> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "Qwen/Qwen3-8B",
      messages: [{ role: "user", content: question }],
      max_tokens: 8,
      nvext: { extra_fields: ["worker_id"] },
    }),
    signal: AbortSignal.timeout(30_000),
  });
  // Worker ids have more digits than a number of JavaScript holds.
  const text = await response.text();
  const worker = /"(?:decode_)?worker_id":\s*(\d+)/.exec(text)?.[1] ?? "";
  const tokens = Number(/"completion_tokens":\s*(\d+)/.exec(text)?.[1] ?? 0);
  return { tokens, worker };
}
