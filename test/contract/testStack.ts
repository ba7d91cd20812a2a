/** A stack of its own, in a temporary directory, on the real engine with the plugins that are to be checked. */
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

/** What the engine did, or will do, with one resource. */
export interface Step {
  /** `create`, `update`, `same`, `replace`, `create-replacement`, `delete-replaced`, `delete`, `refresh` … */
  op: string;
  /** The resource's name. */
  name: string;
  /** Changed property paths and how they changed, such as `environment.A: update`. */
  changes: string[];
  /** The outputs after the step; in a preview, what is known of them. */
  outputs: Record<string, unknown>;
}

/** A line that a command logged. */
export interface LogLine {
  /** The resource's name, or "" where no resource is named. */
  name: string;
  /** `info`, `error` … */
  severity: string;
  /** Shown only while it is the latest. */
  ephemeral: boolean;
  text: string;
}

/** What came out of one run of the engine. */
export interface RunResult {
  /** In the order in which they were begun; without the stack and the providers. */
  steps: Step[];
  logs: LogLine[];
  outputs: OutputMap;
  /** All that the engine printed, when it failed. */
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

/** What stands in a preview for a value that is not known yet. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** How long one run of the engine may take, in milliseconds. */
const RUN_LIMIT_MS = 55_000;
const PASSPHRASE = "contract";

/** The last part of a URN. */
function nameOf(urn: string | undefined): string {
  return urn?.split("::").slice(3).join("::") ?? "";
}

/** A secret of the given value, as `StateResource` and the state show it. */
export function secretInState(value: unknown): Record<string, unknown> {
  return {
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
    plaintext: JSON.stringify(value),
  };
}

/** A stack in a temporary directory. Nothing of it is left after `remove`. */
export class TestStack {
  /** A directory for files that commands make. The engine's own files are elsewhere. */
  readonly directory: string;
  readonly #root: string;
  readonly #stack: Stack;

  private constructor(root: string, stack: Stack) {
    this.#root = root;
    this.#stack = stack;
    this.directory = join(root, "files");
  }

  /** Makes the stack; installs the engine when it is not there, and fails when it cannot be had. */
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

  /** Updates the stack. With `continueOnError`, goes on with the resources that do not depend on a failed one. */
  up(program: PulumiFn, options: { continueOnError?: boolean } = {}): Promise<RunResult> {
    return this.#run((common) => this.#stack.up({ program, ...options, ...common }));
  }

  /** Shows what an update would do. */
  preview(program: PulumiFn): Promise<RunResult> {
    return this.#run(async (common) => {
      await this.#stack.preview({ program, ...common });
      return { outputs: {} };
    });
  }

  /** Asks the plugins what is really there. */
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

  /** The state as it lies on the disk, secrets encrypted. */
  rawState(): string {
    return readFileSync(join(this.#root, "state", ".pulumi", "stacks", "contract", "test.json"), "utf8");
  }

  /** The lines of a file in `directory`; none when it is not there. */
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
      // The SDK's types do not know that debugging messages come too.
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

/** The one step of a resource with the given operation. */
export function stepOf(result: RunResult, op: string, name: string): Step {
  const [step, ...more] = result.steps.filter((candidate) => candidate.op === op && candidate.name === name);
  if (step === undefined || more.length > 0) {
    throw new Error(`not one '${op}' of '${name}' but ${JSON.stringify(operationsOn(result, name))}`);
  }
  return step;
}
