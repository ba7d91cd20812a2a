/** `dynamo-sky operate` and its siblings on a test's project, as processes of their own. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import type { Action } from "../../cli/operate/journal";
import { eventually } from "../eventually";
import { REPOSITORY, type TestProject } from "./programHarness";

const COMMAND = `${REPOSITORY}/bin/dynamo-sky`;

export class TestOperator {
  /** What it told since the test last emptied this. */
  actions: Action[] = [];
  #child: ChildProcess | undefined;

  constructor(
    private readonly project: TestProject,
    private readonly options: readonly string[],
  ) {}

  start(): void {
    const { project } = this;
    const args = ["operate", "--stack", "dev", "--cwd", project.directory, "--json", ...this.options];
    const child = spawn(COMMAND, args, {
      env: environmentOf(project),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      project.lines.push(line);
      this.actions.push(JSON.parse(line) as Action);
    });
    createInterface({ input: child.stderr }).on("line", (line) => project.lines.push(line));
    this.#child = child;
  }

  /** Ends it and all that it has started, whatever they are doing. */
  kill(): void {
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, "SIGKILL");
  }

  /** Its exit code. */
  ended(): Promise<number | null> {
    return new Promise((resolve) => this.#child?.once("exit", resolve));
  }

  did(kind: Action["kind"]): boolean {
    return this.actions.some((action) => action.kind === kind);
  }
}

/** Destroys the stack beside its operator, an update of which may just hold the lock. */
export async function destroyBeside(project: TestProject): Promise<void> {
  const destroyed = async () => {
    await (await project.open("dev")).destroy();
    return true;
  };
  await eventually(destroyed, 180);
}

/** Runs a command that ends by itself. */
export function dynamoSky(project: TestProject, verb: string, ...more: string[]) {
  const args = [verb, "--stack", "dev", "--cwd", project.directory, ...more];
  return spawnSync(COMMAND, args, { env: environmentOf(project), encoding: "utf8" });
}

function environmentOf(project: TestProject): NodeJS.ProcessEnv {
  return {
    ...process.env,
    DYNAMO_SKY_STATE: project.state,
    PULUMI_BACKEND_URL: `file://${project.state}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    // What is killed leaves its temporary files.
    TMPDIR: project.directory,
  };
}
