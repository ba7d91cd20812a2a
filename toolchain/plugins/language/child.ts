/** Node processes started by the host; none outlives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";

/** Grace period of a stopped process, in milliseconds; as with the official host. */
const GRACE_MS = 5_000;
const running = new Set<ChildProcess>();

/** Next to `launch.cjs`, which was started: this file is bundled elsewhere. */
const PLAIN_ERRORS = join(dirname(process.argv[1] ?? ""), "language", "plainErrors.cjs");

/** Kills all started processes. */
export function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

/**
 * The file of a module of the program's own `@pulumi/pulumi`.
 * @param hint How to install it.
 * @throws Error that says what to do, if the program has none.
 */
export function moduleOf(programDirectory: string, module: string, hint: string): string {
  try {
    return createRequire(join(programDirectory, "package.json")).resolve(module);
  } catch {
    throw new Error(
      `It looks like the Pulumi SDK has not been installed: ${module} cannot be found from ${programDirectory}. Have you run ${hint}?`,
    );
  }
}

/** What to start, and the destination of its output. */
export interface NodeProcess {
  /** After `node`. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string | undefined;
  readonly onStdout: (chunk: Buffer) => void;
  readonly onStderr: (chunk: Buffer) => void;
  /** Stops it. */
  readonly signal: AbortSignal;
}

/**
 * Runs Node until it has exited and all its output has been passed on. @returns Its exit code, as in a shell.
 */
export function runNode({ args, env, cwd, onStdout, onStderr, signal }: NodeProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--require", PLAIN_ERRORS, ...args], {
      env,
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    child.stdout.on("data", onStdout);
    child.stderr.on("data", onStderr);
    const end = () => {
      child.kill("SIGINT");
      setTimeout(() => child.kill("SIGKILL"), GRACE_MS).unref();
    };
    const settle = () => {
      running.delete(child);
      signal.removeEventListener("abort", end);
    };
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    child.once("error", (error) => {
      settle();
      reject(error);
    });
    child.once("close", (code, name) => {
      settle();
      resolve(code ?? 128 + (name === null ? 0 : constants.signals[name]));
    });
  });
}
