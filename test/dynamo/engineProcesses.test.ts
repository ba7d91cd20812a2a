/**
 * An engine's processes, with small programs that behave like SGLang's: they finish current requests, and
 * leave nothing behind.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
 * scheduler. Its health is bad as often as the file `sick` says.
 */
const ENGINE = `
import http.server, os, signal, subprocess, sys, threading, time
schedulers = [subprocess.Popen(["sleep", "600"]), subprocess.Popen(["sleep", "601"], start_new_session=True)]
def watch():
    schedulers[0].wait()
    print("a scheduler crashed", flush=True)
    os._exit(9)
threading.Thread(target=watch, daemon=True).start()
def health():
    try:
        with open("sick") as file: left = int(file.read())
    except OSError: return 200
    if left > 1:
        with open("sick", "w") as file: file.write(str(left - 1))
    else: os.unlink("sick")
    return 503
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(health() if self.path == "/" else 200); self.end_headers()
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
  change: {
    role: "decode",
    gpus: [0],
    stopSeconds: 20,
    watch: { everySeconds: 0.2, timeoutSeconds: 2, failures: 3 },
  },
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
const starts = (): number => readHistory(directory, "decode-0")?.starts ?? 0;
const sick = join(directory, "sick");
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
    const started = starts();
    kill(await victim());
    await eventually(() => starts() === started + 1);
    await machine.must("local apply", spec);
    expect(processes()).toHaveLength(3);
    expect(processes().filter((pid) => before.includes(pid))).toEqual([]);
    expect(log()).toMatch(/ending what an earlier run left behind: process \d+/);
  });

  test.each([
    ["does not answer at all", async () => process.kill(await mainProcess(), "SIGSTOP"), "timed out"],
    ["is not well", () => writeFileSync(sick, "3"), "HTTP 503"],
  ])("are all new when the main process %s", async (_, hang, seen) => {
    const before = processes();
    const [started, written] = [starts(), log().length];
    await hang();
    await eventually(() => starts() === started + 1, 60);
    await machine.must("local apply", spec);
    expect(log().slice(written)).toContain(`not healthy, 3 of 3 times in a row: ${url("/")}: ${seen}`);
    expect(processes()).toHaveLength(3);
    expect(processes().filter((pid) => before.includes(pid))).toEqual([]);
  });

  test("stay when it is well again before that, and however long it starts", async () => {
    const [started, written] = [starts(), log().length];
    const before = processes();
    writeFileSync(sick, "2");
    await eventually(() => log().slice(written).includes("it is healthy again"));
    expect([starts(), processes()]).toEqual([started, before]);
    writeFileSync(sick, "10");
    kill(await mainProcess());
    await eventually(() => !existsSync(sick));
    await machine.must("local apply", spec);
    expect(starts()).toBe(started + 1);
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
