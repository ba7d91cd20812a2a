/**
 * `bin/dynamo-sky status` and `bin/dynamo-sky logs` on a real deployment: their output matches what was done
 * to it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { command as askCommand } from "../../cli/commands/ask";
import { command as verifyCommand } from "../../cli/commands/verify";
import { smoke } from "../../cli/pipeline/smoke";
import { outputsIn } from "../../cli/pulumi/exported";
import { sendPrefixes } from "../../cli/verify/send";
import { summaryOf, topologyOf } from "../../components/topology";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { programLog } from "../../plan/node/paths";
import { FAILURES } from "../../sky/failureKinds";
import { exported, stackOutputs } from "../outputs";
import { toolWords } from "../tools";
import { eventually, TestDeployment } from "./support";

/** The stack that the verbs open: the outputs of the deployment below. */
const opened = vi.hoisted(() => ({ outputs: async (): Promise<Record<string, unknown>> => ({}) }));
vi.mock("../../cli/pulumi/openStack", () => ({ openStack: async () => opened }));

const root = packageRoot();
const KEY = `${"k".repeat(20)}0123456789abcdef`;
const REQUESTS = 6;

const deployment = new TestDeployment(
  {
    router: { mode: "kv" },
    pools: [{ role: "prefill" }, { role: "decode", replicas: 2 }],
    cluster: { nodes: 2, gpusPerNode: 2 },
    access: { gateway: true },
  },
  { discovery: "etcd", events: "nats" },
);
const state = join(deployment.machine.state, "stack.json");

/** Arguments of Node that run a tool on the deployment's state. */
const tool = (name: string, args: readonly string[]) => toolWords(name, ["--state", state, ...args]);
const options = () => ({
  cwd: root,
  encoding: "utf8" as const,
  env: { ...process.env, DYNAMO_SKY_STATE: deployment.machine.state },
});
const run = (name: string, ...args: readonly string[]) =>
  spawnSync(process.execPath, tool(name, args), options());

/** As `pulumi stack export` prints it. */
function writeState(file: string, topology: ReturnType<typeof topologyOf>): void {
  const { plan, endpoint } = deployment;
  const { model, engine } = plan;
  const summary = summaryOf(parseConfig({ target: "local", engine, model }), plan);
  const details = { engine, deployment: summary, topology };
  writeFileSync(file, JSON.stringify(exported(stackOutputs({ endpoint, model }, details))));
}

interface SeenProgram {
  readonly name: string;
  readonly state: string;
  readonly since: string | null;
  readonly restarts: number;
  readonly lastExit: { readonly how: string } | null;
}

interface Seen {
  readonly healthy: boolean;
  readonly problems: readonly string[];
  readonly roles: readonly { readonly role: string; readonly ready: number; readonly wanted: number }[];
  readonly requests: {
    readonly total: { readonly requests: number; readonly cacheHitRate: number | null };
  } | null;
  readonly clusters: readonly { readonly nodes: readonly { readonly programs: readonly SeenProgram[] }[] }[];
}

function status(): { readonly code: number | null; readonly seen: Seen } {
  const { status: code, stdout, stderr } = run("status", "--json", "--interval", "0.2");
  if (stdout === "") throw new Error(stderr);
  return { code, seen: JSON.parse(stdout) };
}

const programsOf = ({ clusters }: Seen) =>
  clusters.flatMap(({ nodes }) => nodes.flatMap(({ programs }) => programs));

beforeAll(async () => {
  deployment.secrets = { DYNAMO_SKY_API_KEY: KEY };
  await deployment.up({ apiKey: KEY });
  writeState(state, topologyOf(deployment.plan, [deployment.name]));
});
afterAll(() => deployment.close());

