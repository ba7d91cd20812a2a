import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "../../lib/dirs";
import { ensureOwnDirectories } from "../../lib/dirs";
import { writePrivate } from "../../lib/files";
import { bypassProxies, proxyExemptions, usesProxy } from "../../lib/proxies";
import { enginePath, ensureToolchain, type Progress, stateDir, type Toolchain } from "../../toolchain/index";
import { type Backend, backendDirectory, resolveBackend, usesPassphrase } from "./backend";
import { type Cli, historyOf, initStack, type PastOperation, runCli, stackNames, tagsOf } from "./cli";
import { outputsIn } from "./exported";
import { removeLeftovers } from "./leftovers";
import { type OperationKind, type OperationOptions, type OperationResult, runOperation } from "./operation";
import { wrongPassphrase } from "./passphrase";
import { UsageProblem } from "./problem";
import {
  checkStackName,
  hasEncryptionSettings,
  isWherePulumiLooks,
  type Project,
  readProject,
  shortName,
  stackFile,
  stacksWithFiles,
} from "./project";
import { removeRest } from "./removedStack";

export type { OperationOptions, OperationResult } from "./operation";
export { OperationFailed, UsageProblem } from "./problem";
export type { Step } from "./steps";

/** Which stack to open, and how. */
export interface OpenStackOptions {
  /** Directory of Pulumi.yaml. */
  readonly projectDir: string;
  readonly stack: string;
  /** Variables that override this process's: `DYNAMO_SKY_STATE`, `PULUMI_BACKEND_URL` … */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with progress lines; default: standard error. */
  readonly onProgress?: Progress;
}

