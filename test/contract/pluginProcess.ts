/**
 * A plugin process without an engine: the test uses the provider protocol directly. For cases that are
 * impossible or slow through the engine: cancelling at a given moment, validating many inputs, a plugin that
 * hangs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";

/** Properties in the protocol's form. */
export type Properties = Record<string, unknown>;

/** Time limit for a plugin's start, in milliseconds. */
const START_LIMIT_MS = 30_000;

/** A running plugin. */
export class PluginProcess {
  /** Lines logged so far. */
  readonly logs: string[] = [];
  readonly #engine = new grpc.Server();
  #process: ChildProcess | undefined;
  #client: ResourceProviderClient | undefined;

  /** Starts a plugin, and configures it like the engine. */
  static async start(file: string): Promise<PluginProcess> {
    const plugin = new PluginProcess();
    await plugin.#start(file);
    return plugin;
  }

  /** Kills the plugin. */
  stop(): void {
    this.#client?.close();
    this.#process?.kill("SIGKILL");
    this.#engine.forceShutdown();
  }

  /** The version that the plugin reports. */
  async version(): Promise<string> {
    const info = await this.#call<Empty, { getVersion(): string }>("getPluginInfo", new Empty());
    return info.getVersion();
  }

  /** Errors in a resource's inputs: `property: reason`. */
  async check(type: string, inputs: Properties): Promise<string[]> {
    const request = new pb.CheckRequest().setUrn(urnOf(type)).setNews(struct(inputs));
    const response = await this.#call<pb.CheckRequest, pb.CheckResponse>("check", request);
    return response.getFailuresList().map((failure) => `${failure.getProperty()}: ${failure.getReason()}`);
  }

  /** Creates a resource, and returns its outputs. */
  async create(type: string, inputs: Properties, timeoutSeconds = 0): Promise<Properties> {
    const request = new pb.CreateRequest()
      .setUrn(urnOf(type))
      .setProperties(struct(inputs))
      .setTimeout(timeoutSeconds);
    const response = await this.#call<pb.CreateRequest, pb.CreateResponse>("create", request);
    return response.getProperties()?.toJavaScript() ?? {};
  }

  /** Calls a function, and returns its result, or the errors in its arguments. */
  async invoke(token: string, args: Properties): Promise<{ result: Properties; failures: string[] }> {
    const request = new pb.InvokeRequest().setTok(token).setArgs(struct(args));
    const response = await this.#call<pb.InvokeRequest, pb.InvokeResponse>("invoke", request);
    return {
      result: response.getReturn()?.toJavaScript() ?? {},
      failures: response
        .getFailuresList()
        .map((failure) => `${failure.getProperty()}: ${failure.getReason()}`),
    };
  }

  /** Cancels the plugin's current work. */
  async cancel(): Promise<void> {
    await this.#call("cancel", new Empty());
  }

  async #start(file: string): Promise<void> {
    const log = (call: grpc.ServerUnaryCall<LogRequest, Empty>, callback: grpc.sendUnaryData<Empty>) => {
      this.logs.push(call.request.getMessage());
      callback(null, new Empty());
    };
    this.#engine.addService(EngineService, { log });
    const enginePort = await new Promise<number>((resolve, reject) => {
      const insecure = grpc.ServerCredentials.createInsecure();
      this.#engine.bindAsync("127.0.0.1:0", insecure, (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    const child = spawn(file, [`127.0.0.1:${enginePort}`], { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = child;
    const [port] = (await once(child.stdout, "data", { signal: AbortSignal.timeout(START_LIMIT_MS) })) as [
      Buffer,
    ];
    const address = `127.0.0.1:${port.toString().trim()}`;
    this.#client = new ResourceProviderClient(address, grpc.credentials.createInsecure());
    const configuration = new pb.ConfigureRequest()
      .setAcceptsecrets(true)
      .setAcceptresources(true)
      .setSendsOldInputs(true)
      .setSendsOldInputsToDelete(true)
      .setArgs(struct({}));
    await this.#call("configure", configuration);
  }

  #call<Request, Response>(
    method: "getPluginInfo" | "configure" | "check" | "create" | "invoke" | "cancel",
    request: Request,
  ): Promise<Response> {
    const client = this.#client;
    if (client === undefined) throw new Error("the plugin is not running");
    // Each method has its own types, declared by the callers above.
    const call = client[method].bind(client) as unknown as (
      request: Request,
      metadata: grpc.Metadata,
      options: grpc.CallOptions,
      callback: (error: grpc.ServiceError | null, response: Response) => void,
    ) => void;
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + START_LIMIT_MS };
      call(request, new grpc.Metadata({ waitForReady: true }), options, (error, response) =>
        error ? reject(new Error(error.details)) : resolve(response),
      );
    });
  }
}

function urnOf(type: string): string {
  return `urn:pulumi:test::contract::${type}::it`;
}

function struct(properties: Properties): Struct {
  return Struct.fromJavaScript(properties as Record<string, JavaScriptValue>);
}
