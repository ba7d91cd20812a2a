/** Nodes on this machine, with small programs: failures and their messages. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { processesOf } from "../../lib/processes";
import type { LocalLeaseSpec, LocalProgramsSpec } from "../../local/spec";
import type { ProgramPlan } from "../../plan/types";
import { programsOf, shortPathsOf } from "../nodes";
import { script, server } from "./programs";
import { eventually, Machine } from "./support";

const machine = new Machine();
const cluster = "nodes";
const address = `${machine.network}.1`;
const directory = machine.nodeDirectory(cluster);

const lease: LocalLeaseSpec = {
  cluster,
  services: false,
  nodes: [{ rank: 0, address }],
  secrets: { TOKEN: "s3cr3t-value" },
};

function unit(name: string, programs: ProgramPlan[], timeoutSeconds = 20): LocalProgramsSpec {
  return { cluster, unit: name, nodes: [{ rank: 0, address, programs }], timeoutSeconds };
}

const log = (program: string): string => readFileSync(join(directory, "logs", `${program}.log`), "utf8");
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

beforeAll(() => machine.must("local lease", lease));
afterAll(() => machine.close());

describe("lease", () => {
  test("says who holds a port, and which setting chooses another", async () => {
    const holder = await listen(`${machine.network}.2`, 8000);
    try {
      const ports = [{ program: "frontend-0", purpose: "http", port: 8000, configKey: "frontend.port" }];
      const nodes = [{ rank: 0, address: `${machine.network}.2`, ports }];
      const run = await machine.run("local lease", { ...lease, cluster: "other", nodes });
      expect(run.code).toBe(1);
      expect(run.stderr).toContain(
        `port 8000 of ${machine.network}.2 (frontend-0, http) is taken by process ${process.pid} (`,
      );
      expect(run.stderr).toContain(
        "choose another with `pulumi config set --path dynamo-sky:frontend.port <port>`.",
      );
      expect(existsSync(machine.nodeDirectory("other"))).toBe(false);
    } finally {
      holder.close();
    }
  });

  test("adopts a running supervisor", async () => {
    const before = machine.processes();
    await machine.must("local lease", lease);
    expect(machine.processes()).toEqual(before);
  });

  test("never takes a process that merely has a recorded id for the supervisor", async () => {
    const stranger = spawn("sleep", ["60"]);
    const name = "recycled";
    const own = { ...lease, cluster: name, nodes: [{ rank: 0, address: `${machine.network}.3` }] };
    await machine.must("local lease", own);
    for (const pid of Object.values(await machine.pids(name))) process.kill(pid, "SIGKILL");
    const record = join(machine.nodeDirectory(name), "run", "supervisord.json");
    const { pid, startTime } = JSON.parse(readFileSync(record, "utf8"));
    process.kill(pid, "SIGKILL");
    await eventually(() => !isAlive(pid));
    writeFileSync(record, JSON.stringify({ pid: stranger.pid, startTime }));
    await machine.must("local lease", own);
    await machine.must("local release", own);
    expect(isAlive(stranger.pid ?? 0)).toBe(true);
    stranger.kill();
  });

  test("starts programs again with a changed secret", async () => {
    const name = "rotating";
    const node = { rank: 0, address: `${machine.network}.6` };
    const own = { ...lease, cluster: name, nodes: [node] };
    await machine.must("local lease", own);
    const program = server("reader", 7020, { secretEnv: ["TOKEN"] });
    const spec = { cluster: name, unit: "reader", nodes: [{ ...node, programs: [program] }] };
    await machine.must("local apply", spec);
    const { stderr } = await machine.must("local lease", { ...own, secrets: { TOKEN: "n3w" } });
    expect(stderr).toContain("its programs are started again");
    await machine.must("local apply", spec);
    const { reader } = await machine.pids(name);
    expect(readFileSync(`/proc/${reader}/environ`, "utf8").split("\0")).toContain("TOKEN=n3w");
    const again = await machine.must("local lease", { ...own, secrets: { TOKEN: "n3w" } });
    expect(again.stderr).not.toContain("started again");
    await machine.must("local release", own);
  });

  test("takes over a lock whose owner has died", async () => {
    const owner = spawn("sleep", ["60"]);
    const lock = join(directory, "lock");
    mkdirSync(lock);
    writeFileSync(join(lock, "owner.json"), JSON.stringify({ pid: owner.pid, startTime: "1" }));
    await machine.must("local lease", lease);
    expect(existsSync(lock)).toBe(false);
    owner.kill();
  });

  test("keeps secrets in a file that only the owner reads", () => {
    expect(statSync(join(directory, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });
});

describe("apply", () => {
  test("passes arguments, environment and secrets through unchanged, whatever they hold", async () => {
    const owned = join(machine.state, "owned");
    const nasty = [
      "a b",
      `$(touch ${owned})`,
      "`id`",
      "100%",
      "%(here)s",
      "'\"\\",
      "-x",
      "line\nbreak",
      "ü;#",
    ];
    const source = `
import json, os, sys
with open(os.environ["NODE_DIR"] + "/seen.json", "w") as file:
    json.dump({"args": sys.argv[3:], "env": dict(os.environ)}, file)
import http.server
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
`;
    const program = script("echo", source, {
      port: 7001,
      args: ["{{NODE_IP}}", "7001", ...nasty],
      change: {
        env: { NASTY: nasty.join("|"), AT: "{{HEAD_IP}}", CUDA_VISIBLE_DEVICES: "{{GPUS}}" },
        secretEnv: ["TOKEN"],
        gpus: [2, 5],
      },
    });
    await machine.must("local apply", unit("echo", [program]));
    const { args, env } = JSON.parse(readFileSync(join(directory, "seen.json"), "utf8"));
    expect(args).toEqual(nasty);
    expect(env).toMatchObject({
      NASTY: nasty.join("|"),
      AT: address,
      TOKEN: "s3cr3t-value",
      CUDA_VISIBLE_DEVICES: "2,5",
      NODE_IP: address,
    });
    expect(existsSync(owned)).toBe(false);
    const files = readdirSync(directory, { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile() && !["secrets.json", "seen.json"].includes(entry.name))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
    expect(files.filter((content) => content.includes("s3cr3t-value"))).toEqual([]);
    await machine.must("local remove", unit("echo", [program]));
  });

  test("many at the same time do not disturb each other", async () => {
    const units = Array.from({ length: 6 }, (_, i) => unit(`many-${i}`, [server(`many-${i}`, 7100 + i)]));
    const runs = await Promise.all(units.map((spec) => machine.run("local apply", spec)));
    expect(runs.map(({ code, stderr }) => (code === 0 ? "" : stderr))).toEqual(units.map(() => ""));
    expect(Object.keys(await machine.pids(cluster)).filter((name) => name.startsWith("many-"))).toHaveLength(
      6,
    );
    await Promise.all(units.map((spec) => machine.must("local remove", spec)));
    expect(Object.keys(await machine.pids(cluster)).filter((name) => name.startsWith("many-"))).toEqual([]);
  });

  test("a program that ends at once is named, with its last lines, and is held back and seen as failing", async () => {
    const source = "print('cannot find the thing'); raise SystemExit(0)";
    const spec = unit("broken", [script("broken", source, { port: 7002 })], 15);
    const run = await machine.run("local apply", spec);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(
      /\nbroken did not become healthy(?: within 15 s|, and waiting longer would not help): waited for broken .*it ended right after its start/,
    );
    expect(run.stderr).toContain("    cannot find the thing");
    // First line of the output, for users who read only one line.
    const [first] = run.stderr.split("\n").filter((line) => line !== "" && !line.startsWith("["));
    expect(first).toBe("broken failed: cannot find the thing");
    expect(log("broken")).toMatch(/ended soon after its start 1 time; starting again/);
    // It is started again and again, also when `up` has given up.
    await eventually(() => /ended soon after its start 3 times; starting again in 2 s/.test(log("broken")));
    const { stdout } = await machine.must("local observe", { clusters: [cluster] });
    const [seen] = JSON.parse(stdout)[cluster][0].programs;
    expect(seen).toEqual({ name: "broken", unit: "broken", state: "UNFINISHED" });
    // It alternates between short runs and growing pauses.
    await eventually(async () => (await programsOf(directory))[0]?.state === "BACKOFF");
    await machine.must("local remove", spec);
  });

  test("a program that ends with the same error at each start is not waited for", async () => {
    const source = "import os; raise ValueError('policy %d is not among those of this router' % os.getpid())";
    const spec = unit("refusing", [script("refusing", source, { port: 7004 })], 300);
    const run = await machine.run("local apply", spec);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/refusing failed: ValueError: policy \d+ is not among those of this router/);
    expect(run.stderr).toMatch(/refusing did not become healthy, and waiting longer would not help: waited/);
    expect(run.stderr).toContain("Its log: /");
    await machine.must("local remove", spec);
  });

  test("waits for what a program needs, and says so in its log", async () => {
    const needs = (timeoutSeconds: number) => ({
      waitsFor: [
        {
          name: "the store",
          probe: { kind: "tcp" as const, host: "{{NODE_IP}}", port: 7010 },
          timeoutSeconds,
        },
      ],
    });
    const spec = unit("waiting", [server("waiting", 7003, needs(60))]);
    const applying = machine.run("local apply", spec);
    await eventually(
      () => existsSync(join(directory, "logs/waiting.log")) && log("waiting").includes("waiting for"),
    );
    const store = await listen(address, 7010);
    expect((await applying).code).toBe(0);
    expect(log("waiting")).toMatch(
      new RegExp(
        `^started at \\S+Z\nwaiting for the store at ${address}:7010 \\(at most 60 s\\): .*refused\\nthe store answers after [\\d.]+ s\\nserving`,
      ),
    );
    store.close();
    const impatient = unit("waiting", [server("waiting", 7003, needs(1))], 4);
    const run = await machine.run("local apply", impatient);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(
      "waiting did not become healthy within 4 s: waited for waiting to run: it waits for what it needs",
    );
    expect(run.stderr).toMatch(
      /gave up waiting for the store at [\d.]+:7010 after 1 s; last error: .*refused/,
    );
    await machine.must("local remove", impatient);
  });

  test("a missing secret, or one that others can read, is said without a value", async () => {
    const program = server("secretive", 7004, { secretEnv: ["TOKEN", "ABSENT"] });
    const run = await machine.run("local apply", unit("secretive", [program], 3));
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("secrets.json has no value for ABSENT");
    chmodSync(join(directory, "secrets.json"), 0o644);
    const other = server("secretive", 7004, { secretEnv: ["TOKEN"] });
    const open = await machine.run("local apply", unit("secretive", [other], 3));
    expect(open.stderr).toContain("secrets.json can be read by others; its mode must be 0600");
    expect(open.stderr + run.stderr).not.toContain("s3cr3t");
    chmodSync(join(directory, "secrets.json"), 0o600);
    await machine.must("local remove", unit("secretive", [other]));
  });

  test("a unit's program that is gone from it is stopped, its sibling goes on", async () => {
    const both = unit("pair", [server("left", 7005), server("right", 7006)]);
    await machine.must("local apply", both);
    const before = await machine.pids(cluster);
    await machine.must("local apply", unit("pair", [server("right", 7006)]));
    const after = await machine.pids(cluster);
    expect(after["right"]).toBe(before["right"]);
    expect(after).not.toHaveProperty("left");
    await machine.must("local remove", both);
  });

  test("without its node says how to make it again", async () => {
    const run = await machine.run("local apply", {
      ...unit("any", [server("any", 7007)]),
      cluster: "unknown",
    });
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("Node 0 of the local cluster 'unknown' does not exist any more");
  });
});

describe("release", () => {
  test("ends programs that do not want to, with children that left their group, though the supervisor is dead", async () => {
    const name = "stubborn";
    const own = { ...lease, cluster: name, nodes: [{ rank: 0, address: `${machine.network}.4` }] };
    await machine.must("local lease", own);
    const source = `
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
import http.server
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
`;
    const program = script("deaf", source, {
      port: 7008,
      args: ["{{NODE_IP}}", "7008"],
      change: { stopSeconds: 1 },
    });
    const spec = { cluster: name, unit: "deaf", nodes: [{ ...own.nodes[0], rank: 0, programs: [program] }] };
    await machine.must("local apply", spec);
    const record = join(machine.nodeDirectory(name), "run", "supervisord.json");
    process.kill(JSON.parse(readFileSync(record, "utf8")).pid, "SIGKILL");
    await eventually(() => processesOf(join(machine.state, "clusters", name)).length === 2);
    const run = await machine.must("local release", own);
    expect(run.stderr).toContain("what did not stop by itself was killed");
    expect(processesOf(join(machine.state, "clusters", name))).toEqual([]);
    expect(existsSync(join(machine.state, "clusters", name))).toBe(false);
  });

  test("takes the temporary files of programs with it, which others of the machine do not see", async () => {
    const name = "temporary";
    const own = { ...lease, cluster: name, nodes: [{ rank: 0, address: `${machine.network}.6` }] };
    await machine.must("local lease", own);
    const source = `
import http.server, sys, tempfile
tempfile.mkstemp(suffix=".kept")
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
`;
    const program = script("writer", source, { port: 7009, args: ["{{NODE_IP}}", "7009"] });
    const nodes = [{ ...own.nodes[0], rank: 0, programs: [program] }];
    await machine.must("local apply", { cluster: name, unit: "writer", nodes });
    const { temporary } = shortPathsOf(machine.nodeDirectory(name));
    expect(readdirSync(temporary)).toEqual([expect.stringMatching(/\.kept$/)]);
    expect(statSync(temporary).mode & 0o777).toBe(0o700);
    await machine.must("local release", own);
    expect(existsSync(temporary)).toBe(false);
  });

  test.each(["/s/node0", `/s/${"x".repeat(74)}`, `/s/${"x".repeat(75)}`, `/s/${"ü".repeat(60)}`])(
    "has a supervisor's socket whose path the kernel takes: %s",
    (path) => expect(Buffer.byteLength(shortPathsOf(path).socket)).toBeLessThanOrEqual(90),
  );

  test("of a cluster with a long directory name works, its socket being elsewhere", async () => {
    const name = `long-${"x".repeat(90)}`;
    const own = { ...lease, cluster: name, nodes: [{ rank: 0, address: `${machine.network}.5` }] };
    await machine.must("local lease", own);
    await machine.must("local lease", own);
    expect(existsSync(join(machine.nodeDirectory(name), "supervisor.sock"))).toBe(false);
    const { socket } = shortPathsOf(machine.nodeDirectory(name));
    expect(existsSync(socket)).toBe(true);
    await machine.must("local release", own);
    expect(existsSync(socket)).toBe(false);
  });
});

function listen(host: string, port: number): Promise<Server> {
  const listener = createServer();
  return new Promise((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(port, host, () => resolve(listener));
  });
}
