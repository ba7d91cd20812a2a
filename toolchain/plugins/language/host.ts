/**
 * Stand-in for Pulumi's language host for Node. The engine calls it to run programs and policy packs; the
 * code that runs them is part of `@pulumi/pulumi`. Specified by
 * https://github.com/pulumi/pulumi/blob/master/proto/pulumi/language.proto and the official host,
 * https://github.com/pulumi/pulumi/blob/master/sdk/nodejs/cmd/pulumi-language-nodejs/main.go
 *
 * Two features of the official host are missing: the relay for blocking `invoke` calls (no longer used by the
 * SDK) and code generation (`pulumi new`, `convert`, `package add`), which is rejected by name.
 */
import * as grpc from "@grpc/grpc-js";
import { version } from "@pulumi/pulumi/package.json";
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/language_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { serveEngine, UNLIMITED, unary } from "../rpc/grpc";
import { killAll } from "./child";
import { installDependencies, packageManagerOf } from "./install";
import { runtimeOptions } from "./options";
import { dependenciesOf, packageDirectory, requiredPackages } from "./packages";
import { runPlugin } from "./plugin";
import { runProgram } from "./program";

export const VERSION = version;
/** Description of this host, for all queries. */
export const STAND_IN = "stand-in of dynamo-sky for the official pulumi-language-nodejs";

/**
 * Serves the engine that started this process, until the engine stops it. @param engineAddress The engine's
 * address.
 */
export function serveHost(engineAddress: string): void {
  const server = new grpc.Server(UNLIMITED);
  server.addService(LanguageRuntimeService, methods(engineAddress));
  void serveEngine(server, killAll);
  process.on("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(0));
}

function methods(engineAddress: string): grpc.UntypedServiceImplementation {
  const cancelled = new AbortController();
  let engine = engineAddress;
  return {
    handshake: unary((request: pb.LanguageHandshakeRequest) => {
      engine = request.getEngineAddress() || engine;
      return new pb.LanguageHandshakeResponse();
    }),
    getPluginInfo: unary(() => new PluginInfo().setVersion(version)),
    run: unary((request: pb.RunRequest, unwanted) =>
      runProgram(request, engine, AbortSignal.any([unwanted, cancelled.signal])),
    ),
    runPlugin,
    installDependencies,
    cancel: unary(() => {
      cancelled.abort();
      return new Empty();
    }),
    ...questions(),
    ...refusals(),
  };
}

function questions(): grpc.UntypedServiceImplementation {
  return {
    getRequiredPackages: unary((request: pb.GetRequiredPackagesRequest) =>
      new pb.GetRequiredPackagesResponse().setPackagesList(requiredPackages(directoryOf(request))),
    ),
    getProgramDependencies: unary((request: pb.GetProgramDependenciesRequest) => {
      const found = dependenciesOf(directoryOf(request), request.getTransitivedependencies());
      const list = found.map(({ name, version: has }) =>
        new pb.DependencyInfo().setName(name).setVersion(has),
      );
      return new pb.GetProgramDependenciesResponse().setDependenciesList(list);
    }),
    about: unary((request: pb.AboutRequest) => {
      const info = request.getInfo() ?? new pb.ProgramInfo();
      const response = new pb.AboutResponse().setExecutable(process.execPath).setVersion(process.version);
      const manager = packageManagerOf(runtimeOptions(info), packageDirectory(info.getProgramDirectory()));
      response.getMetadataMap().set("packagemanager", manager).set("languageHost", STAND_IN);
      return response;
    }),
    runtimeOptionsPrompts: unary(() => new pb.RuntimeOptionsResponse()),
    template: unary(() => new pb.TemplateResponse()),
  };
}

function directoryOf(request: { getInfo(): pb.ProgramInfo | undefined }): string {
  return request.getInfo()?.getProgramDirectory() ?? process.cwd();
}

/**
 * Calls that need the official host. `getRequiredPlugins` is only called by older engines, which do not query
 * packages.
 */
function refusals(): grpc.UntypedServiceImplementation {
  const names = [
    "getRequiredPlugins",
    "generateProgram",
    "generateProject",
    "generatePackage",
    "pack",
    "link",
  ];
  const refuse = (name: string): grpc.handleUnaryCall<unknown, unknown> => {
    const details = `${name} is not available: this is a ${STAND_IN}. With Pulumi's own distribution it is: https://www.pulumi.com/docs/iac/download-install/`;
    return (_, callback) => callback({ code: grpc.status.UNIMPLEMENTED, details });
  };
  return Object.fromEntries(names.map((name) => [name, refuse(name)]));
}
