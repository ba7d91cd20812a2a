import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  const scratch = await mkdtemp(join(tmpdir(), "dynamo-sky-go-"));
  const options = { cwd: scratch, timeoutSeconds: program.limitSeconds, env: GO_ENVIRONMENT };
  const variables = Object.entries(program.variables ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  const ldflags = ["-s", "-w", ...variables].join(" ");
  try {
    // `go get` raises this Go version to what the module needs.
    await writeFile(join(scratch, "go.mod"), "module scratch\n\ngo 1.23\n");
    await withHeartbeat(`building ${program.package}`, program.limitSeconds, onProgress, async () => {
      await sayIfUnverified(go, onProgress);
      await run(go, ["get", `${program.package}@v${program.version}`], options);
      await run(go, ["build", "-ldflags", ldflags, "-o", program.output, program.package], options);
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
