/** A separate stack in a temporary directory, on the real engine with the plugins to test. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  PulumiCommand,
  type PulumiFn,
  Stack,
} from "@pulumi/pulumi/automation";
import { ensureToolchain } from "../../toolchain";
import { enginePath, pulumiHome } from "./installedPlugins";

/** An operation of the engine on one resource, done or planned. */
export interface Step {
  /** `create`, `update`, `same`, `replace`, `create-replacement`, `delete-replaced`, `delete`, `refresh` … */
  op: string;
  /** The resource's name. */
  name: string;
  /** Changed property paths with their changes, such as `environment.A: update`. */
  changes: string[];
  /** The outputs after the step; in a preview, the known ones. */
  outputs: Record<string, unknown>;
}

/** A line that a command logged. */
export interface LogLine {
  /** The resource's name, or "". */
  name: string;
  /** `info`, `error` … */
  severity: string;
  /** Replaced by the next line. */
  ephemeral: boolean;
  text: string;
}

/** Result of one run of the engine. */
export interface RunResult {
  /** In start order; without the stack and the providers. */
  steps: Step[];
  logs: LogLine[];
  outputs: OutputMap;
  /** The engine's whole output, on failure. */
  failure?: string;
}

/** One resource in the state. */
export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

/** Placeholder of an unknown value in a preview. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** Time limit of one run of the engine, in milliseconds. */
const RUN_LIMIT_MS = 55_000;
const PASSPHRASE = "contract";

/** The last part of a URN. */
function nameOf(urn: string | undefined): string {
  return urn?.split("::").slice(3).join("::") ?? "";
}

/** A secret with the given value, in the form of `StateResource` and the state. */
export function secretInState(value: unknown): Record<string, unknown> {
  return {
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
    plaintext: JSON.stringify(value),
  };
}

/** A stack in a temporary directory, which `remove` deletes. */
export class TestStack {
  /** Directory for the commands' files. The engine's own files are elsewhere. */
  readonly directory: string;
  readonly #root: string;
  readonly #stack: Stack;

  private constructor(root: string, stack: Stack) {
    this.#root = root;
    this.#stack = stack;
    this.directory = join(root, "files");
  }

  /** Creates the stack; installs the engine if it is missing, and fails if it is not available. */
  static async create(): Promise<TestStack> {
    const { pulumi } = await ensureToolchain({ need: ["pulumi"] });
    if (pulumi === undefined) throw new Error("The contract of the plugins needs the Pulumi CLI");
    const root = mkdtempSync(join(tmpdir(), "plugin-contract-"));
    for (const name of ["project", "state", "home", "files"]) mkdirSync(join(root, name));
    const downloaded = join(pulumiHome, "plugins");
    if (existsSync(downloaded)) symlinkSync(downloaded, join(root, "home", "plugins"));
    const workspace = await LocalWorkspace.create({
      workDir: join(root, "project"),
      pulumiCommand: await PulumiCommand.get({ root: dirname(dirname(pulumi.path)) }),
      projectSettings: {
        name: "contract",
        runtime: "nodejs",
        backend: { url: `file://${join(root, "state")}` },
      },
      envVars: {
        PATH: enginePath(),
        PULUMI_HOME: join(root, "home"),
        PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // Commands inherit it from the plugin, which inherits it from the engine.
        CONTRACT_INHERITED: "inherited",
      },
    });
    return new TestStack(root, await Stack.createOrSelect("test", workspace));
  }

  /**
   * Updates the stack. With `continueOnError`, continues with resources that do not depend on a failed one.
   */
  up(program: PulumiFn, options: { continueOnError?: boolean } = {}): Promise<RunResult> {
    return this.#run((common) => this.#stack.up({ program, ...options, ...common }));
  }

