/** Deployments on this machine that a benchmark brings up, and always takes down. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { outputsOf } from "../../cli/deployment/running";
import { openStack } from "../../cli/pulumi/openStack";
import { settingName } from "../../config/problems";
import type { ConfigInput } from "../../config/schema";
import { kill, processesOf } from "../../lib/processes";
import { messageOf, run } from "../../lib/run";
import { type Progress, packageRoot } from "../../toolchain/index";

const MAIN = "program.cjs";
const OPERATION_SECONDS = 300;

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
    // Commands run in the program's directory, so it has to be in the project's own.
    const program = `module.exports = require(${JSON.stringify(join(packageRoot(), MAIN))});`;
    writeFileSync(join(this.directory, MAIN), program);
    // The language host needs Pulumi's SDK there.
    symlinkSync(join(packageRoot(), "node_modules"), join(this.directory, "node_modules"));
    const runtime = { name: "nodejs", options: { typescript: false } };
    const description = { name: project, runtime, main: MAIN };
    writeFileSync(join(this.directory, "Pulumi.yaml"), stringify(description));
    mkdirSync(join(this.directory, "state"));
  }

  /** @returns The stack's outputs, secrets shown. */
  async bringUp(stack: string, config: ConfigInput): Promise<Readonly<Record<string, unknown>>> {
    const named = Object.fromEntries(
      Object.entries(config).map(([key, value]) => [settingName([key]), value]),
    );
    writeFileSync(this.fileOf(stack), stringify({ config: named }));
    this.stacks.push(stack);
    await this.operate("up", stack);
    return outputsOf(await openStack({ projectDir: this.directory, stack, env: this.environment() }));
  }

  async takeDown(stack: string): Promise<void> {
    await this.operate("destroy", stack);
    rmSync(this.fileOf(stack));
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
