/** Without etcd and NATS: discovery by files, KV events through the broker, aggregated workers. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proveRouting } from "../../cli/proof";
import { eventually } from "../eventually";
import { listeners, unlisted } from "../sockets";
import { TestDeployment } from "./support";

const deployment = new TestDeployment(
  { router: { mode: "kv" }, pools: [{ role: "aggregated", replicas: 3 }] },
  { discovery: "file", events: "zmq" },
);
const { machine, name } = deployment;

beforeAll(() => deployment.up());
afterAll(() => deployment.close());

describe("a deployment without etcd and NATS", () => {
  test("has neither", () => {
    expect(deployment.units.map((unit) => unit.name).toSorted()).toEqual([
      "aggregated-0",
      "aggregated-1",
      "aggregated-2",
      "events",
      "frontend-0",
    ]);
  });

  test("routes to the worker that holds the prefix", async () => {
    const { endpoint, logs } = deployment;
    const proof = await proveRouting({ endpoint, model: deployment.plan.model, logs });
    expect(proof).toMatchObject({ cacheAware: true, disaggregated: false });
    expect(proof.second.cachedBlocks).toBeGreaterThan(20);
    expect(proof.second.decodeProgram).toBe(proof.first.decodeProgram);
  });

  test("listens on loopback only", () => {
    const found = listeners(machine.processes());
    expect(found.length).toBeGreaterThan(6);
    expect(unlisted(found, deployment.listenedNodes)).toEqual([]);
    expect(found.filter(({ address }) => !(address.startsWith("127.") || address === "::1"))).toEqual([]);
  });

  test("routes by cache again after the broker was lost", async () => {
    const before = await machine.pids(name);
    process.kill(before["events"] ?? 0, "SIGKILL");
    await machine.must("local apply", deployment.programsSpec(deployment.unit("events")));
    const { events, ...rest } = await machine.pids(name);
    expect(events).not.toBe(before["events"]);
    expect(before).toMatchObject(rest);
    const { endpoint, logs } = deployment;
    const target = { endpoint, model: deployment.plan.model, logs };
    // Connections to the broker are restored one by one.
    await eventually(async () => (await proveRouting(target)).cacheAware, 60);
  });

  test("leaves nothing behind", async () => {
    await machine.must("local release", deployment.leaseSpec);
    expect(machine.processes()).toEqual([]);
  });
});
