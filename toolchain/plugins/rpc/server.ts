/**
 * Pulumi's provider protocol, as far as a plugin without configuration, components and imports needs it.
 *
 * `pulumi.provider.main` of the Node SDK is not used: it hides previews from `create`, has no timeouts and no
 * cancellation, gives no logger for a resource, and loading the SDK costs half a second at each start.
 */
import { setMaxListeners } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { EngineClient, type IEngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import type { Change, Difference } from "./diff";
import { serveEngine, UNLIMITED, unary } from "./grpc";
import { decode, encode, type PropertyMap } from "./properties";

/** An invalid input. */
export interface CheckFailure {
  /** The property's name, or "" for the whole resource. */
  property: string;
  /** The error, for users. */
  reason: string;
}

/** Changes between two versions of a resource's inputs. */
export interface DiffResult {
  changes: Difference;
  /** The changed paths that require a replacement. */
  replaces: ReadonlySet<string>;
  /** Whether to send the change of each path to the engine; if not, it compares the inputs itself. */
  detailed: boolean;
}

/** The caller, and its logger. */
export interface Call {
  /** The resource, or "" for a function. */
  urn: string;
  /** The resource's type token, or the function's. */
  type: string;
  /** The resource's name in the program, or "". */
  name: string;
  /** Aborted when the engine cancels, or when the resource's `customTimeouts` have passed. */
  signal: AbortSignal;
  /** Shows a line as the resource's status. Lines keep their order. */
  logStatus(line: string): void;
}

/** Operations of a plugin. Thrown errors are shown to the user by their message. */
export interface Provider {
  /** The version to report. */
  version: string;
  /** Validates and completes the inputs of a resource. */
  check(call: Call, news: PropertyMap): { inputs: PropertyMap; failures: CheckFailure[] };
  diff(
    call: Call,
    oldInputs: PropertyMap,
    oldState: PropertyMap,
    news: PropertyMap,
    ignoreChanges: string[],
  ): DiffResult;
  create(call: Call, inputs: PropertyMap, preview: boolean): Promise<{ id: string; properties: PropertyMap }>;
  update(
    call: Call,
    state: PropertyMap,
    news: PropertyMap,
    preview: boolean,
    ignoreChanges: string[],
  ): Promise<PropertyMap>;
  delete(call: Call, state: PropertyMap): Promise<void>;
  /** Refuses a function by its name: no stand-in has one. */
  invoke(call: Call): Promise<never>;
}

/**
 * Serves the provider to the engine that started this process, until the engine stops it.
 *
 * @param engineAddress The engine's address from the command line.
 */
export function serve(provider: Provider, engineAddress: string): void {
  const engine = new EngineClient(engineAddress, grpc.credentials.createInsecure(), UNLIMITED);
  const server = new grpc.Server(UNLIMITED);
  server.addService(ResourceProviderService, methods(provider, new Calls(engine)));
  void serveEngine(server);
}

/** Calls in progress. */
class Calls {
  readonly #engine: IEngineClient;
  readonly #cancelled = new AbortController();

  constructor(engine: IEngineClient) {
    this.#engine = engine;
    // One listener per concurrent command, whose number is unlimited.
    setMaxListeners(0, this.#cancelled.signal);
  }

  /** Aborts all current and future calls. */
  cancel(): void {
    this.#cancelled.abort();
  }

  /** Runs one call, and responds only after all its log lines have reached the engine. */
  async run<T>(
    subject: { urn: string; type?: string; timeoutSeconds?: number },
    work: (call: Call) => T | Promise<T>,
  ): Promise<T> {
    const { urn, timeoutSeconds = 0 } = subject;
    let logged: Promise<void> = Promise.resolve();
    const call: Call = {
      urn,
      type: subject.type ?? typeOf(urn),
      name: urn.split("::").slice(3).join("::"),
      signal: this.#signal(timeoutSeconds),
      logStatus: (line) => {
        logged = logged.then(() => this.#log(urn, line));
      },
    };
    try {
      return await work(call);
    } finally {
      await logged;
    }
  }

  #signal(timeoutSeconds: number): AbortSignal {
    if (timeoutSeconds <= 0) return this.#cancelled.signal;
    return AbortSignal.any([this.#cancelled.signal, AbortSignal.timeout(Math.trunc(timeoutSeconds) * 1_000)]);
  }

  /** One line at a time: parallel calls could overtake each other. A rejected line is no reason to fail. */
  #log(urn: string, line: string): Promise<void> {
    const request = new LogRequest()
      .setSeverity(LogSeverity.INFO)
      .setUrn(urn)
      .setMessage(line)
      .setEphemeral(true);
    return new Promise((resolve) => {
      this.#engine.log(request, () => resolve());
    });
  }
}

/** `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>` */
function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").pop() ?? "";
}

function methods(provider: Provider, calls: Calls): grpc.UntypedServiceImplementation {
  return {
    getPluginInfo: unary(() => new PluginInfo().setVersion(provider.version)),
    // Neither plugin has any configuration.
    checkConfig: unary((request: pb.CheckRequest) =>
      new pb.CheckResponse().setInputs(encode(decode(request.getNews()))),
    ),
    diffConfig: unary(() => new pb.DiffResponse().setChanges(pb.DiffResponse.DiffChanges.DIFF_NONE)),
    configure: unary(() =>
      new pb.ConfigureResponse()
        .setAcceptsecrets(true)
        .setSupportspreview(true)
        .setAcceptresources(true)
        .setAcceptoutputs(true),
    ),
    cancel: unary(() => {
      calls.cancel();
      return new Empty();
    }),
    invoke: unary((request: pb.InvokeRequest) =>
      calls.run({ urn: "", type: request.getTok() }, (call) => provider.invoke(call)),
    ),
    ...resourceMethods(provider, calls),
  };
}

function resourceMethods(provider: Provider, calls: Calls): grpc.UntypedServiceImplementation {
  return {
    check: unary((request: pb.CheckRequest) =>
      calls.run({ urn: request.getUrn() }, (call) => {
        const { inputs, failures } = provider.check(call, decode(request.getNews()));
        return new pb.CheckResponse().setInputs(encode(inputs)).setFailuresList(failures.map(toFailure));
      }),
    ),
    diff: unary((request: pb.DiffRequest) =>
      calls.run({ urn: request.getUrn() }, (call) =>
        toDiffResponse(
          provider.diff(
            call,
            decode(request.getOldInputs()),
            decode(request.getOlds()),
            decode(request.getNews()),
            request.getIgnorechangesList(),
          ),
        ),
      ),
    ),
    create: unary((request: pb.CreateRequest) =>
      calls.run({ urn: request.getUrn(), timeoutSeconds: request.getTimeout() }, async (call) => {
        const inputs = decode(request.getProperties());
        const { id, properties } = await provider.create(call, inputs, request.getPreview());
        return new pb.CreateResponse().setId(id).setProperties(encode(properties));
      }),
    ),
    // There is nothing outside the state to read, so the state is returned unchanged.
    read: unary((request: pb.ReadRequest) => {
      const response = new pb.ReadResponse().setId(request.getId());
      return response
        .setProperties(encode(decode(request.getProperties())))
        .setInputs(encode(decode(request.getInputs())));
    }),
    update: unary((request: pb.UpdateRequest) =>
      calls.run({ urn: request.getUrn(), timeoutSeconds: request.getTimeout() }, async (call) => {
        const state = decode(request.getOlds());
        const news = decode(request.getNews());
        const ignored = request.getIgnorechangesList();
        const properties = await provider.update(call, state, news, request.getPreview(), ignored);
        return new pb.UpdateResponse().setProperties(encode(properties));
      }),
    ),
    delete: unary((request: pb.DeleteRequest) =>
      calls.run({ urn: request.getUrn(), timeoutSeconds: request.getTimeout() }, async (call) => {
        await provider.delete(call, decode(request.getProperties()));
        return new Empty();
      }),
    ),
  };
}

function toFailure(failure: CheckFailure): pb.CheckFailure {
  return new pb.CheckFailure().setProperty(failure.property).setReason(failure.reason);
}

const KINDS: Readonly<
  Record<Change, readonly [update: pb.PropertyDiff.Kind, replace: pb.PropertyDiff.Kind]>
> = {
  add: [pb.PropertyDiff.Kind.ADD, pb.PropertyDiff.Kind.ADD_REPLACE],
  delete: [pb.PropertyDiff.Kind.DELETE, pb.PropertyDiff.Kind.DELETE_REPLACE],
  update: [pb.PropertyDiff.Kind.UPDATE, pb.PropertyDiff.Kind.UPDATE_REPLACE],
};

function toDiffResponse({ changes, replaces, detailed }: DiffResult): pb.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = pb.DiffResponse.DiffChanges;
  const response = new pb.DiffResponse()
    .setChanges(changes.size === 0 ? DIFF_NONE : DIFF_SOME)
    .setHasdetaileddiff(detailed)
    .setDiffsList([...new Set([...changes.keys()].map(topLevel))])
    .setReplacesList([...new Set([...replaces].map(topLevel))]);
  for (const [path, change] of detailed ? changes : []) {
    const kind = KINDS[change][replaces.has(path) ? 1 : 0];
    response.getDetaileddiffMap().set(path, new pb.PropertyDiff().setKind(kind));
  }
  return response;
}

/** The property at the start of a path. */
function topLevel(path: string): string {
  return /^[^.[]+/.exec(path)?.[0] ?? path;
}
