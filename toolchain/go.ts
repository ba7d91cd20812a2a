import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findOnPath, run } from "../lib/run";
import { type Progress, withHeartbeat } from "./install";

/** A program to build from the Go module proxy. */
export interface GoProgram {
  /** Package path of its main package. */
  readonly package: string;
  /** Module version, without the `v`. */
  readonly version: string;
  /** `-X` assignments for the linker. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Path of the executable. */
  readonly output: string;
  /** Time limit in seconds. */
  readonly limitSeconds: number;
}

/** Path of the `go` command, or undefined. */
export function findGo(): Promise<string | undefined> {
  return findOnPath("go");
}

/**
 * As in official builds: without cgo a program needs no C library, and in a container runs as a user who is
 * not in the password file, with `$HOME` as home directory.
 */
const GO_ENVIRONMENT = { CGO_ENABLED: "0" } as const;

/** Go's settings that disable the checksum database, for all or some modules. */
const UNVERIFIED = ["GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GOINSECURE"] as const;

/** Warns if the checksum database is disabled, perhaps for private modules. */
async function sayIfUnverified(go: string, onProgress: Progress): Promise<void> {
  const names = ["GOSUMDB", ...UNVERIFIED];
  const { stdout } = await run(go, ["env", ...names], { timeoutSeconds: 30 });
  const values = stdout.split("\n");
  const off = names.filter((name, index) => (name === "GOSUMDB" ? values[index] === "off" : values[index]));
  if (off.length > 0)
    onProgress(`${off.join(", ")} of Go's settings: modules are taken without the checksum database's word`);
}

/**
 * Builds a Go program in a scratch module. `go install …@version` would reject modules whose go.mod has
 * `replace` lines. The versions are exact and verified by the checksum database.
 */
export async function buildGoProgram(go: string, program: GoProgram, onProgress: Progress): Promise<void> {
  // `go get` raises this Go version to what the module needs.
  const files = { "go.mod": "module scratch\n\ngo 1.23\n" };
  await inScratchModule(go, files, program, onProgress, async (call) => {
    await call("get", `${program.package}@v${program.version}`);
    await call("build", "-ldflags", linkerFlags(program.variables), "-o", program.output, program.package);
  });
}

/** Several programs of one scratch module: they share what they are compiled of. */
export interface GoPrograms {
  /** What it is, for messages. */
  readonly package: string;
  /** Text of the scratch module's files, among them `go.mod`. */
  readonly files: Readonly<Record<string, string>>;
  /** Package paths of the main packages: each program is called as the last part of its path. */
  readonly packages: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
  /** Directory for the executables. */
  readonly output: string;
  readonly limitSeconds: number;
}

export async function buildGoPrograms(go: string, programs: GoPrograms, onProgress: Progress): Promise<void> {
  const { files, packages, variables, output } = programs;
  await inScratchModule(go, files, programs, onProgress, (call) =>
    call(
      "build",
      "-mod=mod",
      "-trimpath",
      "-ldflags",
      linkerFlags(variables),
      "-o",
      `${output}/`,
      ...packages,
    ),
  );
}

/** The `go.mod` of a module's version, from the proxy. */
export async function goModOf(go: string, module: string, version: string): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-go-"));
  try {
    await writeFile(join(scratch, "go.mod"), "module scratch\n\ngo 1.23\n");
    const args = ["list", "-m", "-f", "{{.GoMod}}", `${module}@v${version}`];
    const { stdout } = await run(go, args, { cwd: scratch, timeoutSeconds: 120, env: GO_ENVIRONMENT });
    return await readFile(stdout.trim(), "utf8");
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function linkerFlags(variables: Readonly<Record<string, string>> = {}): string {
  return ["-s", "-w", ...Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`)].join(" ");
}

/** Calls Go in a temporary module, and says how long it takes. */
async function inScratchModule(
  go: string,
  files: Readonly<Record<string, string>>,
  { package: what, limitSeconds }: { readonly package: string; readonly limitSeconds: number },
  onProgress: Progress,
  work: (call: (...args: readonly string[]) => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-go-"));
  const options = { cwd: scratch, timeoutSeconds: limitSeconds, env: GO_ENVIRONMENT };
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(scratch, name)), { recursive: true });
      await writeFile(join(scratch, name), text);
    }
    await withHeartbeat(`building ${what}`, limitSeconds, onProgress, async () => {
      await sayIfUnverified(go, onProgress);
      await work((...args) => run(go, args, options));
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
