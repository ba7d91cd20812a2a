/** A proxy that forwards nothing, and records all requests. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** All variables that configure a proxy. */
const VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "grpc_proxy"];

export class RecordingProxy {
  /** `GET http://127.0.0.1:1/x` and `CONNECT 127.0.0.1:1`, unchanged. */
  readonly asked: string[] = [];
  private readonly server: Server = createServer((request, response) => {
    this.asked.push(`${request.method} ${request.url}`);
    response.writeHead(403).end();
  });

  async open(): Promise<void> {
    this.server.on("connect", (request, socket) => {
      this.asked.push(`CONNECT ${request.url}`);
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
  }

  /** This process's environment with the proxy and no exemption, as at a site with a proxy. */
  get environment(): Record<string, string | undefined> {
    const { port } = this.server.address() as AddressInfo;
    const inherited = Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name));
    const proxy = `http://127.0.0.1:${port}`;
    const set = VARIABLES.flatMap((name) => [name, name.toUpperCase()].map((one) => [one, proxy] as const));
    return { ...Object.fromEntries(inherited), ...Object.fromEntries(set) };
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
