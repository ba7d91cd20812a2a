/** The driver with a node on this machine and small programs: its input, its end, its output. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalLeaseSpec, LocalProgramsSpec } from "../../local/spec";
import type { ProgramPlan } from "../../plan/types";
import { script } from "./programs";
import { eventually, Machine } from "./support";

const machine = new Machine();
const cluster = "driven";
const address = `${machine.network}.1`;

const lease: LocalLeaseSpec = { cluster, services: false, nodes: [{ rank: 0, address }], secrets: {} };

function unit(name: string, programs: ProgramPlan[], timeoutSeconds: number): LocalProgramsSpec {
  return { cluster, unit: name, nodes: [{ rank: 0, address, programs }], timeoutSeconds };
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

beforeAll(() => machine.must("local lease", lease));
afterAll(() => machine.close());

describe("the driver", () => {
  test("names every mistake of its input, and quotes none of it", async () => {
    const run = await machine.run("local lease", {
      cluster: "../etc",
      nodes: [{ rank: -1, address: "10.0.0.1" }],
      secrets: { A: 5 },
    });
    expect(run.code).toBe(2);
    expect(run.stderr.split("\n").slice(0, 5)).toEqual([
      "The input of 'dynamo-sky local lease' is not valid:",
      "  cluster: must consist of lower-case letters, digits and single hyphens",
      expect.stringMatching(/^ {2}nodes\.0\.rank: /),
      "  nodes.0.address: must be a loopback address (127.x.y.z)",
      expect.stringMatching(/^ {2}secrets\.A: /),
    ]);
    const broken = await machine.run("local lease", '{"secret": "s3cr3t');
    expect(broken).toMatchObject({ code: 2, stderr: expect.not.stringContaining("s3cr3t") });
    const internal = await machine.run("local fly", {});
    expect(internal).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("'local fly' is none of the commands that Pulumi's resources run"),
    });
    const other = await machine.run("fly away", {});
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining("unknown command 'fly'") });
  });

  test("stops when the process that started it is gone", async () => {
    const spec = JSON.stringify(
      unit("orphan", [script("orphan", "import time; time.sleep(600)", { port: 7009 })], 100),
    );
    const bin = join(__dirname, "..", "..", "bin", "dynamo-sky");
    // A shell gives its background jobs an empty standard input, hence the other descriptor.
    const shellScript = `exec 3<<'END'\n${spec}\nEND\n"$DRIVER" local apply <&3 & echo $!; wait`;
    const parent = spawn("/bin/sh", ["-c", shellScript], {
      env: { ...process.env, DYNAMO_SKY_STATE: machine.state, DRIVER: bin },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const driver = Number(
      await new Promise<string>((resolve) => parent.stdout.once("data", (data) => resolve(String(data)))),
    );
    await eventually(async () => (await machine.pids(cluster))["orphan"] !== undefined);
    expect(isAlive(driver)).toBe(true);
    parent.kill("SIGKILL");
    await eventually(() => !isAlive(driver), 5);
    await machine.must("local remove", JSON.parse(spec));
  });

  test("ends on SIGTERM with a message, and does not hold its output open", async () => {
    const spec = unit("slow", [script("slow", "import time; time.sleep(600)", { port: 7011 })], 100);
    const child = spawn(join(__dirname, "..", "..", "bin", "dynamo-sky"), ["local", "apply"], {
      env: { ...process.env, DYNAMO_SKY_STATE: machine.state },
      stdio: "pipe",
    });
    child.stdin.end(JSON.stringify(spec));
    const output: string[] = [];
    child.stderr.on("data", (data) => output.push(String(data)));
    await eventually(() => output.join("").includes("waiting for slow"));
    child.kill("SIGTERM");
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    expect(code).toBe(1);
    expect(output.join("")).toContain("Stopped by SIGTERM.");
    await machine.must("local remove", spec);
  });

  test("cuts long lines of logs and drops control characters", async () => {
    const source =
      "import sys; sys.stdout.write('\\x1b[31mred\\x1b[0m ' + 'x' * 70000 + '\\n'); sys.stdout.write('a\\rb\\n'); sys.exit(1)";
    const run = await machine.run("local apply", unit("noisy", [script("noisy", source, { port: 7012 })], 2));
    expect(run.code).toBe(1);
    const lines = run.stderr.split("\n");
    expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBeLessThan(1024);
    expect(run.stderr).not.toMatch(/(?!\n)\p{Cc}/u);
    await machine.must("local remove", unit("noisy", [], 2));
  });
});
