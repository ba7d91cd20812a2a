/** The gateway: real nginx in front of two real frontends. Authentication, and where the keys are. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTime } from "../../lib/processes";
import { API_KEYS } from "../../plan/programs/gateway";
import { listeners, unlisted } from "../sockets";
import { bearer, gatewayClients } from "./gatewayClients";
import { eventually, TestDeployment } from "./support";

const LIMIT_PER_SECOND = 50;
const BURST = 100;
const deployment = new TestDeployment(
  {
    access: {
      gateway: true,
      maxRequestMB: 1,
      requestsPerSecond: LIMIT_PER_SECOND,
      burst: BURST,
      connectionsPerKey: 20,
    },
    frontend: { replicas: 2 },
    router: { mode: "round-robin" },
    pools: [{ role: "aggregated", replicas: 2 }],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name, endpoint } = deployment;
const { model } = deployment.plan;
const newKey = () => randomBytes(24).toString("hex");
const key = newKey();
const noise = newKey();
const old = newKey();
const wrong = newKey();

const { chat, clientWith, statusOf, post, rawGet } = gatewayClients({ endpoint, model });

beforeAll(async () => {
  deployment.secrets = { [API_KEYS]: `default:${key},noise:${noise}` };
  await deployment.up({ apiKey: key });
});
afterAll(() => deployment.close());

describe("who has a key", () => {
  test("gets a whole answer", async () => {
    const answer = await clientWith(key).chat.completions.create(chat);
    expect(answer.usage?.completion_tokens).toBe(8);
  });

  test("gets a streamed answer in pieces, as they come", async () => {
    const stream = await clientWith(key).chat.completions.create({ ...chat, max_tokens: 200, stream: true });
    const times: number[] = [];
    let text = "";
    for await (const chunk of stream) {
      times.push(performance.now());
      text += chunk.choices[0]?.delta.content ?? "";
    }
    expect(text).toMatch(/\S/);
    expect(times.length).toBeGreaterThan(8);
    expect(new Set(times.map((time) => Math.round(time / 5))).size).toBeGreaterThan(4);
  });

  test("is told in OpenAI's shape that there is no such model", async () => {
    const answer = await post(bearer(key), JSON.stringify({ ...chat, model: "nobody/has-this" }));
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { param: "model", code: "model_not_found" } });
    await expect(
      clientWith(key).chat.completions.create({ ...chat, model: "nobody/has-this" }),
    ).rejects.toThrow(OpenAI.NotFoundError);
  });

  test("sees Dynamo's own words where it has some", async () => {
    const answer = await post(bearer(key), JSON.stringify({ ...chat, temperature: 99 }));
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("emperature");
    // Not OpenAI's shape, but its client reads it.
    await expect(clientWith(key).chat.completions.create({ ...chat, temperature: 99 })).rejects.toThrow(
      /^400 .*emperature/,
    );
  });

  test.each([
    ["405", "GET", "/v1/chat/completions", {}, 405, "method_not_allowed"],
    ["415", "POST", "/v1/chat/completions", { "content-type": "text/plain" }, 415, "unsupported_media_type"],
    ["404 of an address", "GET", "/v1/nothing", {}, 404, "model_not_found"],
    ["404 of a task that the model has not", "POST", "/v1/classify", {}, 404, "model_not_found"],
    ["431", "GET", "/v1/models", { "x-long": "x".repeat(20_000) }, 431, "headers_too_large"],
  ])("is told in OpenAI's shape: %s", async (_title, method, path, headers, status, code) => {
    const answer = await fetch(`${endpoint}${path}`, {
      method,
      headers: { "content-type": "application/json", ...bearer(key), ...headers },
      ...(method === "POST" ? { body: JSON.stringify(chat) } : {}),
    });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { type: "invalid_request_error", code } });
  });

  test.each(["/metrics", "/health/", "/live", "/busy_threshold", "/openapi.json", "/docs", "/", "/v1"])(
    "does not get at %s",
    async (path) => {
      expect(await statusOf(path, bearer(key))).toBe(404);
      expect(await statusOf(path)).toBe(401);
    },
  );

  test.each(["/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "//metrics", "/v1/./../metrics"])(
    "does not get at the metrics by %s",
    async (path) => {
      const answer = await rawGet(path, bearer(key));
      expect(answer.status).toBe(404);
      expect(answer.body).not.toContain("dynamo_");
    },
  );

  test("may not send more than the limit", async () => {
    const body = (length: number) =>
      JSON.stringify({ ...chat, model: "nobody/has-this", user: "x".repeat(length) });
    const answer = await post(bearer(key), body(1_100_000));
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: { code: "request_too_large" } });
    expect((await post(bearer(key), body(900_000))).status).toBe(404);
  });

  test("may not ask too fast, and others are not held up by it", async () => {
    const noisy = Array.from({ length: 2 * (BURST + LIMIT_PER_SECOND) }, () =>
      statusOf("/v1/models", bearer(noise)),
    );
    const statuses = await Promise.all(noisy);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(20);
    expect(await statusOf("/v1/models", bearer(key))).toBe(200);
    await eventually(async () => (await statusOf("/v1/models", bearer(noise))) === 200);
  });

  test("is told in OpenAI's words when it was too fast", async () => {
    const client = clientWith(noise);
    const calls = Array.from({ length: 300 }, () =>
      client.models.list().then(
        () => undefined,
        (error) => error,
      ),
    );
    const errors = (await Promise.all(calls)).filter((error) => error !== undefined);
    expect(errors[0]).toBeInstanceOf(OpenAI.RateLimitError);
    expect(errors[0]).toMatchObject({ code: "rate_limit_exceeded" });
    expect(errors[0].headers.get("retry-after")).toBe("1");
  });
});

describe("who has none", () => {
  test.each([
    ["no key", {}],
    ["a wrong key", bearer(wrong)],
    ["the beginning of a key", bearer(key.slice(0, -1))],
    ["a key and more", bearer(`${key}0`)],
    ["no scheme", { authorization: key }],
    ["another scheme", { authorization: `Basic ${key}` }],
    ["an empty key", { authorization: "Bearer " }],
    ["the name of a key", bearer("default")],
    ["a key in another header", { "x-api-key": key }],
  ])("%s: 401", async (_title, headers) => {
    const answer = await post(headers, JSON.stringify(chat));
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(await answer.json()).toEqual({
      error: {
        message: "No valid API key provided. Send it as: Authorization: Bearer YOUR_KEY",
        type: "invalid_request_error",
        param: null,
        code: "invalid_api_key",
      },
    });
  });

  test("is an authentication error for OpenAI's client", async () => {
    await expect(clientWith(wrong).models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  test("may ask for the health, and learns nothing else", async () => {
    const answer = await fetch(`${endpoint}/health`);
    expect(answer.status).toBe(200);
    expect((await answer.text()).length).toBeLessThan(200);
  });

  test("finds nothing that listens beyond loopback", () => {
    const open = listeners(machine.processes());
    expect(unlisted(open, deployment.listenedNodes)).toEqual([]);
    expect(open.filter(({ address }) => !(address.startsWith("127.") || address === "::1"))).toEqual([]);
    // The gateway is among the checked listeners.
    expect(open.map(({ port }) => port)).toContain(deployment.plan.endpoint.port);
  });
});

describe("keys", () => {
  const accepts = (value: string) => async () => (await statusOf("/v1/models", bearer(value))) === 200;
  const lease = async (secret: string) => {
    deployment.secrets = { [API_KEYS]: secret };
    return machine.must("local lease", deployment.leaseSpec);
  };
  const inSeconds = (seconds: number) =>
    new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");

  test("are rotated without a restart and without a lost request; a retired one ends at its time", async () => {
    const before = await machine.pids(name);
    let isOver = false;
    // For other keys nginx closes idle connections, perhaps just when a client sends on one: clients such as
    // OpenAI's ask again then, and so does this one, once.
    const ask = () => post(bearer(key), JSON.stringify(chat));
    const traffic = (async () => {
      const statuses: number[] = [];
      while (!isOver) statuses.push((await ask().catch(ask)).status);
      return statuses;
    })();
    await lease(`default:${key},noise:${noise},old:${old}@${inSeconds(20)}`);
    await eventually(accepts(old));
    await eventually(async () => !(await accepts(old)()), 40);
    isOver = true;
    const statuses = await traffic;
    expect(statuses.length).toBeGreaterThan(5);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await machine.pids(name)).toEqual(before);
  });

  test("that cannot be used leave the former ones in force, and the log says why, without a value", async () => {
    await lease(`default:${key},bad:${"UPPER".repeat(8)}`);
    const log = () => readFileSync(deployment.logs["gateway"]?.[0] ?? "", "utf8");
    await eventually(() =>
      log().includes("the keys stay as they were: DYNAMO_SKY_API_KEY: the key bad is not usable"),
    );
    expect(log()).not.toContain("UPPER");
    expect(await accepts(noise)()).toBe(true);
    await lease(`default:${key},noise:${noise}`);
  });

  test("are in files that only their owner reads, and nowhere else", () => {
    const holding = readdirSync(machine.state, { recursive: true, encoding: "utf8" })
      .map((path) => join(machine.state, path))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
      .filter((path) => [key, noise, old].some((value) => readFileSync(path).includes(value)));
    expect(holding.map((path) => path.replace(/^.*\/node0\//, "")).toSorted()).toEqual([
      "run/gateway-keys.conf",
      "secrets.json",
    ]);
    expect(holding.map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
    const processes = execFileSync("ps", ["axww", "-o", "args="], { encoding: "utf8" });
    expect(processes).toContain("nginx: master process");
    expect([key, noise, old].filter((value) => processes.includes(value))).toEqual([]);
  });

  test("are told apart in the log, which has no prompt", () => {
    const log = readFileSync(deployment.logs["gateway"]?.[0] ?? "", "utf8");
    expect(log).toMatch(/ key="default" "POST \/v1\/chat\/completions" 200 /);
    expect(log).toMatch(/ key="" "POST \/v1\/chat\/completions" 401 /);
    expect(log).not.toContain("Say hello");
  });
});

function parentOf(pid: number): number {
  return Number(execFileSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" }));
}

describe("losses", () => {
  /** Processes that hold the endpoint's port: nginx's master and its workers. */
  const nginx = () =>
    listeners(machine.processes())
      .filter(({ port }) => port === deployment.plan.endpoint.port)
      .map(({ pid }) => pid);

  test("a killed frontend is not asked: no request fails", async () => {
    const before = (await machine.pids(name))["frontend-1"] ?? 0;
    process.kill(before, "SIGKILL");
    const statuses = [];
    for (let count = 0; count < 40; count++) {
      statuses.push((await post(bearer(key), JSON.stringify(chat))).status);
    }
    expect(new Set(statuses)).toEqual(new Set([200]));
    await eventually(async () => ((await machine.pids(name))["frontend-1"] ?? before) !== before);
  });

  test("workers killed under load: clients are told to come back, and lose nothing", async () => {
    const seen = new Set<number>();
    const retryAfter = new Map<number, string | null>();
    const patient = new OpenAI({
      ...{ baseURL: `${endpoint}/v1`, apiKey: noise, maxRetries: 10 },
      async fetch(...request) {
        const answer = await fetch(...request);
        seen.add(answer.status);
        retryAfter.set(answer.status, answer.headers.get("retry-after"));
        return answer;
      },
    });
    const lengths: (number | undefined)[] = [];
    let isOver = false;
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) lengths.push((await patient.chat.completions.create(chat)).usage?.completion_tokens);
      }),
    );
    try {
      await eventually(() => lengths.length > 20);
      const pids = await machine.pids(name);
      for (const worker of ["aggregated-0", "aggregated-1"]) process.kill(pids[worker] ?? 0, "SIGKILL");
      await eventually(() => seen.has(500) || seen.has(503), 40);
      await machine.must("ready", deployment.readySpec({ apiKey: key }));
      const before = lengths.length;
      await eventually(() => lengths.length > before + 20, 60);
    } finally {
      isOver = true;
      await load;
    }
    expect(new Set(lengths)).toEqual(new Set([8]));
    expect([...seen].filter((status) => ![200, 429, 500, 503].includes(status))).toEqual([]);
    for (const [status, seconds] of retryAfter) expect(Number(seconds) > 0).toBe(status !== 200);
  });

  test("while the model has no worker it is 503 with Retry-After, and a client that retries gets its answer", async () => {
    const workers = ["aggregated-0", "aggregated-1"];
    for (const unit of workers)
      await machine.must("local remove", deployment.programsSpec(deployment.unit(unit)));
    // Before the frontend has forgotten the model, it says 503 by itself.
    const ask = () => post(bearer(key), JSON.stringify(chat));
    await eventually(async () => (await (await ask()).text()).includes("model_not_ready"), 40);
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("5");
    expect(await answer.json()).toMatchObject({ error: { type: "server_error", code: "model_not_ready" } });
    for (const path of [`/v1/models/${model}/ready`, `/v1/models/${encodeURIComponent(model)}/ready`])
      expect(await statusOf(path, bearer(key))).toBe(503);
    expect(await statusOf("/v1/models/nobody/has-this/ready", bearer(key))).toBe(404);
    const waiting = await machine.run("ready", {
      ...deployment.readySpec({ apiKey: key }),
      timeoutSeconds: 1,
    });
    expect(waiting.code).toBe(1);
    expect(waiting.stderr).toContain("waited for frontend: HTTP 503 The model has no worker at the moment.");
    // JSON in the style of other languages.
    const written = JSON.stringify(chat, null, 1).replaceAll("/", "\\/");
    expect((await post(bearer(key), written)).status).toBe(503);
    const text = JSON.stringify({ ...chat, model: "nobody/has-this", user: JSON.stringify(chat) });
    expect((await post(bearer(key), text)).status).toBe(404);
    const patient = new OpenAI({ baseURL: `${endpoint}/v1`, apiKey: key, maxRetries: 10 });
    const asked = patient.chat.completions.create(chat);
    for (const unit of workers)
      await machine.must("local apply", deployment.programsSpec(deployment.unit(unit)));
    expect((await asked).usage?.completion_tokens).toBe(8);
    await machine.must("ready", deployment.readySpec({ apiKey: key }));
  });

  test("a killed gateway takes its nginx with it, and is started again", async () => {
    const before = nginx();
    expect(before.length).toBeGreaterThan(0);
    process.kill((await machine.pids(name))["gateway"] ?? 0, "SIGKILL");
    await eventually(async () => {
      const now = nginx();
      return now.length > 0 && now.every((pid) => !before.includes(pid));
    });
    await machine.must("ready", deployment.readySpec({ apiKey: key }));
  });

  test("killed at once with its nginx, it leaves no worker on the port, and is started again", async () => {
    const gateway = (await machine.pids(name))["gateway"] ?? 0;
    const before = nginx();
    const masters = before.filter((pid) => parentOf(pid) === gateway);
    expect(masters).toHaveLength(1);
    // After a restart a node on SkyPilot has none of its old files.
    const files = readdirSync(machine.state, { recursive: true, encoding: "utf8" });
    for (const file of files.filter((path) => path.endsWith("/run/gateway-nginx.pid")))
      rmSync(join(machine.state, file));
    // The master first: its workers are then orphans.
    for (const pid of [...masters, gateway]) process.kill(pid, "SIGKILL");
    await eventually(() => before.every((pid) => startTime(pid) === undefined));
    await machine.must("ready", deployment.readySpec({ apiKey: key }));
    await eventually(() => nginx().length > 0);
  });

  test("stopped, it lets the streams in progress end", async () => {
    const stream = await clientWith(key).chat.completions.create({ ...chat, max_tokens: 64, stream: true });
    const pieces: string[] = [];
    let stopped: Promise<unknown> | undefined;
    let finish: string | null | undefined;
    for await (const chunk of stream) {
      pieces.push(chunk.choices[0]?.delta.content ?? "");
      finish = chunk.choices[0]?.finish_reason ?? finish;
      stopped ??= machine.must("local remove", deployment.programsSpec(deployment.unit("gateway")));
    }
    expect(finish).toBe("length");
    await stopped;
    await expect(fetch(`${endpoint}/health`)).rejects.toThrow("fetch failed");
    await machine.must("local release", deployment.leaseSpec);
    expect(machine.processes()).toEqual([]);
  });
});
