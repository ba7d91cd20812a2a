/**
 * An engine's processes, with small programs that behave like SGLang's: they finish current requests, and
 * leave nothing behind.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kill, processesOf } from "../../lib/processes";
import type { LocalLeaseSpec, LocalProgramsSpec } from "../../local/spec";
import { readHistory } from "../nodes";
import { script } from "./programs";
import { eventually, Machine } from "./support";

const machine = new Machine();
const cluster = "engines";
const node = { rank: 0, address: `${machine.network}.1` };
const directory = machine.nodeDirectory(cluster);
const lease: LocalLeaseSpec = { cluster, services: false, nodes: [node] };
const PORT = 7600;

/**
 * A main process that responds slowly, and two schedulers, one of which has left the process group. A
 * scheduler exits on SIGTERM, which the main process treats as a crash. The main process itself stops no
 * scheduler.
 */
const ENGINE = `
import http.server, os, signal, subprocess, sys, threading, time
schedulers = [subprocess.Popen(["sleep", "600"]), subprocess.Popen(["sleep", "601"], start_new_session=True)]
def watch():
    schedulers[0].wait()
    print("a scheduler crashed", flush=True)
    os._exit(9)
threading.Thread(target=watch, daemon=True).start()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        if self.path == "/stream":
            for piece in range(20):
                self.wfile.write(b"%d " % piece); self.wfile.flush(); time.sleep(0.1)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
server.daemon_threads = False
def leave(*_):
    print("draining", flush=True)
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, leave)
server.serve_forever()
server.server_close()
print("drained", flush=True)
os._exit(0)
`;

const engine = script("decode-0", ENGINE, {
  port: PORT,
  args: ["{{NODE_IP}}", String(PORT)],
  change: { role: "decode", gpus: [0], stopSeconds: 20 },
});
const spec: LocalProgramsSpec = {
  cluster,
  unit: "decode-0",
  nodes: [{ ...node, programs: [engine] }],
  timeoutSeconds: 60,
};

const log = (): string => readFileSync(join(directory, "logs", "decode-0.log"), "utf8");
const url = (path: string): string => `http://${node.address}:${PORT}${path}`;
/** The engine's own processes, without its launcher. */
const processes = (): number[] =>
  processesOf(directory)
    .filter(({ command }) => command === "decode-0")
    .map(({ pid }) => pid);
const launcher = async (): Promise<number> => (await machine.pids(cluster))["decode-0"] ?? 0;
/** The engine's main process, which started the others. */
async function mainProcess(): Promise<number> {
  const parent = String(await launcher());
  const isChild = (pid: number) =>
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")[1] === parent;
  return processes().find(isChild) ?? 0;
}

beforeAll(async () => {
  await machine.must("local lease", lease);
  await machine.must("local apply", spec);
});
afterAll(() => machine.close());

describe("an engine's processes", () => {
  test("belong to a launcher that stays their parent", async () => {
    expect(processes()).toHaveLength(3);
    expect(processes()).not.toContain(await launcher());
    expect(await mainProcess()).toBeGreaterThan(0);
  });

  test.each([
    ["main process", mainProcess],
    ["launcher", launcher],
  ])("are all new after a kill -9 of the %s: nothing keeps the GPU's memory", async (_, victim) => {
    const before = processes();
    const starts = readHistory(directory, "decode-0")?.starts ?? 0;
    kill(await victim());
    await eventually(() => (readHistory(directory, "decode-0")?.starts ?? 0) === starts + 1);
    await machine.must("local apply", spec);
    expect(processes()).toHaveLength(3);
    expect(processes().filter((pid) => before.includes(pid))).toEqual([]);
    expect(log()).toMatch(/ending what an earlier run left behind: process \d+/);
  });

  test("finish a streamed answer when they are told to stop, and leave nothing behind", async () => {
    const answer = await fetch(url("/stream"));
    const before = log().length;
    const stopping = machine.must("local remove", spec);
    await eventually(() => log().slice(before).includes("draining"));
    expect(await answer.text()).toBe(Array.from({ length: 20 }, (_, piece) => `${piece} `).join(""));
    await stopping;
    expect(log().slice(before)).toContain("drained");
    expect(log().slice(before)).not.toContain("crashed");
    expect(processes()).toEqual([]);
  });
});
