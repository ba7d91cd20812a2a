/** The Node processes that the host starts, none of which outlives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";

/** How long a process may take to end when asked to, in milliseconds; as with the official host. */
const GRACE_MS = 5_000;
const running = new Set<ChildProcess>();

/** Beside `launch.cjs`, which was started: this file is bundled elsewhere. */
const PLAIN_ERRORS = join(dirname(process.argv[1] ?? ""), "language", "plainErrors.cjs");

/** Ends all that was started, at once. */
export function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

/**
 * The file of a module of the program's own `@pulumi/pulumi`.
 * @param hint What installs it.
 * @throws Error that says what to do, when the program has none.
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

/** What to start, and where what it prints goes. */
export interface NodeProcess {
  /** After `node`. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string | undefined;
  readonly onStdout: (chunk: Buffer) => void;
  readonly onStderr: (chunk: Buffer) => void;
  /** Asks it to end. */
  readonly signal: AbortSignal;
}

/** Runs Node to its end, which is when all that it printed has been passed on. @returns its exit code, as a shell has it. */
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
