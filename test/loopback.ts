/** Stand-ins for servers of others, on loopback. */
import type { Server as HttpServer } from "node:http";
import { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";

type Server = HttpServer | TlsServer;

/** Opens it at a free port. @returns Its URL. */
export async function openOnLoopback(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return `http${server instanceof TlsServer ? "s" : ""}://127.0.0.1:${port}`;
}

/** Closes it with the connections that clients keep. */
export function closeAtOnce(server: Server): void {
  server.closeAllConnections();
  server.close();
}
