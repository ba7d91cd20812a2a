/** Runs stacks on the lab: real SkyPilot on a real Slurm, through the users' commands. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { deploymentOf, type RunningDeployment } from "../../cli/deployment/running";
import { eventsIn, observedIn } from "../../cli/pulumi/events";
import { EVENT_LOG_ENVIRONMENT } from "../../cli/pulumi/operation";
import { VERBS } from "../../cli/verbs";
import type { ConfigInput } from "../../config/schema";
import type { Ports } from "../../dev/freePorts";
import { whyNoLab } from "../../dev/lab/system";
import { installedSky } from "../../dev/lab/tools";
import { callHttp } from "../../lib/http";
import { interpreterOf } from "../../sky/interpreter";
import type { ClusterRecord, JobRecord, RequestRecord } from "../../sky/records";
import { jsonIn } from "../../sky/records";
import { SkySession } from "../../sky/session";
import { ensureToolchain } from "../../toolchain";
import { LAB, LAB_MARK, SKY_ENVIRONMENT } from "../../toolchain/labLayout";
import { processesWith } from "../processes";
import { toolWords } from "../tools";

export const REPOSITORY = join(__dirname, "..", "..");
const OUTPUT_BYTES = 64 << 20;
const MINUTES = 60_000;

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

function run(
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
      timeout: 10 * MINUTES,
    };
    const child = execFile(file, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

function tool(name: string, args: readonly string[]): readonly string[] {
  return toolWords(name, args);
}

/** @throws Error that says how to start the lab; tests do not start it. */
export function requireLab(): void {
  if (!existsSync(LAB.etc))
    throw new Error("The lab is not up: run these tests by 'npm test -- --project lab'.");
}

/** The lab's `sky`. */
export function sky(...args: readonly string[]): Promise<Ended> {
  return run(installedSky(), args, SKY_ENVIRONMENT);
}

type Environment = Readonly<Record<string, string>>;
const sessions = new Map<string, SkySession>();

/** Short queries, in a process that is kept for the next one: starting `sky` takes seconds. */
async function asked(args: readonly string[], env: Environment = {}): Promise<unknown> {
  const key = JSON.stringify(env);
  const program = { command: installedSky(), env: { ...MARK, ...SKY_ENVIRONMENT, ...env } };
  const python = interpreterOf(program.command);
  if (python === undefined) throw new Error(`${program.command} has no Python beside it`);
  const session = sessions.get(key) ?? new SkySession(program, python, new AbortController().signal);
  sessions.set(key, session);
  const { code, stdout, stderr } = await session.ask(args, 180);
  if (code !== 0) throw new Error(`sky ${args.join(" ")} failed:\n${stderr}`);
  return jsonIn(stdout);
}

/** @param env Selects another API server than the lab's own. */
export async function clusters(env?: Environment): Promise<ClusterRecord[]> {
  return (await asked(["status", "-o", "json"], env)) as ClusterRecord[];
}

export async function jobs(cluster: string): Promise<JobRecord[]> {
  const queues = (await asked(["queue", "-o", "json", cluster])) as Record<string, JobRecord[]>;
  return queues[cluster] ?? [];
}

/** Ids of all launches since the API server's creation. */
export async function launches(): Promise<string[]> {
  const requests = (await asked(["api", "status", "-a", "-l", "all", "-o", "json"])) as RequestRecord[];
  return requests.filter(({ name }) => name === "sky.launch").map(({ request_id }) => request_id);
}

/** A verb of the driver, run like Pulumi does. */
export function driver(
  verb: string,
  input: object,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return run(join(REPOSITORY, "bin", "dynamo-sky"), verb.split(" "), env, JSON.stringify(input));
}

/** Result of a command of `npm run stack`. */
export interface Operation {
  readonly code: number;
  /** All its output. */
  readonly told: string;
  readonly steps: readonly { readonly op: string; readonly name: string; readonly reason?: string }[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** A resource of the state, as in `pulumi stack export --show-secrets`. */
interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly outputs?: { readonly result?: { readonly plaintext?: string } };
}

/** A Pulumi project with one stack, using this repository's program. */
export class LabStack {
  /** Of the project, including the state and Pulumi's own files. */
  readonly directory = mkdtempSync(join(tmpdir(), "lab-stack-"));
  private readonly env: Record<string, string>;
  /** Output of all its operations so far. */
  readonly printed: string[] = [];
  /** Values of {@link encrypt} in the stack's file. */
  private encrypted: { config?: Record<string, unknown>; encryptionsalt?: string } = {};

