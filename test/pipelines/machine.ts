/** A machine of a pipeline: no terminal, nothing to read, state in a shared place, and of what one command leaves nothing for the next but what it started. */

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

/** How a command ended. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

export const PASSPHRASE = "of the pipeline";

export class PipelineMachine {
  /** For what a test writes besides. */
  readonly directory = mkdtempSync(join(tmpdir(), "dsky-ci-"));
  /** `DYNAMO_SKY_STATE` of its commands: by it all their processes are found. */
  readonly state = join(this.directory, "state");
  /** All that was ever printed, to look for secrets in. */
  told = "";
  readonly project: string;
  private readonly env: NodeJS.ProcessEnv;

  /**
   * @param repository Checkout whose commands are run.
   * @param project Directory of Pulumi.yaml. Default: one of its own.
   * @param env Besides what a pipeline has: of another machine with the same state, its `backend`.
   */
  constructor(
    private readonly repository: string,
    project?: string,
    env: Environment = {},
  ) {
    this.project = project ?? this.directory;
    mkdirSync(this.state);
    // Neither the user's own settings nor where npm was called to start this test.
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

  /** Pulumi's state in a directory, which is made: a bucket, but for its protocol. */
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

  /** Runs a command of the repository to its end, as its npm script does. */
  async run(tool: string, ...args: readonly string[]): Promise<Ran> {
    // Another machine has no private copies of the stacks' files.
    rmSync(join(this.state, "stacks"), { recursive: true, force: true });
    const child = this.start(tool, ...args);
    const status = new Promise<number | null>((resolve) => child.once("close", resolve));
    const [stdout, stderr] = await Promise.all([streamOf(child.stdout), streamOf(child.stderr)]);
    return { status: await status, stdout, stderr };
  }

  /** Starts a command, in a session of its own: it has no terminal that it could ask. */
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

  /** Ids of all processes that its commands have started. */
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
