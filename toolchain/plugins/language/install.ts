/** `pulumi install`: installs a program's npm packages with its package manager. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type * as grpc from "@grpc/grpc-js";
import {
  type InstallDependenciesRequest,
  InstallDependenciesResponse,
} from "@pulumi/pulumi/proto/language_pb";
import { failure } from "../rpc/grpc";
import { type PackageManager, type RuntimeOptions, runtimeOptions } from "./options";
import { packageDirectory } from "./packages";

const LOCK_FILES: Readonly<Record<string, PackageManager>> = {
  "yarn.lock": "yarn",
  "pnpm-lock.yaml": "pnpm",
  "bun.lock": "bun",
  "bun.lockb": "bun",
};

type Call = grpc.ServerWritableStream<InstallDependenciesRequest, InstallDependenciesResponse>;

/** The package manager of a program: from its options, else its lock file, else npm. */
export function packageManagerOf({ packageManager }: RuntimeOptions, directory: string): PackageManager {
  const byLock = Object.entries(LOCK_FILES).find(([file]) => existsSync(join(directory, file)));
  return packageManager ?? byLock?.[1] ?? "npm";
}

/** Streams the package manager's output. */
export function installDependencies(call: Call): void {
  install(call).then(
    () => call.end(),
    (error: unknown) => call.emit("error", failure(error)),
  );
}

async function install(call: Call): Promise<void> {
  const info = call.request.getInfo();
  if (info === undefined) throw new Error("The engine did not say of which program");
  const options = runtimeOptions(info);
  const directory = packageDirectory(info.getProgramDirectory());
  const manager = packageManagerOf(options, directory);
  const args = ["install", ...(options.production && manager === "npm" ? ["--omit=dev"] : [])];
  if (options.production && manager !== "npm") args.push("--production");
  const say = (chunk: string | Uint8Array) =>
    call.write(new InstallDependenciesResponse().setStdout(Buffer.from(chunk)));
  say(`Installing dependencies: ${manager} ${args.join(" ")} in ${directory}\n`);
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(manager, args, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", say);
    child.stderr.on("data", (chunk: Buffer) =>
      call.write(new InstallDependenciesResponse().setStderr(chunk)),
    );
    call.on("cancelled", () => child.kill());
    child.once("error", (error) => reject(new Error(`${manager} could not be started: ${error.message}`)));
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${manager} ${args.join(" ")} ended with code ${code} in ${directory}`);
}
