/** Ports of a local cluster, one of which is given up while they are looked at. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it, vi } from "vitest";
import { takenPorts } from "../../local/ports";

const seen = vi.hoisted(() => ({ holder: 0, look: () => undefined as unknown }));

vi.mock("../../lib/processes", async (original) => ({
  ...(await original<object>()),
  portHolder: () => {
    seen.look();
    return seen.holder === 0 ? undefined : { pid: seen.holder, command: "decode-1" };
  },
}));

async function listening() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const nodes = [
    { rank: 0, address: "127.0.0.1", ports: [{ port, program: "decode-1", purpose: "rpc" }] },
  ] as unknown as Parameters<typeof takenPorts>[0];
  return { server, nodes };
}

it.each([
  ["seen", spawnSync("true").pid],
  ["met", 0],
])(
  "are not taken by a process that has ended since it was %s, as one that is just restarted",
  async (_, pid) => {
    const { server, nodes } = await listening();
    seen.holder = pid;
    seen.look = () => server.close();
    expect(await takenPorts(nodes, [])).toEqual([]);
  },
);

it("are taken by one that runs on", async () => {
  const { server, nodes } = await listening();
  seen.holder = process.pid;
  seen.look = () => undefined;
  expect(await takenPorts(nodes, [])).toEqual([
    expect.stringMatching(/is taken by process \d+ \(decode-1\)/),
  ]);
  server.close();
});

it("are taken by one that cannot be seen", async () => {
  const { server, nodes } = await listening();
  seen.holder = 0;
  seen.look = () => undefined;
  expect(await takenPorts(nodes, [])).toEqual([expect.stringContaining("is taken by another process")]);
  server.close();
});
