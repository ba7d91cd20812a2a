/**
 * Proxy between the engine and a policy pack. A pack reads its stack from its environment, but the engine
 * sends it only to a running server: so this proxy receives it, then starts the pack, and forwards all
 * further calls. The official host does the same:
 * https://github.com/pulumi/pulumi/blob/master/sdk/policy_proxy.go
 */
import * as grpc from "@grpc/grpc-js";
import { AnalyzerService } from "@pulumi/pulumi/proto/analyzer_grpc_pb";
import {
  AnalyzerHandshakeResponse,
  type AnalyzerStackConfigureRequest,
  AnalyzerStackConfigureResponse,
} from "@pulumi/pulumi/proto/analyzer_pb";
import { failure, listen, UNLIMITED, unary } from "../rpc/grpc";

/** Messages are forwarded unchanged. */
const AS_IT_IS = (message: Buffer) => message;

/** A promise that is settled from outside; `Promise.withResolvers` of Node 22. */
function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

export class PolicyProxy {
  readonly #server = new grpc.Server(UNLIMITED);
  readonly #stack = deferred<AnalyzerStackConfigureRequest | undefined>();
  readonly #pack = deferred<grpc.Client>();

  constructor() {
    // Waiting calls get the error; without any it must not count as unhandled.
    this.#pack.promise.catch(() => undefined);
    const own = ["handshake", "configureStack"];
    const definition = Object.fromEntries(
      Object.entries(AnalyzerService).map(([name, method]) => [
        name,
        own.includes(name)
          ? method
          : { ...method, requestDeserialize: AS_IT_IS, responseSerialize: AS_IT_IS },
      ]),
    );
    const passedOn = Object.entries(AnalyzerService)
      .filter(([name]) => !own.includes(name))
      .map(([name, { path }]) => [name, this.#passOn(path)]);
    this.#server.addService(definition as unknown as grpc.ServiceDefinition, {
      ...Object.fromEntries(passedOn),
      handshake: unary(() => new AnalyzerHandshakeResponse()),
      configureStack: unary((request: AnalyzerStackConfigureRequest) => {
        this.#stack.resolve(request);
        return new AnalyzerStackConfigureResponse();
      }),
    });
  }

  listen(): Promise<number> {
    return listen(this.#server);
  }

  /**
   * The stack's environment for the pack; empty if the engine makes another call first, as `pulumi policy
   * publish` does.
   */
  async environment(): Promise<Record<string, string>> {
    const stack = await this.#stack.promise;
    if (stack === undefined) return {};
    return {
      PULUMI_NODEJS_ORGANIZATION: stack.getOrganization(),
      PULUMI_NODEJS_PROJECT: stack.getProject(),
      PULUMI_NODEJS_STACK: stack.getStack(),
      PULUMI_NODEJS_DRY_RUN: String(stack.getDryRun()),
      PULUMI_CONFIG: JSON.stringify(Object.fromEntries(stack.getConfigMap().toArray())),
    };
  }

  /** Connects to the pack's port. */
  attach(port: number): void {
    this.#pack.resolve(new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), UNLIMITED));
  }

  /** The pack has exited. */
  end(reason: string): void {
    this.#pack.reject(new Error(reason));
    this.#server.forceShutdown();
  }

  #passOn(path: string): grpc.handleUnaryCall<Buffer, Buffer> {
    return (call, callback) => {
      this.#stack.resolve(undefined);
      this.#pack.promise.then(
        (pack) => pack.makeUnaryRequest(path, AS_IT_IS, AS_IT_IS, call.request, callback),
        (error: unknown) => callback(failure(error)),
      );
    };
  }
}