/** A stack, ready for operations. */
export interface OpenStack {
  readonly project: Project;
  readonly stack: string;
  readonly toolchain: Toolchain;
  /** Shows the changes of `up`. */
  preview(options?: OperationOptions): Promise<OperationResult>;
  up(options?: OperationOptions): Promise<OperationResult>;
  /** Updates the state from the actual resources. */
  refresh(options?: OperationOptions): Promise<OperationResult>;
  /** Deletes all resources; the empty stack stays. */
  destroy(options?: OperationOptions): Promise<OperationResult>;
  /**
   * Outputs of the last update: the stack's, and those of its DynamoCluster, which a program need not export.
   * Secrets are `[secret]` unless requested.
   */
  outputs(options?: { readonly showSecrets?: boolean }): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Makes sure that the stack exists, before an operation of the plain CLI.
   * @param needsFile Whether the operation reads the stack's file: a name without one is probably a typing
   * error.
   * @returns Further arguments for the operation.
   */
  prepare(needsFile: boolean): Promise<readonly string[]>;
  /** Arguments for the plain CLI to read and write the stack's file, if it would not find it. */
  readonly fileArguments: readonly string[];
  /** Deletes an empty stack: its state and history. */
  remove(): Promise<void>;
  /** Creates the stack if there is none yet. */
  init(): Promise<void>;
  /** Its last operations, the newest first. */
  history(count: number): Promise<readonly PastOperation[]>;
  /** Names of all stacks of the project in this backend, sorted. */
  siblings(): Promise<string[]>;
  /** Tags of the stack, stored with its state. */
  tags(): Promise<Readonly<Record<string, string>>>;
  setTag(name: string, value: string): Promise<void>;
  /** What to do if the passphrase is not the stack's; undefined if it is, or if that cannot be found out. */
  wrongPassphrase(): string | undefined;
  /** Where its state is. */
  readonly backend: Backend;
  /** Variables with which the plain `pulumi` command uses the same state, including `PATH`. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Opens a stack of a project on the plain CLI, with the user's backend or one on this machine. Neither
 * creates the stack nor calls the CLI: the first operation does.
 * @throws UsageProblem if the project or the stack's name is invalid.
 */
export async function openStack(options: OpenStackOptions): Promise<OpenStack> {
  // The engine, its plugins and this process communicate on loopback.
  bypassProxies();
  checkStackName(options.stack);
  const project = readProject(options.projectDir);
  const onProgress = options.onProgress ?? ((line) => process.stderr.write(`${line}\n`));
  const env = { ...process.env, ...options.env };
  ensureOwnDirectories(env);
  const state = stateDir(env);
  const backend = await resolveBackend(env, state, project);
  const toolchain = await ensureToolchain({ need: ["pulumi", "plugins"], onProgress });
  if (!toolchain.pulumi)
    throw new Error("the Pulumi CLI was installed and is gone again: run this once more");

  const environment = environmentFor(toolchain, backend, env);
  const cli: Cli = {
    command: toolchain.pulumi.path,
    project,
    stack: options.stack,
    env: { ...options.env, ...environment, PATH: enginePath(toolchain, env["PATH"]) },
  };
  const repositoryFile = stackFile(project, options.stack);
  /** Anew each time: a process that lasts must not write back what the file said when it began. */
  const repositoryText = () => (repositoryFile === undefined ? "" : readFileSync(repositoryFile, "utf8"));
  const keepsPrivateFile = usesPassphrase(backend) && !hasEncryptionSettings(repositoryText());
  const privateFile = keepsPrivateFile ? privatePath(state, backend, project, options.stack) : undefined;
  const elsewhere = repositoryFile !== undefined && !isWherePulumiLooks(project, repositoryFile);
  const configFile = privateFile ?? (elsewhere ? repositoryFile : undefined);
  const directory = backendDirectory(backend, env);

  const prepare = async (needsFile: boolean, mustExist = false): Promise<readonly string[]> => {
    if (repositoryFile === undefined && needsFile) throw missingFile(project, options.stack);
    if (directory !== undefined) {
      removeLeftovers(directory, project.name, shortName(options.stack), onProgress);
      if (!mustExist && !stateExists(directory, project, options.stack)) await init();
    }
    if (privateFile !== undefined) writePrivate(privateFile, repositoryText());
    return configFileArguments(configFile);
  };
  const init = () => initStack(cli, configFile !== undefined);
  const operate = async (kind: OperationKind, operation: OperationOptions = {}): Promise<OperationResult> => {
    await prepare(kind === "up" || kind === "preview", operation.mustExist);
    return runOperation({ cli, configFile, onProgress }, kind, operation);
  };
  return {
    project,
    stack: options.stack,
    toolchain,
    prepare,
    fileArguments: configFileArguments(elsewhere ? repositoryFile : undefined),
    preview: (operation) => operate("preview", operation),
    up: (operation) => operate("up", operation),
    refresh: (operation) => operate("refresh", operation),
    destroy: (operation) => operate("destroy", operation),
    outputs: async ({ showSecrets = false } = {}) => {
      const args = ["stack", "export", ...(showSecrets ? ["--show-secrets"] : [])];
      return outputsIn(JSON.parse(await runCli(cli, args)));
    },
    remove: async () => {
      await runCli(cli, ["stack", "rm", "--yes", "--preserve-config"]);
      // A backend of the user's choice keeps what Pulumi keeps there.
      if (!backend.isOwn || directory === undefined) return;
      const names = [project.name, shortName(options.stack)] as const;
      removeRest(directory, names, privateFile === undefined ? [] : [privateFile], state);
    },
    init: async () => {
      if (!(await stackNames(cli)).includes(options.stack)) await init();
    },
    history: (count) => historyOf(cli, count),
    siblings: () => stackNames(cli),
    tags: () => tagsOf(cli),
    setTag: async (name, value) => {
      await runCli(cli, ["stack", "tag", "set", name, value]);
    },
    wrongPassphrase: () => {
      const files = [privateFile, repositoryFile, directory && stateFile(directory, project, options.stack)];
      const texts = files.flatMap((file) => (file === undefined ? [] : textOf(file)));
      return usesPassphrase(backend)
        ? wrongPassphrase(options.stack, texts, { ...env, ...environment })
        : undefined;
    },
    backend,
    environment: { ...environment, PATH: enginePath(toolchain, env["PATH"]) },
  };
}

function environmentFor(toolchain: Toolchain, backend: Backend, env: Environment): Record<string, string> {
  return {
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // `pulumi stack rm` deletes the stack's file, which may be a committed one; any option of the CLI can be
    // set this way.
    PULUMI_OPTION_PRESERVE_CONFIG: "true",
    // No lines of dots without a terminal.
    PULUMI_OPTION_SUPPRESS_PROGRESS: "true",
    // The replaced plugins cannot be downloaded; trying would only take time.
    ...(toolchain.plugins?.kind === "stand-in"
      ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" }
      : {}),
    // A stack's file without encryption settings is fine: the state has them.
    ...(usesPassphrase(backend) ? { PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true" } : {}),
    ...backend.env,
    ...(usesProxy(env) ? proxyExemptions(env) : {}),
  };
}

/**
 * Copy of the stack's file, for the CLI to write the salt of the stack's secrets into, which it takes from
 * the state. One per backend, since the salts differ.
 */
function privatePath(state: string, backend: Backend, project: Project, stack: string): string {
  const id = createHash("sha256")
    .update(backend.url ?? "")
    .digest("hex")
    .slice(0, 8);
  return join(state, "stacks", id, project.name, `Pulumi.${shortName(stack)}.yaml`);
}

function configFileArguments(file: string | undefined): readonly string[] {
  return file === undefined ? [] : ["--config-file", file];
}

/** Whether a file backend has the stack: https://www.pulumi.com/docs/iac/concepts/state-and-backends/ */
function stateExists(directory: string, project: Project, stack: string): boolean {
  const file = stateFile(directory, project, stack);
  return ["", ".gz", ".zst"].some((compression) => existsSync(`${file}${compression}`));
}

function stateFile(directory: string, project: Project, stack: string): string {
  return join(directory, ".pulumi", "stacks", project.name, `${shortName(stack)}.json`);
}

function textOf(file: string): string[] {
  return existsSync(file) ? [readFileSync(file, "utf8")] : [];
}

function missingFile(project: Project, stack: string): UsageProblem {
  const others = stacksWithFiles(project);
  const known =
    others.length > 0 ? `Stacks that have one: ${others.join(", ")}` : "There is none for any stack";
  return new UsageProblem(
    `Stack ${stack} has no file Pulumi.${shortName(stack)}.yaml in ${project.directory}. ${known}`,
  );
}
