/** What the SDK says of its own work, which the engine tells with `--debug`, and always in the events of `pulumi up --json`. */
import * as pulumi from "@pulumi/pulumi";
import { LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/** From here on a message shows an answer of the engine with all values in it, those of secrets too: runtime/resource.js of the SDK. */
const ANSWER = /\bresp: [\s\S]*/;

type Engine = NonNullable<ReturnType<typeof pulumi.runtime.getEngine>>;

const quiet = new WeakSet<Engine>();

/**
 * From now on no value of a resource gets into the debug messages of this program. To be called before a resource with a secret is
 * declared; more often makes no difference. (https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/nodejs/runtime/resource.ts)
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
