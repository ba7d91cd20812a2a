/** Two nodes: a deployment over both, encrypted between them, and the loss of one. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proveRouting } from "../../cli/proof";
import { kill, processesOf } from "../../lib/processes";
import { NODES_AUTHORITY } from "../../plan/programs/controlPlane";
import { certificateFrom, knock, NEEDLES, overhear, sendPrompt } from "../encryption";
import { listeners } from "../sockets";
import { TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    router: { mode: "kv" },
    cluster: { nodes: 2, gpusPerNode: 1 },
    // etcd stays up here, and the deployment is not ready until a lost worker's lease expires.
    controlPlane: { leaseTtlSeconds: 10 },
    pools: [
      { role: "prefill", replicas: 1 },
      { role: "decode", replicas: 1 },
    ],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name } = deployment;

beforeAll(() => deployment.up());
afterAll(() => deployment.close());

describe("two nodes", () => {
  test("each run a supervisor and programs of their own, and serve together", async () => {
    const [first, second] = await Promise.all([machine.pids(name, 0), machine.pids(name, 1)]);
    expect(Object.keys(first).toSorted()).toEqual(["etcd", "frontend-0", "nats", "prefill-0"]);
    expect(Object.keys(second)).toEqual(["decode-0"]);
    const { endpoint, logs, plan } = deployment;
    const proof = await proveRouting({ endpoint, model: plan.model, logs });
    expect(proof).toMatchObject({ cacheAware: true, disaggregated: true });
  });

  test("let no peer in without a certificate of the deployment", async () => {
    const open = [8000, 9100, 2380, 2381, 8222]; // endpoint, metrics, etcd's own, NATS's monitor
    const doors = listeners(machine.processes())
      .filter(({ port }) => !open.includes(port))
      .map(({ address: host, port, program }) => {
        if (program === "etcd")
          return { program, host, port, greeting: "GET /version HTTP/1.1\r\nhost: x\r\n\r\n" };
        return program === "nats" ? { program, host, port, isNats: true } : { program, host, port };
      });
    const programs = new Set(doors.map(({ program }) => program));
    expect([...programs].toSorted()).toEqual(["decode-0", "etcd", "frontend-0", "nats", "prefill-0"]);
    // Where the frontend takes answers: it binds an interface, not an address.
    const isAnswers = ({ program, host }: (typeof doors)[number]) =>
      program === "frontend-0" && ["127.0.0.1", "::1"].includes(host);
    expect(doors.filter(isAnswers)).not.toEqual([]);
    const own = certificateFrom(deployment.credentials[NODES_AUTHORITY]);
    const foreign = certificateFrom("of another deployment, which has a secret too");
    for (const door of doors) {
      const told = await Promise.all([knock(door), knock(door, foreign), knock(door, own)]);
      expect([door.program, ...told]).toEqual([door.program, "refused", "refused", "accepted"]);
    }
  });

  test("say nothing to each other that a listener can read", async () => {
    const { endpoint, plan } = deployment;
    const addresses = [deployment.address(0), deployment.address(1)];
    const { seen, packets } = await overhear(addresses, NEEDLES, () => sendPrompt(endpoint, plan.model));
    expect(seen).toEqual({});
    for (const port of [9300, 4222]) expect(packets[port]).toBeGreaterThan(3);
  });

  test("keep keys for their user alone", () => {
    const directory = join(machine.nodeDirectory(name, 1), "run", "decode-0", "tls");
    expect(readdirSync(directory).toSorted()).toEqual(["authority.pem", "certificate.pem", "key.pem"]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, "key.pem")).mode & 0o777).toBe(0o600);
  });

  test("one is lost with all that ran on it, and made again while the other runs on", async () => {
    const before = await machine.pids(name, 0);
    for (const { pid } of processesOf(machine.nodeDirectory(name, 1))) kill(pid);
    expect(await deployment.observe()).toMatchObject({ "prefill-0": "RUNNING", "decode-0": "MISSING" });
    await deployment.up();
    expect(await machine.pids(name, 0)).toEqual(before);
    expect(await deployment.observe()).toMatchObject({ "prefill-0": "RUNNING", "decode-0": "RUNNING" });
  });

  test("leave nothing behind", async () => {
    await machine.must("local release", deployment.leaseSpec);
    expect(machine.processes()).toEqual([]);
  });
});
