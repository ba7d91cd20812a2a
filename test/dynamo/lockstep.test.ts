/**
 * Replicas over several nodes, with small programs: they start together, end together and restart together.
 */
import { existsSync, readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kill, processesOf } from "../../lib/processes";
import type { LocalLeaseSpec, LocalProgramsSpec } from "../../local/spec";
import { LOCKSTEP_SECRET } from "../../plan/programs/controlPlane";
import type { ProgramPlan } from "../../plan/types";
import { programsOf, readHistory } from "../nodes";
import { script } from "./programs";
import { eventually, Machine } from "./support";

const machine = new Machine();
const cluster = "ranks";
const RANKS = [0, 1, 2];
const nodes = RANKS.map((rank) => ({ rank, address: `${machine.network}.${1 + rank}` }));
const SECRET = "a secret of this test";
const lease: LocalLeaseSpec = { cluster, services: false, nodes, secrets: { [LOCKSTEP_SECRET]: SECRET } };
const PORT = 7300;
const LOCKSTEP_PORT = 7400;

/** Serves, and on SIGTERM reports for a moment which others are still running. */
const SERVER = `
import http.server, os, signal, sys, threading, time, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
        print("answered", self.headers.get("User-Agent"), flush=True)
    def log_message(self, *args): pass
def answers(address):
    try: return urllib.request.urlopen("http://%s:%s/" % (address, sys.argv[2]), timeout=1).status == 200
    except OSError: return False
def leave(*_):
    time.sleep(0.5)
    print("leaving while %s of the others answer" % [answers(a) for a in sys.argv[3:]].count(True), flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
print("serving", flush=True)
server.serve_forever()
`;

function rank(number: number, change: Partial<ProgramPlan> = {}, source = SERVER): ProgramPlan {
  const others = nodes.filter((node) => node.rank !== number).map(({ address }) => address);
  return script(number === 0 ? "decode-0" : `decode-0-rank${number}`, source, {
    port: PORT,
    args: ["{{NODE_IP}}", String(PORT), ...others],
    change: {
      role: "decode",
      rank: number,
      lockstep: {
        host: "{{HEAD_IP}}",
        port: LOCKSTEP_PORT,
        ranks: RANKS.length,
        secret: LOCKSTEP_SECRET,
        timeoutSeconds: 60,
      },
      stopSeconds: 5,
      // Like that of a worker: the process that serves.
      ...(number === 0 ? { watch: { everySeconds: 0.5, timeoutSeconds: 2, failures: 3 } } : {}),
      ...change,
    },
  });
}

function replica(ranks: readonly ProgramPlan[], timeoutSeconds = 60): LocalProgramsSpec {
  const placed = ranks.map((program) => {
    const node = nodes.find(({ rank }) => rank === program.rank);
    if (node === undefined) throw new Error(`no node for rank ${program.rank}`);
    return { ...node, programs: [program] };
  });
  return { cluster, unit: "decode-0", nodes: placed, timeoutSeconds };
}

const directory = (number: number): string => machine.nodeDirectory(cluster, number);
const programName = (number: number): string => rank(number).name;
const log = (number: number): string => {
  const path = join(directory(number), "logs", `${programName(number)}.log`);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};
const starts = (): number[] =>
  RANKS.map((number) => readHistory(directory(number), programName(number))?.starts ?? 0);
const states = (): Promise<string[]> =>
  Promise.all(
    RANKS.map(async (number) => {
      const seen = await programsOf(directory(number));
      return seen.find(({ name }) => name === programName(number))?.state ?? "";
    }),
  );

/** Process ids of a rank: the launcher's, and those of its children. */
async function processesOfRank(number: number): Promise<{ launcher: number; program: number[] }> {
  const launcher = (await machine.pids(cluster, number))[programName(number)] ?? 0;
  const program = processesOf(directory(number))
    .filter(({ command }) => command === programName(number))
    .map(({ pid }) => pid);
  return { launcher, program };
}

/**
 * The launcher has seen rank 0 answer: a hang counts from then on, an engine that loads its weights has none.
 */
const isWatched = (): boolean => log(0).split("serving").at(-1)?.includes("answered Python-urllib") === true;

/** All programs answer after a restart. */
async function startedAgain(before: readonly number[]): Promise<boolean> {
  if (!starts().every((count, index) => count > (before[index] ?? 0))) return false;
  const answers = await Promise.all(
    nodes.map(({ address }) =>
      fetch(`http://${address}:${PORT}/`).then(
        ({ ok }) => ok,
        () => false,
      ),
    ),
  );
  return answers.every(Boolean);
}

beforeAll(() => machine.must("local lease", lease));
afterAll(() => machine.close());

