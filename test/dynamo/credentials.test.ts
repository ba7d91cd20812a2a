/** etcd and NATS of a running deployment: authentication, and their passwords. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ETCD_PASSWORD, ETCD_ROOT_PASSWORD, ETCD_USER, NATS_TOKEN } from "../../plan/programs/controlPlane";
import {
  askEtcd,
  base64,
  DYNAMO_KEYS,
  ETCD_REFUSAL,
  etcdKeys,
  greetNats,
  NATS_REFUSAL,
} from "../controlPlane";
import { NEEDLES, overhear, sendPrompt } from "../encryption";
import { eventually, TestDeployment } from "./support";

const deployment = new TestDeployment(
  { pools: [{ role: "aggregated" }], router: { mode: "kv" }, controlPlane: { leaseTtlSeconds: 10 } },
  { discovery: "etcd", events: "nats" },
);
const { machine, name, credentials } = deployment;
const portOf = (program: string, purpose: string) => {
  const found = deployment.unit(program).nodes[0]?.programs[0]?.ports[purpose];
  if (found === undefined) throw new Error(`${program} has no port ${purpose}`);
  return found;
};
const { hostname: host } = new URL(deployment.endpoint);

beforeAll(() => deployment.up());
afterAll(() => deployment.close());

const etcd = (path: string, body: unknown, token?: string) =>
  askEtcd(`${host}:${portOf("etcd", "client")}`, path, body, token);
const nats = (options: Readonly<Record<string, unknown>>) =>
  greetNats(host, portOf("nats", "client"), options);
const logIn = (user: string, password: string) => etcd("auth/authenticate", { name: user, password });
/** The lease of one of Dynamo's registered processes. */
const leaseOfDynamo = async () => {
  const { token } = await logIn(ETCD_USER, credentials[ETCD_PASSWORD]);
  const lease = (await etcd("kv/range", DYNAMO_KEYS, token)).kvs?.find((kv) => kv.lease !== undefined)?.lease;
  if (lease === undefined) throw new Error("nothing is registered under a lease");
  return lease;
};

test("on one node nothing is encrypted, and a listener on it reads all", async () => {
  // Answers go to whatever address the interface `lo` has first.
  const { seen } = await overhear([host, "127.0.0.1"], NEEDLES, () =>
    sendPrompt({ endpoint: deployment.endpoint, model: deployment.plan.model }),
  );
  expect(Object.keys(seen).toSorted()).toEqual(["answer", "events", "prompt"]);
  expect(seen["prompt"]).toContain(portOf("aggregated-0", "rpc"));
});

describe("etcd", () => {
  test("refuses who has no password, to read, to write and to make users", async () => {
    const attempts = [
      etcd("kv/range", DYNAMO_KEYS),
      etcd("kv/put", { key: base64("v1/intruder"), value: base64("x") }),
      etcd("kv/deleterange", DYNAMO_KEYS),
      etcd("lease/revoke", { ID: await leaseOfDynamo() }),
      etcd("cluster/member/add", { peerURLs: ["http://127.0.0.1:1"] }),
      etcd("maintenance/snapshot", {}),
      etcd("maintenance/defragment", {}),
      etcd("auth/user/add", { name: "intruder", password: "x" }),
      etcd("auth/disable", {}),
    ];
    for (const answer of await Promise.all(attempts)) expect(JSON.stringify(answer)).toMatch(ETCD_REFUSAL);
  });

  test.each([
    ["a wrong password", ETCD_USER, () => "wrong"],
    ["the password of the administrator", ETCD_USER, () => credentials[ETCD_ROOT_PASSWORD]],
    ["the administrator's name", "root", () => credentials[ETCD_PASSWORD]],
    ["an unknown name", "nobody", () => credentials[ETCD_PASSWORD]],
  ])("refuses %s", async (_what, user, password) => {
    const answer = await logIn(user, password());
    expect(answer.token).toBeUndefined();
    expect(answer.message ?? answer.error).toContain("authentication failed");
  });

  test("refuses a token that somebody else has signed", async () => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${part({ alg: "none", typ: "JWT" })}.${part({ username: "root", revision: 1 })}.`;
    expect((await etcd("kv/range", DYNAMO_KEYS, unsigned)).error).toMatch(/invalid auth token/);
  });

  test("lets Dynamo's user at Dynamo's keys, and at nothing else", async () => {
    const { token } = await logIn(ETCD_USER, credentials[ETCD_PASSWORD]);
    expect((await etcd("kv/range", DYNAMO_KEYS, token)).kvs?.length).toBeGreaterThan(1);
    for (const attempt of [
      etcd("kv/range", etcdKeys("a", "b"), token),
      etcd("kv/put", { key: base64("other/key"), value: base64("x") }, token),
      etcd("auth/user/add", { name: "intruder", password: "x" }, token),
    ])
      expect((await attempt).error).toMatch(/permission denied/);
    // All keys written by the deployment are below that prefix.
    const root = await logIn("root", credentials[ETCD_ROOT_PASSWORD]);
    const all = await etcd("kv/range", { key: base64("\0"), range_end: base64("\0") }, root.token);
    const names = (all.kvs ?? []).map(({ key }) => Buffer.from(key, "base64").toString());
    expect(names.filter((key) => !key.startsWith("v1/"))).toEqual([]);
  });

  test("is asked for its health without one", async () => {
    const health = await fetch(`http://${host}:${portOf("etcd", "client")}/health`);
    expect(await health.json()).toMatchObject({ health: "true" });
  });
});

