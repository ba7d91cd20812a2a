/**
 * A machine of a pipeline: no terminal, no input, shared state, and only started processes are kept between
 * commands.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { stringify } from "yaml";
import { VERBS } from "../../cli/verbs";
import type { ConfigInput } from "../../config/schema";
import { kill } from "../../lib/processes";
import { namespaced } from "../engine/programHarness";
import { processesWith } from "../processes";

/** Result of a command. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

export const PASSPHRASE = "of the pipeline";

export class PipelineMachine {
  /** For other files of a test. */
  readonly directory = mkdtempSync(join(tmpdir(), "dsky-ci-"));
  /** `DYNAMO_SKY_STATE` of its commands, by which all their processes are found. */
  readonly state = join(this.directory, "state");
  /** All output so far, to search for secrets. */
  told = "";
  readonly project: string;
  private readonly env: NodeJS.ProcessEnv;

  /**
   * @param repository Checkout whose commands are run.
   * @param project Directory of Pulumi.yaml. Default: a new one.
   * @param env Additional variables: for another machine with the same state, its `backend`.
   */
  constructor(
    private readonly repository: string,
    project?: string,
    env: Environment = {},
  ) {
    this.project = project ?? this.directory;
    mkdirSync(this.state);
    // Without the user's own settings, and without the directory in which npm was called.
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !/^(PULUMI_|INIT_CWD$|DYNAMO_SKY_CALLED_FROM$)/.test(name),
      ),
    );
    this.env = {
      ...clean,
      CI: "true",
      DYNAMO_SKY_STATE: this.state,
      PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
      ...PipelineMachine.backend(join(this.directory, "backend")),
      ...env,
    };
  }

  /** Pulumi's state in a new directory: like a bucket, except for its protocol. */
  static backend(directory: string): Environment {
    mkdirSync(directory, { recursive: true });
    return { PULUMI_BACKEND_URL: `file://${directory}` };
  }

  stackFile(stack: string): string {
    return join(this.project, `Pulumi.${stack}.yaml`);
  }

  configure(stack: string, config: ConfigInput): void {
    writeFileSync(this.stackFile(stack), stringify({ config: namespaced({ ...config }) }));
  }

  /** Runs a command of the repository, like its npm script. */
  async run(tool: string, ...args: readonly string[]): Promise<Ran> {
    // Another machine has no private copies of the stacks' files.
    rmSync(join(this.state, "stacks"), { recursive: true, force: true });
    const child = this.start(tool, ...args);
    const status = new Promise<number | null>((resolve) => child.once("close", resolve));
    const [stdout, stderr] = await Promise.all([streamOf(child.stdout), streamOf(child.stderr)]);
    return { status: await status, stdout, stderr };
  }

  /** Starts a command in its own session: it has no terminal. */
  start(tool: string, ...args: readonly string[]): ChildProcess {
    const where = this.project === this.repository ? [] : ["--cwd", this.project];
    const bootstrap = join(this.repository, "toolchain", "bootstrap.mjs");
    const words = tool in VERBS ? ["dynamo-sky", tool] : [tool];
    return spawn("node", [bootstrap, ...words, ...args, ...where], {
      env: this.env,
      cwd: this.directory,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async pipeline(...args: readonly string[]): Promise<Ran> {
    const ran = await this.run("pipeline", ...args);
    this.told += ran.stdout + ran.stderr;
    return ran;
  }

  /** Ids of all processes started by its commands. */
  processes(): number[] {
    return processesWith("DYNAMO_SKY_STATE", this.state);
  }

  close(): void {
    for (const pid of this.processes()) kill(pid);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function streamOf(stream: ChildProcess["stdout"]): Promise<string> {
  return stream === null ? Promise.resolve("") : text(stream);
}
