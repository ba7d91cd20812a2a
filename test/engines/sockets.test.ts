/**
 * What a real engine's torch opens on one node, with the environment of the plan: the part of "What listens"
 * in docs/security.md that needs no GPU. The engine itself, NCCL among it, does.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { afterEach, describe, expect, test } from "vitest";
import { locateEngine } from "../../dev/engineEnvironments";
import { freePorts } from "../../dev/freePorts";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { programsOf } from "../../plan/types";
import { listeners } from "../sockets";
import { SERVICES } from "../unit/planShapes";

/** Two ranks on one node that have met, until their standard input ends. */
const MEETS = `
import sys, torch, torch.distributed as dist
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:%s" % sys.argv[2], rank=int(sys.argv[1]), world_size=2)
dist.all_reduce(torch.ones(1))
print("met", flush=True)
sys.stdin.read()
`;

describe.each(["sglang", "vllm"] as const)("on one node, what %s's torch opens", (engine) => {
  const started: ChildProcess[] = [];
  afterEach(() => {
    for (const child of started.splice(0)) child.kill("SIGKILL");
  });

  test("is its store at all addresses, and gloo on loopback by the plan's environment", async () => {
    const python = locateEngine(engine);
    if (python === undefined) throw new Error(`${engine} is not installed. Run: npm run test:engines`);
    const config = parseConfig({
      model: "Qwen/Qwen3-8B",
      engine,
      cluster: { nodes: 1, gpusPerNode: 2 },
      pools: [{ role: "aggregated", tensorParallel: 2 }],
    });
    const worker = programsOf(plan(config, SERVICES)).find(({ role }) => role === "aggregated");
    const planned = Object.entries(worker?.env ?? {}).filter(([, value]) => !value.includes("{{"));
    const port = (await freePorts()).ports.distInit;
    const met = [0, 1].map((rank) => {
      const env = { ...process.env, ...Object.fromEntries(planned) };
      const child = spawn(python, ["-c", MEETS, String(rank), String(port)], { env });
      started.push(child);
      return new Promise<void>((resolve, reject) => {
        let said = "";
        child.stderr.on("data", (text) => {
          said += String(text);
        });
        child.stdout.on("data", () => resolve());
        child.on("exit", () => reject(new Error(said)));
      });
    });
    await Promise.all(met);
    const open = listeners(started.map(({ pid }) => pid ?? 0));
    const ofStore = open.filter((socket) => socket.port === port).map(({ address }) => address);
    const others = open.filter((socket) => socket.port !== port).map(({ address }) => address);
    // As `OF_ENGINES` of test/sockets.ts and docs/security.md say.
    expect(
      ofStore.every((address) => ["::", "0.0.0.0"].includes(address)),
      ofStore.join(),
    ).toBe(true);
    expect(ofStore).not.toEqual([]);
    expect([...new Set(others)]).toEqual(["127.0.0.1"]);
  });
});
