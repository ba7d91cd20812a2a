/** Runs a plugin written for Node: policy packs, and providers from source. */
import type * as grpc from "@grpc/grpc-js";
import { type RunPluginRequest, RunPluginResponse } from "@pulumi/pulumi/proto/language_pb";
import { failure } from "../rpc/grpc";
import { moduleOf, runNode } from "./child";
import { optionVariables, runtimeOptions } from "./options";
import { PolicyProxy } from "./policyProxy";

const POLICY_PACK = "analyzer";
const RUN_PACK = "@pulumi/pulumi/cmd/run-policy-pack";
const RUN_PLUGIN = "@pulumi/pulumi/cmd/run-plugin";

type Call = grpc.ServerWritableStream<RunPluginRequest, RunPluginResponse>;

/** Streams the plugin's output, and ends with it. */
export function runPlugin(call: Call): void {
  run(call).then(
    () => call.end(),
    (error: unknown) => call.emit("error", failure(error)),
  );
}

async function run(call: Call): Promise<void> {
  const { request } = call;
  const info = request.getInfo();
  if (info === undefined) throw new Error("The engine did not say which plugin to run");
  const directory = info.getProgramDirectory();
  const options = runtimeOptions(info);
  const isPack = request.getKind() === POLICY_PACK;
  const main = moduleOf(directory, isPack ? RUN_PACK : RUN_PLUGIN, `npm install in ${directory}`);
  const write = (chunk: Uint8Array) => call.write(new RunPluginResponse().setStdout(chunk));
  const unwanted = new AbortController();
  call.on("cancelled", () => unwanted.abort());
  const proxy = isPack ? new PolicyProxy() : undefined;
  if (proxy !== undefined) write(Buffer.from(`${await proxy.listen()}\n`));
  const variables = request.getEnvList().map((line) => line.split(/=(.*)/s, 2) as [string, string]);
  const code = await runNode({
    // The runners expect a pack's directory as the last argument, all others first.
    args: isPack
      ? [...options.nodeArguments, main, ...request.getArgsList(), directory]
      : [...options.nodeArguments, main, directory, ...request.getArgsList()],
    env: { ...Object.fromEntries(variables), ...optionVariables(options), ...(await proxy?.environment()) },
    cwd: isPack ? directory : request.getPwd(),
    onStdout: proxy === undefined ? write : afterPort((port) => proxy.attach(port), write),
    onStderr: (chunk) => call.write(new RunPluginResponse().setStderr(chunk)),
    signal: unwanted.signal,
  });
  proxy?.end(`The policy pack ${request.getName()} has ended (exit code ${code})`);
  if (code !== 0) throw new Error(`Program exited with non-zero exit code: ${code}`);
}

/** Takes the first line of the output, which is a port. */
function afterPort(onPort: (port: number) => void, write: (chunk: Uint8Array) => void) {
  let line: string | undefined = "";
  return (chunk: Buffer) => {
    if (line === undefined) return void write(chunk);
    line += chunk.toString("latin1");
    const end = line.indexOf("\n");
    if (end < 0) return;
    onPort(Number(line.slice(0, end)));
    const rest = Buffer.from(line.slice(end + 1), "latin1");
    line = undefined;
    if (rest.length > 0) write(rest);
  };
}