  /** @param env For all processes of the stack: another API server. */
  constructor(
    readonly project: string,
    readonly stack = "test",
    env: Readonly<Record<string, string>> = {},
  ) {
    const state = join(this.directory, "state");
    mkdirSync(join(state, "pulumi"), { recursive: true });
    this.env = {
      ...env,
      DYNAMO_SKY_STATE: state,
      PULUMI_CONFIG_PASSPHRASE: "test",
      DYNAMO_SKY_ROOT: REPOSITORY,
    };
    const runtime = { name: "nodejs", options: { typescript: false } };
    writeFileSync(
      join(this.directory, "Pulumi.yaml"),
      stringify({ name: project, runtime, main: "main.cjs" }),
    );
    const program = join(REPOSITORY, "program.cjs");
    writeFileSync(
      join(this.directory, "main.cjs"),
      `module.exports = require(${JSON.stringify(program)});\n`,
    );
    symlinkSync(join(REPOSITORY, "node_modules"), join(this.directory, "node_modules"));
  }

  configure(config: ConfigInput): void {
    const keys = Object.entries(config).map(([key, value]) => [`dynamo-sky:${key}`, value]);
    const all = { ...Object.fromEntries(keys), ...this.encrypted.config };
    writeFileSync(this.file, stringify({ ...this.encrypted, config: all }));
  }

  /** Creates the stack, and sets a secret in its configuration like a user. */
  async encrypt(key: keyof ConfigInput, value: string): Promise<void> {
    await this.pulumi(["stack", "init", "--no-select"]);
    // Through standard input, so that no command line has the value.
    await this.pulumi(["config", "set", "--secret", `dynamo-sky:${key}`], value);
    this.encrypted = parse(readFileSync(this.file, "utf8"));
  }

  /** Passwords generated by Pulumi for the stack, by resource name. */
  async generated(): Promise<Readonly<Record<string, string>>> {
    const { deployment } = JSON.parse(await this.pulumi(["stack", "export", "--show-secrets"]));
    const resources: readonly StateResource[] = deployment?.resources ?? [];
    return Object.fromEntries(
      resources.flatMap(({ urn, type, outputs }) => {
        const plaintext = outputs?.result?.plaintext;
        const isPassword = type === "random:index/randomPassword:RandomPassword";
        return isPassword && plaintext !== undefined
          ? [[urn.split("::").at(-1) ?? urn, String(JSON.parse(plaintext))]]
          : [];
      }),
    );
  }

  /** Pulumi's own CLI, on the stack. */
  private async pulumi(args: readonly string[], input = ""): Promise<string> {
    const { pulumi } = await ensureToolchain({ need: ["pulumi"] });
    const words = [...args, "--stack", this.stack, "--non-interactive", "--cwd", this.directory];
    const backend = { PULUMI_BACKEND_URL: `file://${join(this.env["DYNAMO_SKY_STATE"] ?? "", "pulumi")}` };
    const ended = await run(pulumi?.path ?? "pulumi", words, { ...this.env, ...backend }, input);
    if (ended.code !== 0) throw new Error(`pulumi ${args.join(" ")} failed:\n${ended.stderr}`);
    return ended.stdout;
  }

  private get file(): string {
    return join(this.directory, `Pulumi.${this.stack}.yaml`);
  }

  /** Runs a command of `npm run stack`; for an operation it also reads the steps. */
  async do(verb: string, ...args: readonly string[]): Promise<Operation> {
    const log = join(this.directory, `${verb}.events.jsonl`);
    const isOperation = ["preview", "up", "refresh", "destroy"].includes(verb);
    const more = isOperation ? [...args, ...this.operating(verb), "--event-log", log] : [...args, "--json"];
    const env = { ...this.env, ...EVENT_LOG_ENVIRONMENT };
    const { code, stdout, stderr } = await run(process.execPath, this.command(verb, ...more), env);
    this.printed.push(stdout, stderr);
    const events = existsSync(log) ? eventsIn(readFileSync(log, "utf8")) : [];
    rmSync(log, { force: true });
    const { steps, outputs } = observedIn(events, verb === "preview");
    return { code, told: `${stderr}${stdout}`, steps, outputs };
  }

