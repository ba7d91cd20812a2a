/**
 * Runs this repository's program on the real Pulumi engine, in the test's own directories and on its own
 * ports.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { parse, stringify } from "yaml";
import { type OpenStack, openStack } from "../../cli/pulumi/openStack";
import type { ConfigInput } from "../../config/schema";
import { type FoundProcess, kill, processesOf } from "../../lib/processes";
import { clusterDirectory, nodeDirectory } from "../../local/directories";
import { enginePath, ensureToolchain } from "../../toolchain";
import { pidsOf } from "../nodes";

export { freePorts, listen, type Ports } from "../../dev/freePorts";

export const REPOSITORY = join(__dirname, "..", "..");
/** The program of the repository, by absolute path, since a test's project is elsewhere. */
const fromHere = (file: string) => `require(${JSON.stringify(join(REPOSITORY, file))})`;

/** First line of a program of its own: the components, loaded as program.cjs loads index.ts. */
export const COMPONENTS = `
${fromHere("lib/pulumiSdk.cjs")};
const { DynamoCluster } = ${fromHere("lib/bundle.cjs")}.load("components/index");`;

const PROGRAM = `module.exports = ${fromHere("program.cjs")};\n`;

/** A Pulumi project of a test. */
export interface TestProject {
  readonly directory: string;
  /** `DYNAMO_SKY_STATE` of the test: Pulumi's state and the local clusters. */
  readonly state: string;
  /** Writes the stack's configuration; values of {@link encrypt} are kept. */
  configure(stack: string, config: Readonly<Record<string, unknown>>): void;
  /** Creates the stack, and sets a secret in its configuration like a user. */
  encrypt(stack: string, key: string, value: string): Promise<void>;
  /** Runs Pulumi's CLI on a stack, like a user who sets a configuration with it. */
  pulumi(stack: string, args: readonly string[], input?: string): Promise<string>;
  /** Opens a stack; its progress goes to `lines`. */
  open(stack: string): Promise<OpenStack>;
  readonly lines: string[];
  /** Kills processes left by a failed test, and removes the directories. */
  remove(): void;
}

/**
 * Creates a project called `name` in a temporary directory, and changes into it.
 * @param program Source of its CommonJS program. Default: the repository's.
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
  // The language host needs Pulumi's SDK there.
  symlinkSync(join(REPOSITORY, "node_modules"), join(directory, "node_modules"));
  // The program's commands are relative to the project's directory, where Pulumi runs it.
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
      // Through standard input, so that no command line has the value.
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

/**
 * For a file whose tests each go on from the one before: after a failure the others are not tried, and the
 * last lines of the project are printed.
 */
export function eachGoesOn(linesOf: () => readonly string[]): void {
  let failed = "";
  beforeEach(() => {
    if (failed !== "") throw new Error(`not tried: it goes on from "${failed}", which failed`);
  });
  afterEach(({ task }) => {
    if (task.result?.state !== "fail" || failed !== "") return;
    failed = task.name;
    process.stderr.write(`${linesOf().slice(-40).join("\n")}\n`);
  });
}

/** Keys of a configuration with the program's namespace, as in a stack's file. */
export function namespaced(config: ConfigInput): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [`dynamo-sky:${key}`, value]));
}

/** Process ids of a node's programs, by name. */
export async function pids(cluster: string, rank = 0): Promise<Record<string, number>> {
  return pidsOf(nodeDirectory(cluster, rank));
}

/** Names of the programs whose process is another one than at the call before. */
export function processChanges(cluster: () => string): () => Promise<string[]> {
  let running: Record<string, number> = {};
  return async () => {
    const now = await pids(cluster());
    const names = [...new Set([...Object.keys(running), ...Object.keys(now)])];
    const changed = names.filter((name) => running[name] !== now[name]);
    running = now;
    return changed.toSorted();
  };
}

/** Leftovers of a cluster: its processes and its directory. */
export function leftOf(cluster: string): { processes: FoundProcess[]; directory: boolean } {
  const directory = clusterDirectory(cluster);
  return {
    processes: processesOf(directory),
    directory: statSync(directory, { throwIfNoEntry: false }) !== undefined,
  };
}

/** Of a terminal: rows, and columns. */
const SCREEN = { rows: 25, columns: 100 };

/** Plain `pulumi up` of the stack `dev`. @returns What it ends with, which has to fit a screen. */
export async function endOfUp(project: TestProject, ...args: readonly string[]): Promise<string> {
  const options = ["--yes", "--skip-preview", "--color", "never"];
  const shown = await project.pulumi("dev", ["up", ...options, ...args]);
  const end = shown.slice(shown.indexOf("Outputs:")).trimEnd();
  const rows = end.split("\n").map(({ length }) => Math.max(1, Math.ceil(length / SCREEN.columns)));
  expect(
    rows.reduce((sum, count) => sum + count, 0),
    end,
  ).toBeLessThanOrEqual(SCREEN.rows);
  return end;
}

/** Asks the model a question and returns the whole answer. */
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
