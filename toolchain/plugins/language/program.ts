/** Runs a program with `@pulumi/pulumi/cmd/run` of the program's own packages, like the official host. */
import { type RunRequest, RunResponse } from "@pulumi/pulumi/proto/language_pb";
import { moduleOf, runNode } from "./child";
import { optionVariables, runtimeOptions } from "./options";

const RUN = "@pulumi/pulumi/cmd/run";
/** Exit code of `cmd/run` after it has already reported the error. */
const TOLD = 32;
const OUT_OF_MEMORY = "JavaScript heap out of memory";
/** Output is searched for {@link OUT_OF_MEMORY}, which may be split over chunks. */
const KEPT = OUT_OF_MEMORY.length * 2;

/** @param engineAddress The engine's address, for logging. */
export async function runProgram(
  request: RunRequest,
  engineAddress: string,
  signal: AbortSignal,
): Promise<RunResponse> {
  try {
    return await run(request, engineAddress, signal);
  } catch (error) {
    return new RunResponse().setError(error instanceof Error ? error.message : String(error));
  }
}

async function run(request: RunRequest, engineAddress: string, signal: AbortSignal): Promise<RunResponse> {
  const info = request.getInfo();
  if (info === undefined) throw new Error("The engine did not say which program to run");
  const options = runtimeOptions(info);
  const main = moduleOf(info.getProgramDirectory(), RUN, "`pulumi install`");
  let tail = "";
  const code = await runNode({
    args: [...options.nodeArguments, main, ...argumentsOf(request, engineAddress)],
    env: {
      ...process.env,
      ...optionVariables(options),
      // As `<package>:config:<name>`, the form that all versions of the SDK read.
      PULUMI_CONFIG: JSON.stringify(
        Object.fromEntries(
          request
            .getConfigMap()
            .toArray()
            .map(([key, value]) => [key.replace(":", ":config:"), value]),
        ),
      ),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
    },
    onStdout: (chunk) => process.stdout.write(chunk),
    onStderr: (chunk) => {
      process.stderr.write(chunk);
      tail = (tail.includes(OUT_OF_MEMORY) ? tail : tail.slice(-KEPT)) + chunk.toString();
    },
    signal,
  });
  // The engine reads the output from this process's own streams, and not after the response.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  if (code === TOLD) return new RunResponse().setBail(true);
  if (code === 0) return new RunResponse();
  const hint = tail.includes(OUT_OF_MEMORY)
    ? ". It ran out of memory; more: runtime.options.nodeargs: --max-old-space-size=8192 in Pulumi.yaml"
    : "";
  return new RunResponse().setError(`Program exited with non-zero exit code: ${code}${hint}`);
}

function argumentsOf(request: RunRequest, engineAddress: string): string[] {
  const info = request.getInfo();
  const options: Readonly<Record<string, string | undefined>> = {
    monitor: request.getMonitorAddress(),
    engine: engineAddress,
    organization: request.getOrganization(),
    project: request.getProject(),
    "root-directory": info?.getRootDirectory(),
    stack: request.getStack(),
    pwd: info?.getProgramDirectory(),
    parallel: String(request.getParallel()),
  };
  return [
    ...Object.entries(options).flatMap(([name, value]) => (value ? [`--${name}`, value] : [])),
    ...(request.getDryrun() ? ["--dry-run"] : []),
    info?.getEntryPoint() || ".",
    ...request.getArgsList(),
  ];
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}
