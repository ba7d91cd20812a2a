/**
 * A recipe's only node as started by SkyPilot, but without SkyPilot: the script of its `run`, in its own
 * home, with real Dynamo, etcd, NATS and nginx. Listening sockets, authentication, and key rotation.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { freePorts } from "../../dev/freePorts";
import { askNode } from "../../lib/agent";
import { callHttp } from "../../lib/http";
import { kill, processesOf } from "../../lib/processes";
import { fingerprintOf } from "../../lib/tls/served";
import { nodeEnvironment } from "../../local/toolchain";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { API_KEYS, READ_AGAIN } from "../../plan/programs/gateway";
import type { NodePlan } from "../../plan/types";
import { eventually } from "../eventually";
import { removeShortPaths } from "../nodes";
import { RUNTIME, textOfTask } from "../runtime";
import { listeners, unlisted } from "../sockets";
import { toolchainWith } from "./toolchain";

const MODEL = "Qwen/Qwen3-8B";
const CLUSTER = "one-node";
const MINUTE = 60_000;

/** The machine's address for others; without a network, any address except the private loopback one. */
const ADDRESS =
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal)?.address ?? "127.0.0.2";

describe("the only node of a recipe", { timeout: 4 * MINUTE }, () => {
  const home = mkdtempSync(join(tmpdir(), "one-node-"));
  const access = (file: string) => readFileSync(join(home, ".dynamo-sky", "access", file), "utf8");
  let node: NodePlan | undefined;
  let port = 0;
  let running: ChildProcess;
  /** Runs the command of a task, in a job of Slurm. */
  let start: (run: string, allocation: string) => void;
  let log = "";

  const models = async (key: string, host = ADDRESS): Promise<number> => {
    const { status } = await callHttp(`https://${host}:${port}/v1/models`, {
      headers: { authorization: `Bearer ${key}` },
      fingerprint: fingerprintOf(access("certificate.pem")),
      timeoutMs: 10_000,
      signal: new AbortController().signal,
    });
    return status;
  };
  const answers = async (): Promise<boolean> => {
    const { text } = await callHttp(`https://${ADDRESS}:${port}/v1/chat/completions`, {
      body: { model: MODEL, messages: [{ role: "user", content: "Hello?" }], max_tokens: 8 },
      headers: { authorization: `Bearer ${access("api-key")}` },
      fingerprint: fingerprintOf(access("certificate.pem")),
      timeoutMs: 20_000,
      signal: new AbortController().signal,
    });
    return /"completion_tokens":\s*[1-9]/.test(text);
  };

  beforeAll(async () => {
    const tools = await toolchainWith({ services: true, gateway: true, model: MODEL });
    const ports = await freePorts();
    ({ port } = ports.frontend);
    const config = parseConfig({
      model: MODEL,
      engine: "mocker",
      cluster: { nodes: 1 },
      pools: [
        { role: "prefill", tensorParallel: 4 },
        { role: "decode", tensorParallel: 4 },
      ],
      ...ports,
    });
    const { clusters } = plan(config, { discovery: "etcd", events: "nats" });
    const [cluster] = clusters;
    if (cluster === undefined) throw new Error("no cluster");
    [node] = cluster.nodes;
    const task: { readonly run: string } = parse(
      textOfTask({ cluster, config, endpointPort: port, standalone: true }),
    );
    // The result of SkyPilot and the task's set-up: the files of nodes, and the interpreter that has Dynamo.
    cpSync(RUNTIME, join(home, ".dynamo-sky", "runtime"), { recursive: true });
    const bin = join(home, ".dynamo-sky", "bin");
    mkdirSync(bin, { recursive: true });
    const wrapper = `#!/bin/sh\nexec "${tools.pythonBin}" "$@"\n`;
    writeFileSync(join(bin, "node-python"), wrapper, { mode: 0o755 });
    start = (run, allocation) => {
      running = spawn("bash", ["-c", run], {
        env: {
          ...nodeEnvironment(tools),
          HOME: home,
          MODEL,
          SKYPILOT_NODE_RANK: "0",
          SKYPILOT_NODE_IPS: ADDRESS,
          SKYPILOT_CLUSTER_INFO: JSON.stringify({ cluster_name: CLUSTER }),
          SLURM_JOB_ID: allocation,
        },
        stdio: ["ignore", "pipe", "pipe"],
      });
      for (const stream of [running.stdout, running.stderr])
        stream?.setEncoding("utf8").on("data", (text: string) => {
          log += text;
        });
    };
    start(task.run, "7");
  }, 10 * MINUTE);

  const end = () => {
    running?.kill();
    return eventually(() => processesOf(home).length === 0);
  };

  afterAll(async () => {
    await end().catch(() => undefined);
    for (const { pid } of processesOf(home)) kill(pid);
    removeShortPaths([join(home, ".dynamo-sky", "node0")]);
    rmSync(home, { recursive: true, force: true });
  }, MINUTE);

  test("answers who has the key that it has made, and shows the certificate", async () => {
    await eventually(answers, 150).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${log.slice(-4000)}`);
    });
    expect(await models("wrong")).toBe(401);
    expect(log).toContain(`ssh ${CLUSTER} cat ${join(home, ".dynamo-sky", "access", "api-key")}`);
    expect(log).not.toContain(access("api-key"));
  });

  test("lets nobody from elsewhere reach anything but the gateway", () => {
    if (node === undefined) throw new Error("no node");
    const found = listeners(processesOf(home).map(({ pid }) => pid));
    expect(unlisted(found, [{ node, address: ADDRESS, target: "sky", isOnly: true }])).toEqual([]);
    const open = found.filter(({ address }) => !["127.0.0.1", "::1"].includes(address));
    expect(new Set(open.map((socket) => socket.port))).toEqual(new Set([port]));
    // All of them were checked.
    expect(found.length).toBeGreaterThan(node.programs.length);
  });

  test("accepts keys that it is handed while it runs", async () => {
    const former = access("api-key");
    const next = "n".repeat(40);
    const secrets = { [API_KEYS]: `next:${next},default:${former}@2040-01-01T00:00:00Z` };
    const gateway = processesOf(home).find(({ command }) => command.includes("gateway"))?.pid;
    const shell = {
      command: "python3",
      args: (words: readonly string[]) => words,
      directory: "~/.dynamo-sky/node0",
      sky: { cluster: CLUSTER, rank: 0 },
    };
    const present = JSON.parse(readFileSync(join(home, ".dynamo-sky", "node0", "secrets.json"), "utf8"));
    const answers: unknown[] = [];
    const request = { secrets: { values: { ...present, ...secrets }, reread: READ_AGAIN } };
    await askNode(shell, request, (answer) => answers.push(answer), new AbortController().signal);
    expect(answers).toEqual([{ line: expect.stringContaining("nothing is started anew") }, { done: true }]);
    await eventually(async () => (await models(next)) === 200);
    expect(await models(former, "127.0.0.1")).toBe(200);
    expect(processesOf(home).find(({ command }) => command.includes("gateway"))?.pid).toBe(gateway);
  });

  test("comes back with the plan and the keys that it was given last, and another cluster without", async () => {
    const keep = `exec ~/.dynamo-sky/bin/node-python ~/.dynamo-sky/runtime/start.py --keep`;
    const units = () => readdirSync(join(home, ".dynamo-sky", "node0", "units"));
    const supervisor = () => processesOf(home).some(({ command }) => command.includes("supervisor"));
    await end();
    start(keep, "7");
    await eventually(async () => (await models("n".repeat(40))) === 200, 150);
    await end();
    expect(units()).toContain("decode-0");
    start(keep, "8");
    await eventually(supervisor);
    expect(units()).toEqual([]);
    expect(existsSync(join(home, ".dynamo-sky", "node0", "secrets.json"))).toBe(false);
  });
});
