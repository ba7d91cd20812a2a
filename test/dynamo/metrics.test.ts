/**
 * A real Prometheus with a running deployment: all targets are scraped, every query of every dashboard and
 * alert has a result, the missing series are exactly those that need a GPU, and alerts fire on problems.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, ask, questionsOf } from "../../cli/metrics/ask";
import { targetStates } from "../../cli/metrics/targets";
import { kill } from "../../lib/processes";
import { parseConfig } from "../../plan/config";
import { JOBS, SERIES, type Series, whyAbsent } from "../../plan/metrics/series";
import { scrapeTargets } from "../../plan/metrics/targets";
import { ETCD_PASSWORD, ETCD_USER } from "../../plan/programs/controlPlane";
import { API_KEYS } from "../../plan/programs/gateway";
import { stopByHand } from "../nodes";
import { listeners } from "../sockets";
import { eventually, TestDeployment } from "./support";

const CONFIG = {
  access: { gateway: true },
  router: { mode: "kv" },
  pools: [{ role: "prefill" }, { role: "decode", replicas: 2 }],
  metrics: { prometheus: true, scrapeIntervalSeconds: 1 },
};
const deployment = new TestDeployment(CONFIG, { discovery: "etcd", events: "nats" });
const { machine, name, endpoint } = deployment;
const config = parseConfig({ target: "local", engine: "mocker", model: "Qwen/Qwen3-8B", ...CONFIG });
const key = randomBytes(24).toString("hex");
const node = `http://${machine.network}.1`;
const prometheus = `${node}:9090`;

interface Listing {
  readonly data: {
    readonly activeTargets?: readonly {
      readonly health: string;
      readonly lastError: string;
      readonly labels: Record<string, string>;
    }[];
    readonly alerts?: readonly {
      readonly state: string;
      readonly labels: Record<string, string>;
      readonly annotations: Record<string, string>;
    }[];
  };
}
const read = async (path: string) => JSON.parse(await (await fetch(`${prometheus}/api/v1/${path}`)).text());
const list = async (what: string): Promise<Listing["data"]> => (await read(what)).data;
const chat = async (content: string, apiKey = key) => {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({
      model: deployment.plan.model,
      messages: [{ role: "user", content }],
      max_tokens: 16,
      stream: true,
    }),
  });
  await response.text();
  return response.status;
};
/** Requests with a long shared prefix, to hit caches. */
const load = () =>
  Promise.all(Array.from({ length: 4 }, (_, index) => chat(`${"Once upon a time ".repeat(200)}${index}`)));
const value = async (expr: string) => (await ask(prometheus, { source: "test", expr, series: [] })).values;
const firing = async (alert: string) =>
  (await list("alerts")).alerts?.find(
    ({ state, labels }) => labels["alertname"] === alert && state === "firing",
  );

/**
 * etcd writes when processes start and stop, possibly only before Prometheus's first scrape: then there is no
 * rate.
 */
const isSeldom = (series: Series) => series === SERIES.etcdFsync;

beforeAll(async () => {
  deployment.secrets = { [API_KEYS]: `default:${key}` };
  await deployment.up({ apiKey: key });
});
afterAll(() => deployment.close());

describe("Prometheus", () => {
  test("reaches every program of the plan that has metrics", async () => {
    const targets = async () => (await list("targets")).activeTargets ?? [];
    await eventually(async () => {
      const found = await targets();
      return found.length > 0 && found.every(({ health }) => health === "up");
    });
    const seen = (await targets()).map(({ labels, lastError }) =>
      [labels["job"], labels["program"], lastError].join(" ").trim(),
    );
    expect(seen.toSorted()).toEqual([
      `${JOBS.frontend} frontend-0`,
      `${JOBS.frontend} frontend-1`,
      `${JOBS.node} exporter-0`,
      `${JOBS.worker} decode-0`,
      `${JOBS.worker} decode-1`,
      `${JOBS.worker} prefill-0`,
      "etcd etcd",
      "prometheus prometheus",
    ]);
  });

  test("and the exporter listen on their node's own address alone", async () => {
    const pids = await machine.pids(name);
    const open = listeners([pids["prometheus"] ?? 0, pids["exporter-0"] ?? 0]);
    expect(open.map(({ address, port }) => `${address}:${port}`).toSorted()).toEqual([
      `${machine.network}.1:9050`,
      `${machine.network}.1:9090`,
    ]);
  });

  test("has an answer to every query of every dashboard and alert", async () => {
    const questions = questionsOf(config, deployment.plan);
    expect(questions.length).toBeGreaterThan(60);
    await chat("Hello", "wrong".padEnd(40, "0"));
    let unanswered: readonly Answer[] = [];
    const all = async () => {
      await load();
      const answers = await Promise.all(questions.map((question) => ask(prometheus, question)));
      unanswered = answers.filter(
        ({ values, series }) =>
          values.filter((one) => !Number.isNaN(one) || series.some(isSeldom)).length === 0,
      );
      return unanswered.length === 0;
    };
    await eventually(all, 40).catch(() => {
      const told = unanswered.map(({ source, expr, error }) => `${source}: ${error ?? "no answer"}: ${expr}`);
      throw new Error(told.join("\n"));
    });
  });

  test("has exactly the series that are said not to need a GPU", async () => {
    const names = new Set<string>();
    const listing: { readonly data: readonly string[] } = await read("label/__name__/values");
    for (const one of listing.data) names.add(one.replace(/_(bucket|sum|count)$/, "")).add(one);
    const all: readonly Series[] = Object.values(SERIES);
    expect(
      all
        .filter((one) => names.has(one.name) !== (whyAbsent(one, deployment.plan) === undefined))
        .map((one) => one.name),
    ).toEqual([]);
  });

  test("counts what the gateway lets in and refuses, by the name of the key", async () => {
    const count = (labels: string) => value(`sum(dynamo_sky_gateway_requests_total{${labels}})`);
    await eventually(async () => ((await count('key="default",status="200"'))[0] ?? 0) > 3);
    await eventually(async () => ((await count('key="",status="401"'))[0] ?? 0) >= 1);
  });

  test("sees memory and CPU of every program, nginx's too, which hides its environment", async () => {
    const programs = Object.keys(await machine.pids(name)).toSorted();
    const listing: { readonly data: readonly { readonly name: string }[] } = await read(
      "series?match[]=dynamo_sky_program_resident_memory_bytes",
    );
    expect(listing.data.map((one) => one.name).toSorted()).toEqual(programs);
    expect(await value("dynamo_sky_program_resident_memory_bytes < 5e6")).toEqual([]);
    // gateway.py alone uses less than half of it.
    expect((await value('dynamo_sky_program_resident_memory_bytes{name="gateway"}'))[0]).toBeGreaterThan(2e7);
  });
});

