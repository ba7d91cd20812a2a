/** Runs this repository's program through the real Pulumi engine, in directories and on ports of a test's own. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type OpenStack, openStack } from "../../cli/pulumi/openStack";
import type { ConfigInput } from "../../config/schema";
import { type FoundProcess, kill, processesOf } from "../../lib/processes";
import { clusterDirectory, nodeDirectory } from "../../local/directories";
import { SupervisorClient } from "../../local/supervisor";
import { enginePath, ensureToolchain } from "../../toolchain";

export { freePorts, listen, type Ports } from "../../dev/freePorts";

export const REPOSITORY = join(__dirname, "..", "..");
/** The program of the repository, by its absolute path: a project of a test is somewhere else. */
const PROGRAM = `module.exports = require(${JSON.stringify(join(REPOSITORY, "program.cjs"))});\n`;

/** A Pulumi project of a test. */
export interface TestProject {
  readonly directory: string;
  /** `DYNAMO_SKY_STATE` of the test: Pulumi's state and the local clusters. */
  readonly state: string;
  /** Writes the stack's configuration; what {@link encrypt} has put there stays. */
  configure(stack: string, config: Readonly<Record<string, unknown>>): void;
  /** Makes the stack, and sets a secret in its configuration as a user does. */
  encrypt(stack: string, key: string, value: string): Promise<void>;
  /** Runs Pulumi's own command line on a stack, as a user does who sets a configuration with it. */
  pulumi(stack: string, args: readonly string[], input?: string): Promise<string>;
  /** Opens a stack; what it tells goes to `lines`. */
  open(stack: string): Promise<OpenStack>;
  readonly lines: string[];
  /** Ends everything that a failed test may have left, and removes the directories. */
  remove(): void;
}

/**
 * Makes a project called `name` in a temporary directory, and works there from now on.
 * @param program Text of its CommonJS program. Default: the repository's.
 */
export function testProject(name: string, program = PROGRAM): TestProject {
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  const state = join(directory, "state");
  const lines: string[] = [];
  const before = { cwd: process.cwd(), state: process.env["DYNAMO_SKY_STATE"] };
  mkdirSync(state);
  writeFileSync(
    join(directory, "Pulumi.yaml"),
    stringify({ name, runtime: { name: "nodejs", options: { typescript: false } }, main: "main.cjs" }),
  );
  writeFileSync(join(directory, "main.cjs"), program);
  // Where the language host finds Pulumi's SDK.
  symlinkSync(join(REPOSITORY, "node_modules"), join(directory, "node_modules"));
  // The commands that the program declares are relative to the project's directory, where Pulumi runs it.
  process.chdir(directory);
  process.env["DYNAMO_SKY_STATE"] = state;
  const env = {
    DYNAMO_SKY_STATE: state,
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
  };
  const file = (stack: string) => join(directory, `Pulumi.${stack}.yaml`);
  const pulumi: TestProject["pulumi"] = async (stack, args, input = "") => {
    const toolchain = await ensureToolchain({ need: ["pulumi", "plugins"] });
    return execFileSync(
      toolchain.pulumi?.path ?? "pulumi",
      [...args, "--stack", stack, "--non-interactive"],
      {
        cwd: directory,
        env: { ...process.env, ...env, PATH: enginePath(toolchain) },
        input,
        stdio: "pipe",
        encoding: "utf8",
      },
    );
  };
  let encrypted: { config?: Record<string, unknown>; encryptionsalt?: string } = {};
  return {
    directory,
    state,
    lines,
    configure: (stack, config) => {
      writeFileSync(file(stack), stringify({ ...encrypted, config: { ...config, ...encrypted.config } }));
    },
    pulumi,
    encrypt: async (stack, key, value) => {
      await pulumi(stack, ["stack", "init", "--no-select"]);
      // Through standard input, so that the value stands in no command line.
      await pulumi(stack, ["config", "set", "--secret", key], value);
      encrypted = parse(readFileSync(file(stack), "utf8"));
    },
    open: (stack) =>
      openStack({
        projectDir: directory,
        stack,
        env: {
          DYNAMO_SKY_STATE: state,
          PULUMI_BACKEND_URL: `file://${state}`,
          PULUMI_CONFIG_PASSPHRASE: "test",
        },
        onProgress: (line) => lines.push(line),
      }),
    remove: () => {
      for (const { pid } of processesOf(state)) kill(pid);
      process.chdir(before.cwd);
      if (before.state === undefined) delete process.env["DYNAMO_SKY_STATE"];
      else process.env["DYNAMO_SKY_STATE"] = before.state;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Keys of a configuration with the program's namespace, as a stack's file has them. */
export function namespaced(config: ConfigInput): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [`dynamo-sky:${key}`, value]));
}

/** Process ids of a node's programs, by name. */
export async function pids(cluster: string, rank = 0): Promise<Record<string, number>> {
  const programs = await new SupervisorClient(nodeDirectory(cluster, rank)).programs();
  return Object.fromEntries(programs.map(({ name, pid }) => [name, pid]));
}

/** What is left of a cluster: its processes and, if there is one, its directory. */
export function leftOf(cluster: string): { processes: FoundProcess[]; directory: boolean } {
  const directory = clusterDirectory(cluster);
  return {
    processes: processesOf(directory),
    directory: statSync(directory, { throwIfNoEntry: false }) !== undefined,
  };
}

/** Asks the model a question and gives the whole answer. */
export async function ask(endpoint: string, model: string): Promise<{ content: string; tokens: number }> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello?" }], max_tokens: 8 }),
    signal: AbortSignal.timeout(20_000),
  });
  const answer = (await response.json()) as {
    choices: { message: { content: string } }[];
    usage: { completion_tokens: number };
  };
  return { content: answer.choices[0]?.message.content ?? "", tokens: answer.usage.completion_tokens };
}
