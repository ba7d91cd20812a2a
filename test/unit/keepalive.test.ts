/** Keepalive on what another process accepts at a port (`runtime/keepalive.py`). */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { python } from "../runtime";

/** A child that listens on a port, and tells the options of the first connection. */
const SERVERS = `
import json, os, socket, subprocess, sys, time
import keepalive
source = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
accepted = server.accept()[0]
options = [accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
    options.append(accepted.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)))
print(options, flush=True)
"""
child = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
port = int(child.stdout.readline())
`;

describe.skipIf(process.platform !== "linux")("keepalive", () => {
  it("is on each connection that the process accepts, once it listens there", () => {
    const script = `${SERVERS}
told = []
looks = keepalive.KeepAlive(port, told.append)
looks.look(os.getpid())
before = looks.is_over
looks.look(child.pid)
socket.create_connection(("127.0.0.1", port))
print(json.dumps([before, looks.is_over, told, json.loads(child.stdout.readline())]))`;
    const [before, isOver, told, options] = JSON.parse(python(script, null));
    expect({ before, isOver, told }).toEqual({ before: false, isOver: true, told: [] });
    expect(options).toEqual([1, 5, 3, 3]);
  });

  it("is not looked for again, and said once, where the process's sockets cannot be had", () => {
    const script = `${SERVERS}
told = []
looks = keepalive.KeepAlive(port, told.append)
def refused(pid, number):
    raise PermissionError(1, "Operation not permitted")
keepalive.descriptor_of = refused
looks.look(child.pid)
looks.look(child.pid)
child.kill()
print(json.dumps([looks.is_over, told]))`;
    const [isOver, told] = JSON.parse(python(script, null));
    expect(isOver).toBe(true);
    expect(told).toEqual([
      expect.stringMatching(
        /^no keepalive on port \d+ \(\[Errno 1\] Operation not permitted\): streams of a worker whose node vanishes/,
      ),
    ]);
  });

  it("is looked for in vain at a process that has ended", () => {
    const { pid } = spawnSync("true");
    const script = `import json, keepalive
print(json.dumps(keepalive.keep_alive(${pid}, 1)))`;
    expect(JSON.parse(python(script, null))).toBe(false);
  });
});
