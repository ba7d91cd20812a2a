/**
 * A whole deployment with etcd and NATS, disaggregated, with the KV-aware router: its function, and recovery
 * from failures.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proveRouting } from "../../cli/proof";
import { processesOf } from "../../lib/processes";
import { listeners, unlisted } from "../sockets";
import { eventually, TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    router: { mode: "kv" },
    pools: [
      { role: "prefill", replicas: 2 },
      { role: "decode", replicas: 2 },
    ],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name } = deployment;
const client = new OpenAI({ baseURL: `${deployment.endpoint}/v1`, apiKey: "none", maxRetries: 0 });
/** A worker's engine, a child of its launcher. */
function engineOf(program: string): number {
  const found = processesOf(machine.nodeDirectory(name)).filter(({ command }) => command === program);
  expect(found).toHaveLength(1);
  return found[0]?.pid ?? 0;
}
const messages = [{ role: "user" as const, content: "Say hello." }];

beforeAll(async () => {
  process.env["CANARY_OF_THE_SHELL"] = "must-not-reach-programs";
  await deployment.up();
});
afterAll(() => deployment.close());

describe("serving", () => {
  test("gives a whole answer", async () => {
    const answer = await client.chat.completions.create({
      model: deployment.plan.model,
      messages,
      max_tokens: 8,
    });
    expect(answer.choices[0]?.message.content).toMatch(/\S/);
    expect(answer.usage?.completion_tokens).toBe(8);
  });

  test("streams an answer in pieces", async () => {
    const stream = await client.chat.completions.create({
      model: deployment.plan.model,
      messages,
      max_tokens: 16,
      stream: true,
    });
    const pieces: string[] = [];
    for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? "");
    // Pieces of random tokens may be without text.
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join("")).toMatch(/\S/);
  });

  test("sends the second prompt with a prefix to the worker that holds it, and splits the two phases", async () => {
    const proof = await proveRouting({
      endpoint: deployment.endpoint,
      model: deployment.plan.model,
      logs: deployment.logs,
    });
    expect(proof).toMatchObject({ cacheAware: true, disaggregated: true });
    expect(proof.second.prefillWorker).toBe(proof.first.prefillWorker);
    expect(proof.second.prefillProgram).toMatch(/^prefill-[01]$/);
    expect(proof.second.decodeProgram).toMatch(/^decode-[01]$/);
    expect(proof.second.cachedBlocks).toBeGreaterThan(20);
    expect(proof.second.hitRate).toBeGreaterThan(0.8);
  });
});

describe("the node", () => {
  test("listens on what is on the written list, and on nothing else", () => {
    const found = listeners(machine.processes());
    expect(found.length).toBeGreaterThan(8);
    expect(unlisted(found, deployment.listenedNodes)).toEqual([]);
    expect(found.filter(({ address }) => !(address.startsWith("127.") || address === "::1"))).toEqual([]);
  });

  test("gives programs an environment of its own", async () => {
    const environment = readFileSync(`/proc/${engineOf("decode-0")}/environ`, "utf8").split("\0");
    expect(environment.filter((entry) => entry.includes("must-not-reach-programs"))).toEqual([]);
    expect(environment).toContain("HF_HUB_OFFLINE=1");
    expect(environment).toContain(`DYNAMO_SKY_PROGRAM=${machine.nodeDirectory(name)}/decode-0`);
  });

  test("says that everything runs", async () => {
    const states = await deployment.observe();
    expect(Object.keys(states).toSorted()).toEqual(deployment.units.map((unit) => unit.name).toSorted());
    expect(new Set(Object.values(states))).toEqual(new Set(["RUNNING"]));
  });
});

describe("changes", () => {
  test("applied again, nothing restarts", async () => {
    const before = await machine.pids(name);
    await machine.must("local lease", deployment.leaseSpec);
    await Promise.all(
      deployment.units.map((unit) => machine.must("local apply", deployment.programsSpec(unit))),
    );
    expect(await machine.pids(name)).toEqual(before);
  });

  test("only the changed program restarts", async () => {
    const before = await machine.pids(name);
    const spec = deployment.programsSpec(deployment.unit("decode-0"));
    const nodes = spec.nodes.map((node) => ({
      ...node,
      programs: node.programs.map((program) => ({ ...program, env: { ...program.env, CHANGED: "100%" } })),
    }));
    const { stderr } = await machine.must("local apply", { ...spec, nodes });
    expect(stderr).toContain("restarting decode-0");
    const { "decode-0": old, ...others } = before;
    const { "decode-0": changed, ...same } = await machine.pids(name);
    expect(same).toEqual(others);
    expect(changed).not.toBe(old);
    const environment = readFileSync(`/proc/${engineOf("decode-0")}/environ`, "utf8").split("\0");
    expect(environment).toContain("CHANGED=100%");
    await machine.must("ready", deployment.readySpec());
  });
});

