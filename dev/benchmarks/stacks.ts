/** Deployments on this machine that a benchmark brings up, and always takes down. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { outputsOf } from "../../cli/deployment/running";
import type { Action } from "../../cli/operate/journal";
import { openStack } from "../../cli/pulumi/openStack";
import { namedSettings } from "../../config/problems";
import type { ConfigInput } from "../../config/schema";
import { kill, processesOf } from "../../lib/processes";
import { messageOf, run } from "../../lib/run";
import type { WorkerRole } from "../../plan/types";
import { type Progress, packageRoot } from "../../toolchain/index";

const MAIN = "program.cjs";
const OPERATION_SECONDS = 1200;

/** Makes the directory a Pulumi project whose program is this repository's, as compiled. */
export function writeProject(directory: string, name: string): void {
  // Commands run in the program's directory, so it has to be in the project's own.
  const program = `module.exports = require(${JSON.stringify(join(packageRoot(), MAIN))});`;
  writeFileSync(join(directory, MAIN), program);
  // The language host needs Pulumi's SDK there.
  symlinkSync(join(packageRoot(), "node_modules"), join(directory, "node_modules"));
  const runtime = { name: "nodejs", options: { typescript: false } };
  writeFileSync(join(directory, "Pulumi.yaml"), stringify({ name, runtime, main: MAIN }));
}

/** A separate Pulumi project of a benchmark, with its own state. */
export class BenchmarkStacks {
  /** For other files of the benchmark. */
  readonly directory: string;
  private readonly stacks: string[] = [];

  constructor(
    project: string,
    private readonly say: Progress,
  ) {
    this.directory = mkdtempSync(join(tmpdir(), `${project}-`));
    writeProject(this.directory, project);
    mkdirSync(join(this.directory, "state"));
  }

  /** @returns The stack's outputs, secrets shown. */
  async bringUp(stack: string, config: ConfigInput): Promise<Readonly<Record<string, unknown>>> {
    writeFileSync(this.fileOf(stack), stringify({ config: namedSettings(config) }));
    this.stacks.push(stack);
    await this.operate("up", stack);
    return outputsOf(await openStack({ projectDir: this.directory, stack, env: this.environment() }));
  }

  async takeDown(stack: string): Promise<void> {
    await this.operate("destroy", stack);
    rmSync(this.fileOf(stack));
  }

  /** Starts `dynamo-sky operate` on a stack that is up. */
  operator(stack: string, options: readonly string[]): BenchmarkOperator {
    const words = ["operate", "--stack", stack, "--cwd", this.directory, "--json", ...options];
    return new BenchmarkOperator(words, { ...process.env, ...this.environment() }, this.say);
  }

  /** Takes everything down; remaining processes are killed. */
  async close(): Promise<void> {
    for (const stack of this.stacks.filter((one) => existsSync(this.fileOf(one))))
      await this.operate("destroy", stack).catch((error: unknown) => this.say(messageOf(error)));
    for (const { pid } of processesOf(this.directory)) kill(pid);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private fileOf(stack: string): string {
    return join(this.directory, `Pulumi.${stack}.yaml`);
  }

  private environment(): Record<string, string> {
    const state = join(this.directory, "state");
    // Does not use the user's own backend; keys live as long as the benchmark, in a directory of the user
    // only.
    return {
      DYNAMO_SKY_STATE: state,
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: "none",
    };
  }

  private async operate(verb: "up" | "destroy", stack: string): Promise<void> {
    const command = [
      "run",
      "--silent",
      "stack",
      "--",
      verb,
      "--yes",
      "--stack",
      stack,
      "--cwd",
      this.directory,
    ];
    await run("npm", command, {
      cwd: packageRoot(),
      env: this.environment(),
      timeoutSeconds: OPERATION_SECONDS,
    });
  }
}

/** A running operator. */
export class BenchmarkOperator {
  private readonly child: ChildProcess;
  private readonly actions: Action[] = [];

  constructor(words: readonly string[], env: NodeJS.ProcessEnv, say: Progress) {
    this.child = spawn(join(packageRoot(), "bin", "dynamo-sky"), words, {
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    if (this.child.stdout === null) return;
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      const action = JSON.parse(line) as Action;
      this.actions.push(action);
      say(`operator: ${action.text}`);
    });
  }

  /** The numbers of replicas of a role that it has made, in their order. */
  scaled(role: WorkerRole): number[] {
    return this.actions.flatMap(({ kind, replicas }) => (kind === "scale" ? (replicas[role] ?? []) : []));
  }

  /** Lets it finish what it does. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await ended;
  }
}

/**
 * Runs a benchmark with stacks, and takes them down afterwards, also on an interrupt.
 * @param project Name of the Pulumi project.
 */
export async function withBenchmarkStacks<T>(
  project: string,
  say: Progress,
  work: (stacks: BenchmarkStacks) => Promise<T>,
): Promise<T> {
  const stacks = new BenchmarkStacks(project, say);
  const interrupted = untilInterrupted();
  try {
    return await Promise.race([work(stacks), interrupted.promise]);
  } finally {
    interrupted.forget();
    await stacks.close();
  }
}

/** Rejects on a signal, so that everything is taken down; a second one exits the process at once. */
function untilInterrupted() {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let onSignal: (signal: NodeJS.Signals) => void = () => undefined;
  const promise = new Promise<never>((_, reject) => {
    onSignal = (signal) => reject(new Error(`Interrupted by ${signal}: taking the deployments down`));
  });
  for (const signal of signals) process.once(signal, onSignal);
  const forget = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  return { promise, forget };
}
