/**
 * Filters debug messages of the Pulumi SDK, which the engine prints with `--debug`, and always includes in
 * the events of `pulumi up --json`.
 */
import * as pulumi from "@pulumi/pulumi";
import { LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/**
 * The rest of such a message is an engine response with all its values, including secrets:
 * runtime/resource.js of the SDK.
 */
const ANSWER = /\bresp: [\s\S]*/;

type Engine = NonNullable<ReturnType<typeof pulumi.runtime.getEngine>>;

const quiet = new WeakSet<Engine>();

/**
 * Removes resource values from this program's debug messages. Call it before a resource with a secret is
 * declared; further calls have no effect.
 * (https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/nodejs/runtime/resource.ts)
 */
export function keepSecretsOutOfDebugMessages(): void {
  const engine = pulumi.runtime.getEngine();
  if (engine === undefined || quiet.has(engine)) return;
  quiet.add(engine);
  const log = engine.log.bind(engine) as (...args: readonly unknown[]) => ReturnType<Engine["log"]>;
  engine.log = (request: Parameters<Engine["log"]>[0], ...others: readonly unknown[]) => {
    if (request.getSeverity() === LogSeverity.DEBUG)
      request.setMessage(request.getMessage().replace(ANSWER, "resp: (left out, since it may hold secrets)"));
    return log(request, ...others);
  };
}
