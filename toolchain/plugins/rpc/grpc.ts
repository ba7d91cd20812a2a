/** What every program that the Pulumi engine starts does: it serves gRPC on a free port, says which, and ends with the engine. */
import * as grpc from "@grpc/grpc-js";

/** The largest message in either direction: no limit, as commands' output has none. */
export const UNLIMITED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
/** How often to look whether the engine is still there, in milliseconds. */
const ENGINE_CHECK_MS = 2_000;

/** Binds a server to a free port of this machine's loopback. */
export function listen(server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

/**
 * Serves to the engine that started this process, until the engine ends it.
 * @param onEngineGone called before the end, where the engine was killed and ends nobody.
 */
export async function serveEngine(server: grpc.Server, onEngineGone?: () => void): Promise<void> {
  endWithEngine(onEngineGone);
  // The engine reads the port from the first line.
  process.stdout.write(`${await listen(server)}\n`);
}

/** An engine that was killed tells nobody: its plugins are then adopted by another process. */
function endWithEngine(onEngineGone?: () => void): void {
  const engine = process.ppid;
  setInterval(() => {
    if (process.ppid === engine) return;
    onEngineGone?.();
    process.exit(1);
  }, ENGINE_CHECK_MS).unref();
}

type Unary<Request, Response> = (
  call: grpc.ServerUnaryCall<Request, Response>,
  callback: grpc.sendUnaryData<Response>,
) => void;

/** A method that answers once; what it throws is told by its message. The signal is aborted when nobody waits for the answer any more. */
export function unary<Request, Response>(
  answer: (request: Request, signal: AbortSignal) => Response | Promise<Response>,
): Unary<Request, Response> {
  return (call, callback) => {
    const unwanted = new AbortController();
    call.on("cancelled", () => unwanted.abort());
    Promise.resolve()
      .then(() => answer(call.request, unwanted.signal))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(failure(error)),
      );
  };
}

/** What was thrown, as gRPC tells it. */
export function failure(error: unknown): Partial<grpc.StatusObject> & { code: grpc.status } {
  return {
    code: grpc.status.UNKNOWN,
    details: error instanceof Error ? error.message : String(error),
  };
}