  /** Options of a non-interactive user. */
  private operating(verb: string): readonly string[] {
    return [
      "--non-interactive",
      "--color",
      "never",
      ...(verb === "preview" ? [] : ["--yes", "--skip-preview"]),
    ];
  }

  /** The deployment from its outputs, including the key. */
  async deployment(): Promise<RunningDeployment> {
    const { code, stdout, stderr } = await run(
      process.execPath,
      this.command("output", "--show-secrets", "--json"),
      this.env,
    );
    if (code !== 0) throw new Error(stderr);
    return deploymentOf(jsonOf(stdout) as Readonly<Record<string, unknown>>);
  }

  /** `bin/dynamo-sky verify` of the stack. */
  async verify(): Promise<Ended & { readonly json: Verified }> {
    const ended = await this.look("verify");
    return { ...ended, json: jsonOf(ended.stdout) as Verified };
  }

  /** A command that inspects the stack, such as `bin/dynamo-sky status`, with its result as JSON. */
  async look(name: string, ...args: readonly string[]): Promise<Ended> {
    const words = ["--stack", this.stack, "--cwd", this.directory, "--json", ...args];
    const ended = await run(process.execPath, tool(name, words), this.env);
    this.printed.push(ended.stdout, ended.stderr);
    return ended;
  }

  /** Starts an operation in its own process group, so that it can be interrupted as a whole. */
  start(verb: string): Running {
    return new Running(this.command(verb, ...this.operating(verb)), this.env, (text) =>
      this.printed.push(text),
    );
  }

  private command(verb: string, ...args: readonly string[]): readonly string[] {
    const where = ["--stack", this.stack, "--cwd", this.directory];
    return verb in VERBS ? tool(verb, [...where, ...args]) : tool("stack", [verb, ...where, ...args]);
  }

  /** Kills all its processes, like a power failure. */
  killAll(): void {
    for (const pid of this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It exited meanwhile.
      }
    }
  }

  /** Ids of the project's processes: the engine, its plugins, the driver. */
  processes(): number[] {
    return processesWith("DYNAMO_SKY_STATE", this.env["DYNAMO_SKY_STATE"] ?? "");
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The relevant part of `bin/dynamo-sky verify --json`. */
interface Verified {
  readonly cacheAware: boolean;
  readonly disaggregated: boolean;
  readonly requests: readonly {
    readonly prefillProgram?: string;
    readonly decodeProgram?: string;
    readonly cachedBlocks?: number;
  }[];
}

/** The JSON at the end of an output; empty if there is none. */
function jsonOf(stdout: string): unknown {
  const start = stdout.search(/^\{/m);
  return start < 0 ? {} : JSON.parse(stdout.slice(start));
}

/** A running operation. */
export class Running {
  /** Its output so far. */
  told = "";
  readonly code: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    onText: (text: string) => void,
  ) {
    this.child = spawn(process.execPath, command, {
      env: { ...process.env, ...MARK, ...env },
      cwd: REPOSITORY,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.told += text;
        onText(text);
      });
    // Not "exit": output may still be buffered then.
    this.code = new Promise((resolve) => this.child.once("close", resolve));
  }

  /**
   * Waits for a condition while it runs. @throws Error with its output, if it ends before, or after four
   * minutes.
   */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 4 * MINUTES;
    while (!(await condition())) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`ended too early:\n${this.told}`);
      if (performance.now() > deadline) throw new Error(`did not come so far:\n${this.told}`);
      await sleep(250);
    }
  }

  /** Ctrl-C on a terminal: every process of the foreground group gets it. */
  interrupt(): void {
    process.kill(-(this.child.pid ?? 0), "SIGINT");
  }
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

/** What a client needs to know of an endpoint. */
export type Endpoint = Pick<RunningDeployment, "endpoint" | "apiKey" | "fingerprint">;

/** Sends a chat request. @returns The number of tokens and the worker that served it. */
export async function ask(
  { endpoint, apiKey, fingerprint }: Endpoint,
  question: string,
): Promise<{ tokens: number; worker: string }> {
  // Worker ids have more digits than a JavaScript number can hold.
  const { text } = await callHttp(`${endpoint}/v1/chat/completions`, {
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
  const worker = /"(?:decode_)?worker_id":\s*(\d+)/.exec(text)?.[1] ?? "";
  const tokens = Number(/"completion_tokens":\s*(\d+)/.exec(text)?.[1] ?? 0);
  return { tokens, worker };
}