describe("status", () => {
  it("is healthy, and counts the requests that were really made", async () => {
    const before = status();
    expect(before.seen.problems).toEqual([]);
    expect(before.code).toBe(0);
    const target = { endpoint: deployment.endpoint, model: deployment.plan.model, apiKey: KEY, logs: {} };
    const groups = await sendPrefixes(target, { prefixes: 1, followUps: REQUESTS - 1 });
    expect(groups[0]?.requests).toHaveLength(REQUESTS);
    const { seen } = status();
    // Those, and the ones sent until the router knew the first.
    const made = (seen.requests?.total.requests ?? 0) - (before.seen.requests?.total.requests ?? 0);
    expect(made).toBeGreaterThan(REQUESTS);
    expect(made).toBeLessThan(REQUESTS + 20);
    expect(seen.requests?.total.cacheHitRate).toBeGreaterThan(0.4);
    expect(seen.roles).toEqual([
      { role: "prefill", ready: 1, wanted: 1 },
      { role: "decode", ready: 2, wanted: 2 },
    ]);
    const states = programsOf(seen).map(({ name, state }) => `${name} ${state}`);
    const names = deployment.cluster.nodes.flatMap(({ programs }) => programs.map(({ name }) => name));
    expect(states).toEqual(names.map((name) => `${name} running`));
    expect(names.toSorted()).toEqual([
      "decode-0",
      "decode-1",
      "etcd",
      "frontend-0",
      "frontend-1",
      "gateway",
      "nats",
      "prefill-0",
    ]);
  });

  it("fits 100 columns, without colours where there is no terminal", () => {
    const { stdout, status: code } = run("status", "--interval", "0.2");
    expect(code).toBe(0);
    expect(stdout.split("\n").every((line) => line.length <= 100)).toBe(true);
    expect(stdout).toContain("decode      2 of 2 ready");
    expect(stdout).not.toContain(String.fromCodePoint(27));
  });

  it("watches without a terminal as one object a line, until it is told to stop", async () => {
    const child = spawn(
      process.execPath,
      tool("status", ["--watch", "--json", "--interval", "0.2"]),
      options(),
    );
    const lines = linesOf(child);
    await eventually(() => lines.length >= 3);
    child.kill("SIGINT");
    await eventually(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(lines.slice(0, 3).map((line) => (JSON.parse(line) as Seen).healthy)).toEqual([true, true, true]);
  });

  it("shows a worker that is killed in a loop as crashing: how it ended, how often, and exit code 3", async () => {
    const rank = deployment.cluster.nodes.findIndex(({ programs }) =>
      programs.some(({ name }) => name === "decode-1"),
    );
    const pid = async () => (await deployment.machine.pids(deployment.name, rank))["decode-1"] ?? 0;
    for (let kill = 0; kill < 4; kill++) {
      const victim = await pid();
      process.kill(victim, "SIGKILL");
      await eventually(async () => {
        const next = await pid();
        return next !== 0 && next !== victim;
      });
    }
    const { code, seen } = status();
    expect(code).toBe(3);
    expect(seen.problems[0]).toMatch(
      /^decode-1 is crashing: started again \d+ times?, last with terminated by SIGKILL$/,
    );
    const found = programsOf(seen).find(({ name }) => name === "decode-1");
    expect(found).toMatchObject({ state: "crashing", lastExit: { how: "terminated by SIGKILL" } });
    expect(Date.now() - Date.parse(found?.since ?? "")).toBeLessThan(120_000);
  });
});

function linesOf({ stdout }: ChildProcess): string[] {
  const lines: string[] = [];
  let rest = "";
  stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  return lines;
}

interface LogLine {
  readonly time: string | null;
  readonly program: string;
  readonly role: string;
  readonly node: number;
  readonly line: string;
}
const parsed = (lines: readonly string[]) => lines.filter(Boolean).map((line) => JSON.parse(line) as LogLine);

describe("logs", () => {
  it("are those of all programs of both nodes, in order of time", () => {
    const { stdout, stderr, status: code } = run("logs", "--json", "--tail", "50");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = parsed(stdout.split("\n"));
    const programs = deployment.cluster.nodes.flatMap((node) => node.programs.map(({ name }) => name));
    expect(new Set(lines.map(({ program }) => program))).toEqual(new Set(programs));
    expect(new Set(lines.map(({ node }) => node))).toEqual(new Set([0, 1]));
    const times = lines.flatMap(({ time }) => time ?? []);
    expect(times.length).toBe(lines.length);
    expect(times).toEqual(times.toSorted());
  });

  it("are those of a role only, with the program in front", () => {
    const { stdout } = run("logs", "--role", "decode", "--tail", "2");
    const lines = stdout.trim().split("\n");
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).toMatch(/^decode-[01] │ /);
  });

  it("are followed over rotation, without the deployment's secrets", async () => {
    const file = join(deployment.machine.nodeDirectory(deployment.name), programLog("gateway"));
    const args = ["--follow", "--role", "gateway", "--json", "--tail", "0"];
    const child = spawn(process.execPath, tool("logs", args), options());
    const lines = linesOf(child);
    const has = (text: string) => eventually(() => lines.some((line) => line.includes(text)));
    try {
      // Following starts at an unknown time; so lines are written until one arrives.
      await eventually(() => {
        appendFileSync(file, "2026-01-01T00:00:00Z before\n");
        return lines.length > 0;
      });
      appendFileSync(file, `2026-01-01T00:00:01Z a careless line with ${KEY}\nand a line without a time\n`);
      await has("careless");
      // Rotation like supervisor's: the file is renamed, and a new one created.
      renameSync(file, `${file}.1`);
      writeFileSync(file, "2026-01-01T00:00:02Z after the rotation\n");
      await has("after the rotation");
    } finally {
      child.kill("SIGINT");
    }
    await eventually(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    const followed = parsed(lines).filter(({ line }) => !line.endsWith("before"));
    expect(followed.map(({ line }) => line)).toEqual([
      "2026-01-01T00:00:01Z a careless line with [secret]",
      "and a line without a time",
      "2026-01-01T00:00:02Z after the rotation",
    ]);
    expect(followed[1]?.time).toBe("2026-01-01T00:00:01.000Z");
  });

  it("end with the cause that they name and what to do, and so does a request that fails", async () => {
    const file = deployment.logs["decode-0"]?.[0] ?? "";
    const line = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.";
    appendFileSync(file, `${line}\n`);
    const { title, advice } = FAILURES.memory;
    const told = `${title}: decode-0 says: ${line.replace(/^\S+ /, "")}\nNext: ${advice}`;
    const { status: code, stderr } = run("logs");
    expect({ code, stderr }).toEqual({ code: 0, stderr: `\n${told}\n` });
    expect(run("logs", "--role", "etcd").stderr).toBe("");

    // Nobody listens there, so that every request fails.
    const broken = { ...outputsIn(JSON.parse(readFileSync(state, "utf8"))), endpoint: "http://127.0.0.1:9" };
    opened.outputs = async () => broken;
    vi.stubEnv("DYNAMO_SKY_STATE", deployment.machine.state);
    try {
      const words = ["--stack", "dev"];
      for (const command of [askCommand, verifyCommand])
        await expect(command.parseAsync(words, { from: "user" }), command.name()).rejects.toThrow(
          `\n${told}`,
        );
      const stack: unknown = { ...opened, stack: "dev" };
      const report = await smoke({ stack, signal: AbortSignal.timeout(60_000) } as Parameters<
        typeof smoke
      >[0]);
      expect(report.json).toMatchObject({ ok: false, failure: expect.stringContaining(`\n${told}`) });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("name a node that is gone, with exit code 1, and still show the others", () => {
    const topology = topologyOf(deployment.plan, [deployment.name]).map((cluster) => ({
      ...cluster,
      nodes: cluster.nodes.map((node) => (node.rank === 1 ? { ...node, rank: 7 } : node)),
    }));
    const file = join(deployment.machine.state, "gone.json");
    writeState(file, topology);
    const args = toolWords("logs", ["--state", file, "--tail", "1"]);
    const { status: code, stdout, stderr } = spawnSync(process.execPath, args, options());
    expect(code).toBe(1);
    expect(stderr).toContain("node 7 of test-main-abc123: there is no such node any more");
    expect(stdout).toContain("etcd");
  });
});