describe("losses", () => {
  test("a killed worker is started again and serves", async () => {
    const before = await machine.pids(name);
    process.kill(engineOf("decode-1"), "SIGKILL");
    await eventually(async () => {
      const pid = (await machine.pids(name))["decode-1"];
      return pid !== undefined && pid > 0 && pid !== before["decode-1"];
    });
    // Healthy again; ready only when the dead one's lease has expired too, since requests are sent to it
    // until then.
    await machine.must("local apply", deployment.programsSpec(deployment.unit("decode-1")));
    await machine.must("ready", deployment.readySpec());
    const { "decode-1": _, ...same } = await machine.pids(name);
    expect(before).toMatchObject(same);
  });

  test("a killed etcd is started again, and nothing else notices", async () => {
    const before = await machine.pids(name);
    process.kill(before["etcd"] ?? 0, "SIGKILL");
    await eventually(async () => {
      const response = await fetch(`http://${machine.network}.1:2379/health`).catch(() => undefined);
      return response?.ok === true && (await machine.pids(name))["etcd"] !== before["etcd"];
    });
    await machine.must("ready", deployment.readySpec());
    const { etcd: _, ...same } = await machine.pids(name);
    expect(before).toMatchObject(same);
  });

  test("a killed supervisor is replaced, and what it left running does not stand in the way", async () => {
    const launchers = Object.values(await machine.pids(name));
    const programs = new Set(deployment.units.map((unit) => unit.name));
    const engines = processesOf(machine.state).filter(({ command }) => programs.has(command));
    const orphans = [...launchers, ...engines.map(({ pid }) => pid)];
    const supervisor = machine.processes().filter((pid) => !orphans.includes(pid));
    expect(supervisor).toHaveLength(1);
    process.kill(supervisor[0] ?? 0, "SIGKILL");
    await eventually(async () => !machine.processes().includes(supervisor[0] ?? 0));
    expect(await deployment.observe()).toMatchObject({ "decode-0": "MISSING" });
    await deployment.up();
    expect(machine.processes().filter((pid) => orphans.includes(pid))).toEqual([]);
  });
});

describe("readiness", () => {
  test("names what is missing when the time is over", async () => {
    const expectedWorkers = { ...deployment.plan.expectedWorkers, decode: 3 };
    const run = await machine.run("ready", deployment.readySpec({ expectedWorkers, timeoutSeconds: 2 }));
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(
      `The deployment at ${deployment.endpoint} was not ready within 2 s: waited for decode: 2 of 3 workers registered.`,
    );
    expect(run.stderr).toContain("logs/decode-0.log:");
    expect(run.stderr).toContain("logs/frontend-0.log:");
  });

  test("names the frontend when nothing answers", async () => {
    const endpoint = `http://${machine.network}.9:8000`;
    const run = await machine.run("ready", deployment.readySpec({ endpoint, timeoutSeconds: 1 }));
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/not ready within 1 s: waited for frontend: nothing listens there yet\./);
  });
});

describe("the end", () => {
  test("a removed unit takes leave, and the others stay", async () => {
    const before = await machine.pids(name);
    await machine.must("local remove", deployment.programsSpec(deployment.unit("decode-1")));
    const { "decode-1": _, ...rest } = before;
    expect(await machine.pids(name)).toEqual(rest);
    const expectedWorkers = { ...deployment.plan.expectedWorkers, decode: 1 };
    await machine.must("ready", deployment.readySpec({ expectedWorkers }));
  });

  test("release leaves no process, no port and no file, and succeeds again", async () => {
    const ports = listeners(machine.processes()).map(({ port }) => port);
    await machine.must("local release", deployment.leaseSpec);
    expect(machine.processes()).toEqual([]);
    expect(existsSync(machine.nodeDirectory(name))).toBe(false);
    expect(readdirSync(machine.state, { recursive: true })).toEqual(["clusters"]);
    const open = readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .filter((line) => line.includes(" 0A "))
      .map((line) => line.trim().split(/\s+/)[1] ?? "");
    const network = machine.network
      .split(".")
      .map((byte) => Number(byte).toString(16).padStart(2, "0").toUpperCase());
    expect(open.filter((address) => address.endsWith(network.toReversed().join("")))).toEqual([]);
    expect(ports.length).toBeGreaterThan(0);
    const again = await machine.must("local release", deployment.leaseSpec);
    expect(again.stderr).toContain("already gone");
  });
});
