/** Free ports for tests and benchmarks; fixed ones could be in use. */

import { createServer, type Server } from "node:net";
import type { DeploymentConfig } from "../config/deployment";
import { parseConfig } from "../plan/config";

/** A configuration's ports. */
export interface Ports {
  readonly frontend: { readonly port: number };
  readonly ports: DeploymentConfig["ports"];
}

/** Free ports, each the first of ten. */
export async function freePorts(): Promise<Ports> {
  const { ports } = parseConfig({ target: "local", model: "Qwen/Qwen3-8B" });
  const keys = Object.keys(ports);
  const first = await freeRange(10 * (keys.length + 1));
  const chosen = Object.fromEntries(keys.map((key, index) => [key, first + 10 * (index + 1)]));
  return { frontend: { port: first }, ports: { ...ports, ...chosen } };
}

/** First of `count` consecutive free ports, below the kernel's ephemeral range. */
export async function freeRange(count: number): Promise<number> {
  const [lowest, highest, tries] = [10_000, 32_000, 50];
  for (let attempt = 0; attempt < tries; attempt++) {
    const first = lowest + Math.floor(Math.random() * (highest - lowest - count));
    const servers = await Promise.all(
      Array.from({ length: count }, (_, index) => listen(first + index, "0.0.0.0")),
    );
    const open = servers.filter((server) => server !== undefined);
    await Promise.all(open.map((server) => new Promise((resolve) => server.close(resolve))));
    if (open.length === count) return first;
  }
  throw new Error(`no ${count} neighbouring free ports found in ${tries} tries`);
}

/** Listens on a port of this machine; undefined if it is in use. For `0.0.0.0`, on any address. */
export function listen(port: number, host = "127.0.0.1"): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}