describe("NATS", () => {
  test.each([
    ["no token", {}],
    ["a wrong token", { auth_token: "wrong" }],
    ["a name and a password", { user: "dynamo", pass: credentials[ETCD_PASSWORD] }],
  ])("refuses %s", async (_what, options) => {
    expect(await nats(options)).toBe(NATS_REFUSAL);
  });

  test("lets in who has it", async () => {
    expect(await nats({ auth_token: credentials[NATS_TOKEN] })).toBe("PONG");
  });
});

describe("passwords", () => {
  const answers = async () => {
    const body = {
      model: deployment.plan.model,
      messages: [{ role: "user", content: "Hello?" }],
      max_tokens: 4,
    };
    const sent = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    return (await fetch(`${deployment.endpoint}/v1/chat/completions`, sent)).status;
  };
  const killed = async (program: string) => {
    const before = (await machine.pids(name))[program] ?? 0;
    process.kill(before, "SIGKILL");
    await eventually(async () => ![0, before].includes((await machine.pids(name))[program] ?? 0));
  };

  test("are still asked for after etcd and NATS were lost, and Dynamo's processes come back by themselves", async () => {
    const { etcd: _etcd, nats: _nats, ...before } = await machine.pids(name);
    await killed("etcd");
    await killed("nats");
    await machine.must("local apply", deployment.programsSpec(deployment.unit("etcd")));
    await machine.must("local apply", deployment.programsSpec(deployment.unit("nats")));
    expect((await etcd("kv/range", DYNAMO_KEYS)).error).toMatch(/user name is empty|invalid auth token/);
    expect(await nats({})).toContain("Authorization Violation");
    await machine.must("ready", deployment.readySpec());
    // Longer than a lease: a process that could not renew it would be gone.
    const { token } = await logIn(ETCD_USER, credentials[ETCD_PASSWORD]);
    const registered = async () =>
      ((await etcd("kv/range", DYNAMO_KEYS, token)).kvs ?? []).map(({ key }) => key).toSorted();
    const first = await registered();
    expect(first.length).toBeGreaterThan(1);
    const since = Date.now();
    await eventually(() => Date.now() - since > 12_000, 20);
    expect(await registered()).toEqual(first);
    expect(await machine.pids(name)).toMatchObject(before);
    expect(await answers()).toBe(200);
  });

  test("change, and the former ones are refused", async () => {
    const former = { ...credentials };
    deployment.secrets = {
      [ETCD_PASSWORD]: "another-password",
      [ETCD_ROOT_PASSWORD]: "another-root",
      [NATS_TOKEN]: "1another-token",
    };
    await deployment.up();
    expect((await logIn(ETCD_USER, former[ETCD_PASSWORD])).token).toBeUndefined();
    expect((await logIn(ETCD_USER, "another-password")).token).toBeDefined();
    expect(await nats({ auth_token: former[NATS_TOKEN] })).toContain("Authorization Violation");
    expect(await nats({ auth_token: "1another-token" })).toBe("PONG");
    expect(await answers()).toBe(200);
  });

  test("are not in the environment of etcd and NATS, nor in any log", async () => {
    const pids = await machine.pids(name);
    for (const program of ["etcd", "nats"])
      expect(readFileSync(`/proc/${pids[program]}/environ`, "utf8")).not.toContain("another-");
    for (const files of Object.values(deployment.logs))
      for (const file of files) expect(readFileSync(file, "utf8")).not.toContain("another-");
    const setup = join(machine.nodeDirectory(name), "logs", "etcd-setup.log");
    expect(readFileSync(setup, "utf8")).not.toContain("another-");
  });

  test("are asked for although the data were written before there were any", async () => {
    await machine.must("local remove", deployment.programsSpec(deployment.unit("etcd")));
    rmSync(join(machine.nodeDirectory(name), "etcd"), { recursive: true });
    await deployment.up();
    expect((await etcd("kv/range", DYNAMO_KEYS)).error).toMatch(/user name is empty|invalid auth token/);
  });
});
