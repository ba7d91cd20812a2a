import { createRequire } from "node:module";
import { InputPropertiesError, InputPropertyError, RunError } from "@pulumi/pulumi";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { require as tsxRequire } from "tsx/cjs/api";

/** A program of which the error is kept, because through the engine only its message would come back. */
export interface WatchedProgram {
  readonly run: PulumiFn;
  /** What the program threw, once it did. */
  thrown(): { readonly error: unknown } | undefined;
}

/** Loads a TypeScript module as CommonJS, `export =` and all, whether this process runs under tsx or not (tests do not). */
function loadModule(path: string): unknown {
  const isUnderTsx = process.execArgv.some((argument) => argument.includes("tsx"));
  const load = isUnderTsx ? createRequire(path) : (id: string): unknown => tsxRequire(id, path);
  return load(path);
}

/**
 * The program of a module: its export, a function of no arguments that makes resources and returns the outputs.
 * The module is loaded at once, while the engine starts; loading it must not create resources.
 */
export function loadProgram(main: string): PulumiFn {
  const loading = Promise.resolve().then(() => loadModule(main));
  // Told when the program runs; until then it must not count as unhandled.
  loading.catch(() => undefined);
  return async () => {
    const loaded = await loading;
    const program =
      typeof loaded === "object" && loaded !== null && "default" in loaded ? loaded.default : loaded;
    if (typeof program !== "function") {
      throw new RunError(
        `${main} must export a function that makes the resources: export = async () => ({ … })`,
      );
    }
    return program();
  };
}

/** Keeps what the program throws. */
export function watch(program: PulumiFn): WatchedProgram {
  let caught: { readonly error: unknown } | undefined;
  return {
    thrown: () => caught,
    run: async () => {
      try {
        return await program();
      } catch (error) {
        caught = { error };
        throw error;
      }
    },
  };
}

/** The message for a person, when an error is a mistake of the user's; undefined for a fault of the program. */
export function userMistake(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (InputPropertiesError.isInstance(error)) {
    const reasons = error.errors.map(({ propertyPath, reason }) => `  ${propertyPath}: ${reason}`);
    return [error.message, ...reasons].join("\n");
  }
  if (InputPropertyError.isInstance(error)) return `${error.propertyPath}: ${error.reason}`;
  const hasProblems = "problems" in error && Array.isArray(error.problems);
  return RunError.isInstance(error) || hasProblems ? error.message : undefined;
}
