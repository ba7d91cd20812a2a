/** Two nodes: a deployment over both, encrypted between them, its credentials anew, and the loss of one. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proveRouting } from "../../cli/proof";
import { type Endpoint, type StreamedAnswer, sendStreams } from "../../dev/benchmarks/streams";
import { kill, processesOf } from "../../lib/processes";
import { CONTROL_PLANE_SECRETS, NODES_AUTHORITY } from "../../plan/programs/controlPlane";
import {
  certificateFrom,
  encryptedDoors,
  expectGuarded,
  knock,
  NEEDLES,
  overhear,
  sendPrompt,
} from "../encryption";
import { RUNTIME } from "../runtime";
import { eventually, TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    router: { mode: "kv" },
    cluster: { nodes: 2, gpusPerNode: 1 },
    // etcd stays up here, and the deployment is not ready until a lost worker's lease expires.
    controlPlane: { leaseTtlSeconds: 10 },
    // A limit only: programs stop as soon as the requests that they have are answered.
    timeouts: { stopSeconds: 90, dependencySeconds: 60 },
    pools: [
      { role: "prefill", replicas: 1 },
      { role: "decode", replicas: 1 },
    ],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name } = deployment;

/** Endpoint, metrics, etcd's own, NATS's monitor. */
const OPEN = [8000, 9100, 2380, 2381, 8222];
const doorsNow = () => encryptedDoors(machine.processes(), OPEN);

/** Tells etcd this node's address with a program's certificate, and asks for all: `runtime/registry.py`. */
function registered(program: string, rank: number): unknown {
  const tls = join(machine.nodeDirectory(name, rank), "run", program, "tls");
  const script = `import json, sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
from registry import Registry
registry = Registry(sys.argv[2])
print(json.dumps([registry.announce("other/0", "192.0.2.7"), registry.addresses()]))`;
  const env = {
    PATH: process.env["PATH"],
    DYNAMO_SKY_TLS_AUTHORITY: join(tls, "authority.pem"),
    DYNAMO_SKY_TLS_CERTIFICATE: join(tls, "certificate.pem"),
    DYNAMO_SKY_TLS_KEY: join(tls, "key.pem"),
  };
  const url = `https://${deployment.address(0)}:2379`;
  return JSON.parse(execFileSync("python3", ["-c", script, RUNTIME, url], { env, encoding: "utf8" }));
}

/** Sends short requests until it is stopped. */
class OneAfterTheOther {
  private isOver = false;
  private readonly answers: Promise<StreamedAnswer[]>;

  constructor(to: Endpoint) {
    this.answers = this.send(to);
  }

  stop(): Promise<StreamedAnswer[]> {
    this.isOver = true;
    return this.answers;
  }

  private async send(to: Endpoint): Promise<StreamedAnswer[]> {
    const answers: StreamedAnswer[] = [];
    while (!this.isOver || answers.at(-1)?.isWhole !== true) {
      answers.push(...(await sendStreams(to, { requests: 1, clients: 1, answerTokens: 4 })));
      // Whoever is refused does not ask again at once.
      if (answers.at(-1)?.isWhole !== true) await setTimeout(100);
    }
    return answers;
  }
}

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
    const doors = doorsNow();
    const programs = new Set(doors.map(({ program }) => program));
    expect([...programs].toSorted()).toEqual(["decode-0", "etcd", "frontend-0", "nats", "prefill-0"]);
    // Where the frontend takes answers: it binds an interface, not an address.
    const isAnswers = ({ program, host }: (typeof doors)[number]) =>
      program === "frontend-0" && ["127.0.0.1", "::1"].includes(host);
    expect(doors.filter(isAnswers)).not.toEqual([]);
    await expectGuarded(doors, deployment.credentials[NODES_AUTHORITY]);
  });

  test("say nothing to each other that a listener can read", async () => {
    const { endpoint, plan } = deployment;
    const addresses = [deployment.address(0), deployment.address(1)];
    const { seen, packets } = await overhear(addresses, NEEDLES, () =>
      sendPrompt({ endpoint, model: plan.model }),
    );
    expect(seen).toEqual({});
    for (const port of [9300, 4222]) expect(packets[port]).toBeGreaterThan(3);
  });

  test("keep keys for their user alone", () => {
    const directory = join(machine.nodeDirectory(name, 1), "run", "decode-0", "tls");
    expect(readdirSync(directory).toSorted()).toEqual(["authority.pem", "certificate.pem", "key.pem"]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, "key.pem")).mode & 0o777).toBe(0o600);
  });

  test("tell etcd their addresses with a certificate instead of a password", () => {
    expect(registered("decode-0", 1)).toEqual([true, { "other/0": "192.0.2.7" }]);
    expect(registered("decode-0", 1)).toEqual([false, { "other/0": "192.0.2.7" }]);
  });

  test("take new credentials all at once: what has begun ends whole, and who has the old ones is refused", async () => {
    const { endpoint: url, plan } = deployment;
    const to = { url, model: plan.model };
    const [old, streams] = [certificateFrom(deployment.credentials[NODES_AUTHORITY]), 20];
    let open = 0;
    const amount = { requests: streams, clients: streams, answerTokens: 400, onFirst: () => open++ };
    const answers = sendStreams(to, amount);
    await eventually(() => open === streams, 60);
    const meanwhile = new OneAfterTheOther(to);
    deployment.secrets = Object.fromEntries(
      CONTROL_PLANE_SECRETS.map((secret) => [secret, randomBytes(20).toString("hex")]),
    );
    await deployment.up();
    expect((await answers).filter(({ isWhole }) => !isWhole)).toEqual([]);
    const later = await meanwhile.stop();
    // Those that arrive in between are refused, by an error or no response: none is accepted and then lost.
    expect(later.filter(({ isWhole, status }) => !isWhole && status === 200)).toEqual([]);
    expect(later.at(-1)?.isWhole).toBe(true);
    const fresh = certificateFrom(deployment.secrets[NODES_AUTHORITY] ?? "");
    for (const door of doorsNow())
      expect([door.program, await knock(door, old), await knock(door, fresh)]).toEqual([
        door.program,
        "refused",
        "accepted",
      ]);
    const proof = await proveRouting({ endpoint: url, model: plan.model, logs: deployment.logs });
    expect(proof).toMatchObject({ cacheAware: true, disaggregated: true });
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