  /** Shows the changes of an update. */
  preview(program: PulumiFn): Promise<RunResult> {
    return this.#run(async (common) => {
      await this.#stack.preview({ program, ...common });
      return { outputs: {} };
    });
  }

  /** Reads the actual resources through the plugins. */
  refresh(): Promise<RunResult> {
    return this.#run(async (common) => {
      await this.#stack.refresh(common);
      return { outputs: {} };
    });
  }

  /** Deletes all resources. */
  destroy(options: { continueOnError?: boolean } = {}): Promise<RunResult> {
    return this.#run(async (common) => {
      await this.#stack.destroy({ ...options, ...common });
      return { outputs: {} };
    });
  }

  /** The resources in the state by name, secrets decrypted; without the stack and the providers. */
  async state(): Promise<Map<string, StateResource>> {
    const deployment: { resources?: StateResource[] } = (await this.#stack.exportStack()).deployment;
    const own = (deployment.resources ?? []).filter(({ type }) => !type.startsWith("pulumi:"));
    return new Map(own.map((resource) => [nameOf(resource.urn), resource]));
  }

  /** The state file, secrets encrypted. */
  rawState(): string {
    return readFileSync(join(this.#root, "state", ".pulumi", "stacks", "contract", "test.json"), "utf8");
  }

  /** The lines of a file in `directory`; none if it does not exist. */
  lines(file: string): string[] {
    const path = join(this.directory, file);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  }

  /** Removes all files. */
  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #run(
    operation: (common: {
      onEvent: (event: EngineEvent) => void;
      signal: AbortSignal;
    }) => Promise<{ outputs: OutputMap }>,
  ): Promise<RunResult> {
    const events: EngineEvent[] = [];
    const common = {
      onEvent: (event: EngineEvent) => events.push(event),
      signal: AbortSignal.timeout(RUN_LIMIT_MS),
    };
    const outcome = await operation(common).then(
      ({ outputs }) => ({ outputs }),
      (error: unknown) => ({ outputs: {}, failure: String(error) }),
    );
    return { ...outcome, steps: stepsOf(events), logs: logsOf(events) };
  }
}

function stepsOf(events: EngineEvent[]): Step[] {
  const afterwards = events.flatMap(({ resOutputsEvent }) => resOutputsEvent?.metadata ?? []);
  return events
    .flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata ?? [])
    .filter(({ type }) => !type.startsWith("pulumi:"))
    .map(({ op, urn, detailedDiff, diffs }) => {
      const detailed = Object.entries(detailedDiff ?? {}).map(
        ([path, { diffKind }]) => `${path}: ${diffKind}`,
      );
      const after = afterwards.find((metadata) => metadata.urn === urn && metadata.op === op);
      return {
        op,
        name: nameOf(urn),
        changes: (detailedDiff ? detailed : (diffs ?? [])).toSorted(),
        outputs: after?.new?.outputs ?? {},
      };
    });
}

function logsOf(events: EngineEvent[]): LogLine[] {
  return (
    events
      .flatMap(({ diagnosticEvent }) => diagnosticEvent ?? [])
      .filter(({ message }) => !message.startsWith("using pulumi-resource-"))
      // The SDK's types lack debugging messages.
      .filter(({ severity }: { severity: string }) => severity !== "debug")
      .map(({ urn, severity, ephemeral, message }) => ({
        name: nameOf(urn),
        severity,
        ephemeral: ephemeral ?? false,
        text: message.replace(/\n$/, ""),
      }))
  );
}

/** The operations on one resource, in order. */
export function operationsOn(result: RunResult, name: string): string[] {
  return result.steps.filter((step) => step.name === name).map(({ op }) => op);
}

/** What one resource logged, in order. */
export function logOf(result: RunResult, name: string): string[] {
  return result.logs.filter((line) => line.name === name && line.severity === "info").map(({ text }) => text);
}

/** The step of a resource with the given operation. */
export function stepOf(result: RunResult, op: string, name: string): Step {
  const [step, ...more] = result.steps.filter((candidate) => candidate.op === op && candidate.name === name);
  if (step === undefined || more.length > 0) {
    throw new Error(`not one '${op}' of '${name}' but ${JSON.stringify(operationsOn(result, name))}`);
  }
  return step;
}
