import { delimiter, dirname, join } from "node:path";
import { cacheDir } from "../lib/dirs";
import { UserError } from "../lib/errors";
import { messageOf } from "../lib/run";
import { type Progress, readStamp, type Stamp, withLock } from "./install";
import { languageHostOnPath } from "./languageHost";
import { ensureModel, locateModel, modelHome } from "./model";
import { ensurePlugins, locatePlugins, type Plugins } from "./plugins";
import { ensurePulumi, locatePulumi } from "./pulumi";
import { ensurePython, type PythonName, pythonKey } from "./python";
import { ensureService, locateService, type ServiceName, serviceIsObtainable } from "./services";

export { cacheDir, stateDir } from "../lib/dirs";
export { packageRoot } from "../lib/root";
export type { Progress } from "./install";
export type { Plugins } from "./plugins";

/**
 * A tool to ensure. `planner` is `python` with what Dynamo's planner imports; `model` is the tokenizer of a
 * model and includes `python`.
 */
export type ToolName = "pulumi" | "plugins" | PythonName | ServiceName | "model";

/** A program that was found or installed. */
export interface Program {
  /** Absolute path. */
  readonly path: string;
  readonly version: string;
  /** How it was found or installed, for users. */
  readonly way: string;
}

/** The Python environment of the local clusters. */
export interface PythonEnvironment extends Program {
  /** Its `bin` directory with `supervisord` and `supervisorctl`. */
  readonly bin: string;
  readonly supervisord: string;
}

/** The available tools. Undefined: not requested and not there, or not available on this machine. */
export interface Toolchain {
  readonly pulumi: Program | undefined;
  readonly plugins: Plugins | undefined;
  readonly python: PythonEnvironment | undefined;
  readonly planner: PythonEnvironment | undefined;
  readonly etcd: Program | undefined;
  readonly natsServer: Program | undefined;
  readonly nginx: Program | undefined;
  readonly prometheus: Program | undefined;
  readonly promtool: Program | undefined;
  /** `HF_HOME` for the programs; undefined until a tokenizer was requested and found. */
  readonly hfHome: string | undefined;
}

/** Current tools, and whether the services of the control plane are available. */
export interface LocatedTools extends Toolchain {
  /**
   * Whether etcd and NATS are both there, or expected to be installable (a source is on this machine). Does
   * not change when they get installed, so that decisions based on it are the same in a preview and an
   * update.
   */
  readonly servicesObtainable: boolean;
}

/** What to ensure. */
export interface EnsureOptions {
  readonly need: readonly ToolName[];
  /** Name of the model whose tokenizer is needed; if `model` is among the needs. */
  readonly model?: string;
  /**
   * Called with a line for everything that is installed or chosen; nothing is printed if all is there.
   * Default: standard error.
   */
  readonly onProgress?: Progress;
}

const lockWaitSeconds = 1800;

function pythonEnvironment(stamp: Stamp | undefined): PythonEnvironment | undefined {
  if (!stamp) return undefined;
  const bin = dirname(stamp.path);
  return { ...stamp, bin, supervisord: join(bin, "supervisord") };
}

/**
 * Tools recorded by an earlier `ensureToolchain`. Installs nothing, starts nothing, takes milliseconds.
 * @param model Name of the model whose tokenizer `hfHome` refers to.
 */
export function locateTools(model?: string): LocatedTools {
  const cache = cacheDir();
  const services: readonly ServiceName[] = ["etcd", "nats-server"];
  const hasModel = model !== undefined && locateModel(cache, model) !== undefined;
  return {
    pulumi: locatePulumi(cache),
    plugins: locatePlugins(),
    python: pythonEnvironment(readStamp(cache, pythonKey())),
    planner: pythonEnvironment(readStamp(cache, pythonKey("planner"))),
    etcd: locateService(cache, "etcd"),
    natsServer: locateService(cache, "nats-server"),
    nginx: locateService(cache, "nginx"),
    prometheus: locateService(cache, "prometheus"),
    promtool: locateService(cache, "promtool"),
    hfHome: hasModel ? modelHome(cache) : undefined,
    servicesObtainable: services.every((name) => locateService(cache, name) || serviceIsObtainable(name)),
  };
}

function isThere(tool: ToolName, tools: Toolchain): boolean {
  switch (tool) {
    case "nats-server":
      return tools.natsServer !== undefined;
    case "model":
      return tools.hfHome !== undefined && tools.python !== undefined;
    default:
      return tools[tool] !== undefined;
  }
}

/**
 * Makes sure that tools are there: found on this machine, or installed into the cache directory, nowhere
 * else. Fast if all are there. Safe to run concurrently; an interrupted installation leaves nothing
 * incomplete.
 * @returns The tools; etcd, NATS, nginx and Prometheus are undefined if not available, which is no error.
 * @throws Error that says what to do, if another tool is not available.
 */
export async function ensureToolchain(options: EnsureOptions): Promise<Toolchain> {
  const need = new Set(options.need);
  if (need.has("plugins")) need.add("pulumi");
  if (need.has("model")) need.add("python");
  if (need.has("model") && options.model === undefined)
    throw new Error("ensureToolchain: `model` needs the model's name");
  const located = locateTools(options.model);
  if ([...need].every((tool) => isThere(tool, located))) return located;

  const cache = cacheDir();
  const onProgress = options.onProgress ?? ((line) => process.stderr.write(`${line}\n`));
  const locked = <T>(tool: ToolName, work: () => Promise<T>): Promise<T> | undefined => {
    if (!need.has(tool)) return undefined;
    const lock = { purpose: `installing ${tool}`, waitSeconds: lockWaitSeconds, onProgress };
    return withLock(join(cache, "locks", tool), lock, work);
  };
  const python = locked("python", () => ensurePython(cache, onProgress));
  const pulumi = locked("pulumi", () => ensurePulumi(cache, onProgress));
  const model = options.model ?? "";
  await settleAll([
    python,
    pulumi,
    locked("planner", () => ensurePython(cache, onProgress, "planner")),
    locked("etcd", () => ensureService(cache, "etcd", onProgress)),
    locked("nats-server", () => ensureService(cache, "nats-server", onProgress)),
    locked("nginx", () => ensureService(cache, "nginx", onProgress)),
    locked("prometheus", () => ensureService(cache, "prometheus", onProgress)),
    locked("promtool", () => ensureService(cache, "promtool", onProgress)),
    pulumi?.then((cli) => locked("plugins", () => ensurePlugins(cache, cli.path, onProgress))),
    python?.then((environment) =>
      locked("model", () => ensureModel(cache, environment.path, model, onProgress)),
    ),
  ]);
  return locateTools(options.model);
}

/**
 * Waits for all, so that no installation is left running when another fails, then throws all failures in one
 * error.
 */
async function settleAll(work: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const problems = results.flatMap((result) =>
    result.status === "rejected" ? [messageOf(result.reason)] : [],
  );
  if (problems.length > 0) throw new UserError([...new Set(problems)].join("\n"));
}

/** A PATH on which the engine finds the CLI, a language host and the plugins of a toolchain. */
export function enginePath(tools: Toolchain, path = process.env["PATH"] ?? ""): string {
  const cli = tools.pulumi?.path;
  const host = cli === undefined ? undefined : languageHostOnPath(cli, path);
  const parts = [tools.plugins?.pathDirectory, host, cli && dirname(cli), path];
  return parts.filter((part) => part !== undefined).join(delimiter);
}