describe("nodes of other clusters", () => {
  const list = join(machine.state, "targets.json");
  const labels = { program: "decode-7" };
  /** `runtime/registry.py` with this deployment's etcd. */
  const registry = (password: string, script: string) => {
    const begin = `import json, registry\nnodes = registry.Registry("${node}:2379")\n`;
    const { stdout, stderr } = spawnSync("python3", ["-B", "-c", begin + script], {
      cwd: join(__dirname, "..", "..", "runtime"),
      env: { ...process.env, ETCD_AUTH_USERNAME: ETCD_USER, ETCD_AUTH_PASSWORD: password },
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    return stdout.trim().split("\n");
  };
  const password = deployment.credentials[ETCD_PASSWORD];

  test("are found by what they tell etcd, once, and count as down until then", () => {
    writeFileSync(list, JSON.stringify({ worker: [{ node: "decode-7/0", port: 9100, labels }] }));
    const [told, ...found] = registry(
      password,
      `finder = registry.Finder(nodes, ${JSON.stringify(list)})
before = finder.targets("worker")
announcer = registry.Announcer(nodes, "decode-7/0", "10.0.0.7")
announcer.once(); announcer.once()
print(json.dumps([before, finder.targets("worker"), finder.targets("other")]))`,
    );
    expect(told).toBe("told etcd that decode-7/0 is at 10.0.0.7");
    expect(JSON.parse(found.join("\n"))).toEqual([
      [{ targets: ["not-yet-there.invalid:9100"], labels }],
      [{ targets: ["10.0.0.7:9100"], labels }],
      [],
    ]);
  });

  test("are not believed without etcd's password", () => {
    const [told] = registry("wrong", `registry.Announcer(nodes, "decode-7/0", "10.6.6.6").once()`);
    expect(told).toBe("etcd cannot be told where decode-7/0 is: HTTP 400");
  });
});

describe("alerts", () => {
  test("none fires while all is well", async () => {
    const state = (await list("alerts")).alerts?.filter((alert) => alert.state === "firing");
    expect(state?.map(({ labels }) => labels)).toEqual([]);
  });

  test("a worker that is killed again and again is told, by its name", async () => {
    for (let round = 1; round <= 3; round++) {
      const { "decode-1": pid = 0 } = await machine.pids(name);
      kill(pid);
      // The next one: a start, counted by the exporter.
      await eventually(
        async () =>
          ((await value(`max(max_over_time(dynamo_sky_program_starts_total{name="decode-1"}[1m]))`))[0] ??
            0) > round,
      );
    }
    await eventually(async () => (await firing("DynamoProgramRestarting")) !== undefined, 20);
    expect((await firing("DynamoProgramRestarting"))?.annotations["summary"]).toMatch(
      /^decode-1 on node 0 of main was started \d/,
    );
  });

  test("a role without a worker is critical", async () => {
    stopByHand(machine.nodeDirectory(name), "prefill-0");
    await eventually(async () => (await firing("DynamoNoWorkers")) !== undefined, 60);
    const states = await targetStates(prometheus, scrapeTargets(deployment.cluster), "dev");
    const lost = states.filter(({ problem }) => problem !== null);
    expect(lost.map(({ program, problem }) => `${program}: ${problem}`)).toEqual([
      expect.stringMatching(/^prefill-0: .*connection refused$/),
    ]);
    expect(await firing("DynamoNoWorkers")).toMatchObject({
      labels: { severity: "critical", role: "prefill" },
      annotations: { summary: "No prefill worker answers: requests fail." },
    });
  });
});
