/**
 * Common part of all programs started by the Pulumi engine: serves gRPC on a free port, prints it, and exits
 * with the engine.
 */
import * as grpc from "@grpc/grpc-js";

/** Maximum message size in both directions: unlimited, like commands' output. */
export const UNLIMITED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
/** How often to check that the engine is still running, in milliseconds. */
const ENGINE_CHECK_MS = 2_000;

/** Binds a server to a free loopback port. */
export function listen(server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

/**
 * Serves the engine that started this process, until the engine stops it.
 * @param onEngineGone Called before the exit if the engine was killed, and so stops nothing.
 */
export async function serveEngine(server: grpc.Server, onEngineGone?: () => void): Promise<void> {
  endWithEngine(onEngineGone);
  // The engine reads the port from the first line.
  process.stdout.write(`${await listen(server)}\n`);
}

/** A killed engine sends no signal: its plugins are then adopted by another process. */
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

/**
 * A unary method; errors are returned with their message. The signal is aborted when the call is cancelled.
 */
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

/** A thrown value as a gRPC status. */
export function failure(error: unknown): Partial<grpc.StatusObject> & { code: grpc.status } {
  return {
    code: grpc.status.UNKNOWN,
    details: error instanceof Error ? error.message : String(error),
  };
}
