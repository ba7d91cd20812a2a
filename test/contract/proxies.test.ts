/**
 * All kinds of clients in this program and its tools reach loopback, and the hosts of a cluster, without the
 * site's proxy: their interpretations of `no_proxy` differ.
 */
import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { proxyExemptions } from "../../lib/proxies";
import { interpreterOf } from "../../sky/interpreter";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";
import { RecordingProxy } from "../recordingProxy";

const proxy = new RecordingProxy();
const server: Server = createServer((_request, response) => response.end("here"));
let port = 0;
let python = "";

beforeAll(async () => {
  await proxy.open();
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  ({ port } = server.address() as AddressInfo);
  const sky = await ensureOwnSkyPilot(["aws", "gcp"], (line) => process.stderr.write(`${line}\n`));
  python = interpreterOf(sky) ?? "";
}, 600_000);
afterAll(() => {
  proxy.close();
  server.close();
});

/** Each prints the server's response for the URL in its last argument. */
const CLIENTS = {
  "fetch of Node": [
    join(__dirname, "..", "..", "node_modules", ".bin", "node"),
    "-e",
    "fetch(process.argv.at(-1)).then((a) => a.text()).then(console.log)",
  ],
  "requests, by which SkyPilot asks its server": [
    "PYTHON",
    "-c",
    "import requests, sys; print(requests.get(sys.argv[-1], timeout=10).text)",
  ],
  "aiohttp of SkyPilot": [
    "PYTHON",
    "-c",
    `import aiohttp, asyncio, sys
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(sys.argv[-1]) as answer:
            print(await answer.text())
asyncio.run(main())`,
  ],
  httpx: ["PYTHON", "-c", "import httpx, sys; print(httpx.get(sys.argv[-1]).text)"],
  urllib: ["PYTHON", "-c", "import sys, urllib.request as u; print(u.urlopen(sys.argv[-1]).read().decode())"],
  curl: ["curl", "-sS"],
} as const;

async function answer(command: readonly string[], host: string, exempt: readonly string[]): Promise<string> {
  const env = proxy.environment;
  const [program = "", ...args] = [...command, `http://${host}:${port}/`];
  const child = spawn(program === "PYTHON" ? python : program, args, {
    env: { ...env, ...proxyExemptions(env, exempt), NODE_USE_ENV_PROXY: "1" },
    stdio: "pipe",
  });
  const [out, problem] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return out.trim() || problem;
}

describe.each(Object.entries(CLIENTS))("%s", (_name, command) => {
  it("reaches loopback without the proxy", async () => {
    for (const host of ["127.0.0.1", "localhost"]) expect(await answer(command, host, [])).toBe("here");
    expect(proxy.asked.splice(0)).toEqual([]);
  });

  it("reaches the address of a cluster without the proxy, and no other", async () => {
    expect(await answer(command, "127.0.0.7", ["127.0.0.7"])).toBe("here");
    expect(proxy.asked.splice(0)).toEqual([]);
    expect(await answer(command, "192.0.2.1", ["127.0.0.7"])).not.toBe("here");
    expect(proxy.asked.splice(0)).toHaveLength(1);
  });
});

describe("exemptions", () => {
  it("keep what the user has exempted, in whichever variable, and are the same the second time", () => {
    const once = proxyExemptions({
      no_proxy: "a.example, b.example",
      NO_PROXY: "c.example",
      no_grpc_proxy: "d",
    });
    const all = "a.example,b.example,c.example,localhost,127.0.0.1,::1,127.0.0.0/8";
    expect(once).toEqual({
      no_proxy: all,
      NO_PROXY: all,
      no_grpc_proxy: "d,localhost,127.0.0.1,::1,127.0.0.0/8",
    });
    expect(proxyExemptions(once)).toEqual(once);
  });
});