describe("the ranks of a replica", () => {
  test("start only when all are there, and say who is missing", async () => {
    const [first, second] = [rank(0), rank(1)];
    const early = machine.run("local apply", replica([first, second], 60));
    await eventually(() =>
      log(1).includes("waiting for the other ranks of decode-0: 3 in all, at most 60 s"),
    );
    await eventually(() => log(0).includes("still waiting for rank 2 of decode-0"));
    expect((await states()).slice(0, 2)).toEqual(["STARTING", "STARTING"]);
    expect(log(0) + log(1)).not.toContain("serving");
    const late = machine.run("local apply", replica([first, second, rank(2)], 60));
    expect([(await early).code, (await late).code]).toEqual([0, 0]);
    expect(RANKS.map((number) => log(number).split("serving").length)).toEqual([2, 2, 2]);
    expect(await states()).toEqual(["RUNNING", "RUNNING", "RUNNING"]);
  });

  test.each([
    ["rank 0's program is killed", 0, "program", "SIGKILL", "its program ended with signal 9"],
    ["rank 2's program is killed", 2, "program", "SIGKILL", "its program ended with signal 9"],
    ["rank 0's launcher is killed", 0, "launcher", "SIGKILL", "its connection is lost"],
    ["rank 1's launcher is killed", 1, "launcher", "SIGKILL", "its connection is lost"],
    ["rank 0's program hangs", 0, "program", "SIGSTOP", "it hangs"],
  ] as const)("all start again when %s, and each tells why", async (_, number, which, signal, why) => {
    const before = starts();
    const { launcher, program } = await processesOfRank(number);
    await eventually(isWatched);
    const logsBefore = RANKS.map((other) => log(other).length);
    process.kill(which === "launcher" ? launcher : (program[0] ?? 0), signal);
    await eventually(() => startedAgain(before), 60);
    expect(starts()).toEqual(before.map((count) => count + 1));
    for (const other of RANKS.filter((one) => one !== number)) {
      expect(log(other).slice(logsBefore[other])).toMatch(
        new RegExp(`rank [0-9] of this replica has ended \\(.*${why}\\): this one stops too`),
      );
    }
    // Nothing of the earlier run is left, although its parent was killed.
    for (const other of RANKS) expect((await processesOfRank(other)).program).toHaveLength(1);
    expect(processesOf(directory(number)).map(({ pid }) => pid)).not.toContain(program[0]);
  });

  test("end in order when they are stopped: the other ranks stay until rank 0 is done", async () => {
    const before = RANKS.map((number) => log(number).length);
    const began = performance.now();
    await machine.must("local remove", replica(RANKS.map((number) => rank(number))));
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(log(0).slice(before[0])).toContain("leaving while 2 of the others answer");
    for (const number of RANKS)
      expect(processesOf(directory(number)).map(({ command }) => command)).toHaveLength(1);
  });

  test("a program that ignores SIGTERM is killed with its children", async () => {
    const env = { TEST: "deaf" };
    const deaf = `
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"])
${SERVER.replace("signal.signal(signal.SIGTERM, leave)", "")}`;
    const spec = replica([
      rank(0, { env, stopSeconds: 1 }),
      rank(1, { env }),
      rank(2, { env, stopSeconds: 1 }, deaf),
    ]);
    await machine.must("local apply", spec);
    await machine.must("local remove", spec);
    for (const number of RANKS) expect(processesOf(directory(number))).toHaveLength(1);
    expect(log(2)).toContain("the program did not stop within");
  });

  test("one that hangs when another has ended gets a moment, not the time that requests have: its open streams end", async () => {
    const env = { TEST: "hanging" };
    const deaf = `
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
${SERVER.replace("signal.signal(signal.SIGTERM, leave)", "").replace('self.wfile.write(b"ok")', 'self.wfile.write(b"ok"); self.wfile.flush(); time.sleep(600 if self.path == "/stream" else 0)')}`;
    const stopSeconds = 600;
    const ranks = [
      rank(0, { env, stopSeconds }, deaf),
      rank(1, { env, stopSeconds }, deaf),
      rank(2, { env }),
    ];
    await machine.must("local apply", replica(ranks));
    const before = starts();
    const [head] = nodes;
    const answer = await fetch(`http://${head?.address}:${PORT}/stream`);
    const ended = answer.text().then(
      () => "whole",
      () => "cut",
    );
    kill((await processesOfRank(2)).program[0] ?? 0);
    await ended;
    await eventually(() => startedAgain(before), 60);
    for (const number of [0, 1])
      expect(log(number)).toContain("the program did not stop within 5 s and is killed");
    // On a graceful stop they would get all of it.
    for (const { launcher, program } of await Promise.all(RANKS.map(processesOfRank)))
      for (const pid of [launcher, ...program]) kill(pid);
    await machine.must("local remove", replica(RANKS.map((number) => rank(number))));
  });

  test("one that keeps crashing holds all of them back, and all are seen as failing", async () => {
    const source = "print('no such weights'); raise SystemExit(3)";
    const env = { TEST: "crashing" };
    const spec = replica([rank(0, { env }), rank(1, { env }, source), rank(2, { env })], 8);
    const run = await machine.run("local apply", spec);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/did not become healthy within 8 s/);
    expect(log(0)).toMatch(/rank 1 of this replica has ended \(its program ended with code 3\)/);
    expect(log(2)).toMatch(/rank 0 of this replica has ended \(rank 1: its program ended with code 3\)/);
    await eventually(async () => (await states()).every((state) => state === "BACKOFF"), 60);
    for (const number of RANKS)
      expect(readHistory(directory(number), programName(number))?.crashes).toBeGreaterThan(1);
    await machine.must("local remove", spec);
  });

  test("strangers on their port are sent away", async () => {
    const spec = replica([rank(0, { env: { TEST: "strangers" } })], 5);
    const run = machine.run("local apply", spec);
    await eventually(() => log(0).trimEnd().endsWith("3 in all, at most 60 s"));
    const closed = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: nodes[0]?.address ?? "", port: LOCKSTEP_PORT }, () => {
        // The right name without a valid HMAC.
        socket.write(`${"0".repeat(64)} hello decode-0 1 ${"0".repeat(32)}\n`);
      });
      socket.on("close", () => resolve(true));
      socket.on("error", () => undefined);
      socket.resume();
    });
    expect(closed).toBe(true);
    await eventually(() => log(0).includes("refused a connection that is no rank of decode-0"));
    await machine.must("local remove", spec);
    expect((await run).code).toBe(1);
  });
});
