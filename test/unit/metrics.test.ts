/** Metrics without Prometheus: settings, targets, alerts, the programs that are planned, and how they reach the nodes. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { DynamoCluster } from "../../components";
import { renderUnit, specDigest } from "../../node/render";
import { programSchema } from "../../node/schema";
import { parseConfig } from "../../plan/config";
import { alertsOf, expression } from "../../plan/metrics/alerts";
import { SERIES, type Series, whyAbsent } from "../../plan/metrics/series";
import { scrapeTargets } from "../../plan/metrics/targets";
import { plan } from "../../plan/plan";
import { portSetting } from "../../plan/ports";
import { ConfigError } from "../../plan/problems";
import { nodeScripts } from "../../sky/scripts";
import { renderTask } from "../../sky/task";
import { runOnMocks } from "./componentsMocks";
import { type BadInput, messageOf } from "./configMessages";
import { type Deployment, likelyDeployment, SERVICES, SHAPES } from "./planShapes";

const ON = { metrics: { prometheus: true } } as const;

const BAD: readonly BadInput[] = [
  [
    "limits out of range",
    {
      metrics: {
        limits: { ttftSeconds: 0, kvCacheFill: 1.5, errorShare: 0, waitingRequests: 0, restarts: 0 },
      },
    },
    [
      "dynamo-sky:metrics.limits.ttftSeconds: 0 is too small. Allowed: above 0.",
      "dynamo-sky:metrics.limits.kvCacheFill: 1.5 is too big. Allowed: above 0, at most 1.",
      "dynamo-sky:metrics.limits.waitingRequests: 0 is too small. Allowed: 1 or more.",
      "dynamo-sky:metrics.limits.errorShare: 0 is too small. Allowed: above 0, at most 1.",
      "dynamo-sky:metrics.limits.restarts: 0 is too small. Allowed: 1 to 1000.",
    ],
  ],
  [
    "a Prometheus that would not know its workers",
    { ...ON, placement: "dedicated" },
    [
      "dynamo-sky:metrics.prometheus: true does not go with placement dedicated: the control cluster does not learn the addresses of the workers' clusters, which come and go. Set metrics.exporters to true instead, and let a Prometheus of your own scrape them: npm run metrics.",
    ],
  ],
  [
    "no time, no room, and a slip",
    { metrics: { retentionDays: 0, retentionGB: "10", scrapeIntervalSeconds: 0.5, promethues: true } },
    [
      "dynamo-sky:metrics.scrapeIntervalSeconds: 0.5 is not a whole number. Allowed: 1 to 60.",
      "dynamo-sky:metrics.retentionDays: 0 is too small. Allowed: 1 to 3650.",
      'dynamo-sky:metrics.retentionGB: "10" is not a whole number. Allowed: 1 to 10000. Write it without quotes: 10.',
      'dynamo-sky:metrics.promethues: unknown key. Did you mean "prometheus"?',
    ],
  ],
];

describe("settings", () => {
  test.each(BAD)("%s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });
});

function planned(input: Deployment) {
  const config = parseConfig(input);
  const made = plan(config, SERVICES);
  const [cluster] = made.clusters;
  if (cluster === undefined) throw new Error("no cluster");
  return { config, made, cluster };
}

const programsOf = (input: Deployment) =>
  planned(input).made.clusters.flatMap(({ nodes }) => nodes.flatMap(({ programs }) => programs));

function programOf(input: Deployment, name: string) {
  const found = programsOf(input).find((program) => program.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}

const GUARDED = { ...SHAPES.dev, access: { gateway: true }, ...ON } as const;

describe("plan", () => {
  test("without metrics is what it was", () => {
    const names = programsOf(SHAPES.dev).map(({ name }) => name);
    expect(names).toEqual(["etcd", "nats", "frontend-0", "prefill-0", "decode-0", "decode-1"]);
  });

  test("with exporters alone has one on each node, and no Prometheus", () => {
    const names = programsOf({ ...SHAPES["disagg-multi"], metrics: { exporters: true } }).map(
      ({ name }) => name,
    );
    expect(names.filter((name) => /exporter|prometheus/.test(name))).toEqual(["exporter-0", "exporter-1"]);
  });

  test("the exporter asks the services of its own node", () => {
    const { command, ports, health } = programOf(GUARDED, "exporter-0");
    expect(command).toEqual([
      ...["python3", "{{NODE_DIR}}/exporter.py", "{{NODE_IP}}", "9050"],
      ...["--nats", "http://{{NODE_IP}}:8222/varz"],
      ...["--nginx", "http://{{NODE_IP}}:9850/stub_status", "--nginx-log", "gateway"],
    ]);
    expect(ports).toEqual({ exporter: 9050 });
    expect(health).toEqual({ kind: "http", url: "http://{{NODE_IP}}:9050/health" });
    expect(portSetting("exporter", "exporter")).toBe("ports.exporter");
    expect(portSetting("gateway", "gatewayStatus")).toBe("ports.gatewayStatus");
  });

  test("the gateway tells its figures to its own node, and only with exporters", () => {
    const conf = (input: Deployment) => programOf(input, "gateway").env["DYNAMO_SKY_NGINX_CONF"];
    const { metrics: _, ...guarded } = GUARDED;
    expect(conf(GUARDED)).toContain(
      "listen {{NODE_IP}}:9850;\n    access_log off;\n    location = /stub_status { stub_status; }",
    );
    expect(conf({ ...GUARDED, target: "sky", cluster: { gpusPerNode: 3 } })).toContain(
      "listen 127.0.0.1:9850;",
    );
    expect(conf(guarded)).not.toContain("stub_status");
  });

  test("Prometheus listens where only its own node reaches it", () => {
    const address = (input: Deployment) => programOf(input, "prometheus").command[2];
    expect(address({ ...SHAPES.single, ...ON })).toBe("--web.listen-address=127.0.0.1:9090");
    expect(address({ ...SHAPES.dev, ...ON })).toBe("--web.listen-address={{NODE_IP}}:9090");
  });

  test("Prometheus's files and flags", () => {
    const { command, files } = programOf(GUARDED, "prometheus");
    expect(command).toMatchInlineSnapshot(`
      [
        "prometheus",
        "--config.file={{NODE_DIR}}/run/prometheus/prometheus.yml",
        "--web.listen-address={{NODE_IP}}:9090",
        "--storage.tsdb.path={{NODE_DIR}}/prometheus",
        "--storage.tsdb.retention.time=15d",
        "--storage.tsdb.retention.size=10GB",
      ]
    `);
    expect(files?.["prometheus.yml"]).toMatchSnapshot("prometheus.yml");
    expect(files?.["rules.yml"]).toMatchSnapshot("rules.yml");
  });

  test("SGLang is told to keep figures, and only then", () => {
    const has = (input: Deployment) => programOf(input, "prefill-0").command.includes("--enable-metrics");
    expect([has(SHAPES.disagg), has({ ...SHAPES.disagg, ...ON })]).toEqual([false, true]);
  });

  test("its files are part of what restarts a program, and pass the driver's check", () => {
    const program = programOf(GUARDED, "prometheus");
    const { files: _, ...without } = program;
    expect(specDigest(program)).not.toBe(specDigest(without));
    const rendered = renderUnit("u", [program]);
    expect(programSchema.parse(JSON.parse(rendered["units/u/prometheus.json"] ?? ""))).toEqual(program);
    const escaping = { ...program, files: { "../evil": "" } };
    expect(programSchema.safeParse(escaping).success).toBe(false);
  });
});

describe("targets", () => {
  const rows = (input: Deployment) =>
    scrapeTargets(planned(input).cluster).map(
      ({ job, host, port, labels }) =>
        `${job} ${labels.program} ${host}:${port} node ${labels.node} rank ${labels.rank}`,
    );

  test("of two nodes, as the head reaches them", () => {
    expect(rows({ ...SHAPES.multi, ...ON })).toMatchInlineSnapshot(`
      [
        "etcd etcd {{HEAD_IP}}:2379 node 0 rank 0",
        "frontend frontend-0 127.0.0.1:9800 node 0 rank 0",
        "worker aggregated-0 {{HEAD_IP}}:9100 node 0 rank 0",
        "node exporter-0 {{HEAD_IP}}:9050 node 0 rank 0",
        "prometheus prometheus 127.0.0.1:9090 node 0 rank 0",
        "worker aggregated-0-rank1 {{RANK_IP_1}}:9100 node 1 rank 1",
        "node exporter-1 {{RANK_IP_1}}:9050 node 1 rank 0",
      ]
    `);
  });

  test("of one node are for the network only where a Prometheus from elsewhere is meant", () => {
    const worker = (metrics: Deployment["metrics"]) =>
      rows({ ...SHAPES.single, metrics }).find((row) => row.startsWith("worker aggregated-0 "));
    expect(worker({ prometheus: true })).toContain(" 127.0.0.1:9100 ");
    expect(worker({ exporters: true })).toContain(" {{HEAD_IP}}:9100 ");
  });

  test("frontends behind a gateway are on the head's own address", () => {
    const guarded = { ...SHAPES.single, ...ON, access: { gateway: true } };
    expect(rows(guarded)[1]).toBe("frontend frontend-0 127.0.0.1:9800 node 0 rank 0");
  });

  test("a rank that has no status server is none: vLLM's other nodes", () => {
    const vllm = {
      model: "m/m",
      engine: "vllm",
      cluster: { nodes: 2 },
      pools: [{ role: "aggregated", tensorParallel: 16 }],
    } as const;
    expect(rows(vllm).filter((row) => row.startsWith("worker"))).toEqual([
      "worker aggregated-0 {{HEAD_IP}}:9100 node 0 rank 0",
    ]);
  });

  test("of any deployment: every port is one that its program has, and no two are the same", () => {
    let seen = 0;
    fc.assert(
      fc.property(likelyDeployment, (input) => {
        try {
          const { made } = planned({ ...input, metrics: { exporters: true } });
          seen++;
          for (const cluster of made.clusters) {
            const targets = scrapeTargets(cluster);
            expect(new Set(targets.map(({ host, port }) => `${host}:${port}`)).size).toBe(targets.length);
            for (const { labels, port } of targets) {
              const node = cluster.nodes.find(({ rank }) => String(rank) === labels.node);
              const program = node?.programs.find(({ name }) => name === labels.program);
              expect(Object.values(program?.ports ?? {})).toContain(port);
            }
            expect(targets.filter(({ job }) => job === "node").length).toBe(cluster.nodes.length);
          }
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
        }
      }),
      { numRuns: 200 },
    );
    expect(seen).toBeGreaterThan(30);
  });
});

const alerts = (input: Deployment) => {
  const { config, made } = planned(input);
  return alertsOf(config, made);
};
const names = (input: Deployment) => [...new Set(alerts(input).map(({ name }) => name))];

describe("alerts", () => {
  test("are those that the deployment can have", () => {
    expect(names(GUARDED)).toMatchInlineSnapshot(`
      [
        "DynamoNoWorkers",
        "DynamoWorkersMissing",
        "DynamoFrontendDown",
        "DynamoSlowFirstToken",
        "DynamoSlowTokens",
        "DynamoQueueGrowing",
        "DynamoErrors",
        "DynamoStuck",
        "DynamoKvCacheFull",
        "DynamoKvEventsDropped",
        "DynamoProgramRestarting",
        "DynamoProgramDown",
        "DynamoNodeSilent",
        "DynamoEtcdDown",
        "DynamoEtcdFilling",
        "DynamoNatsDown",
        "DynamoNatsSlowConsumer",
        "DynamoGatewayDown",
      ]
    `);
    const few = {
      ...SHAPES.dev,
      controlPlane: { discovery: "file" },
      router: { mode: "round-robin" },
    } as const;
    expect(
      alertsOf(parseConfig(few), plan(parseConfig(few), { discovery: "file", events: "zmq" })).map(
        ({ name }) => name,
      ),
    ).toMatchInlineSnapshot(`
      [
        "DynamoNoWorkers",
        "DynamoNoWorkers",
        "DynamoWorkersMissing",
        "DynamoFrontendDown",
        "DynamoSlowFirstToken",
        "DynamoSlowTokens",
        "DynamoQueueGrowing",
        "DynamoErrors",
        "DynamoStuck",
      ]
    `);
  });

  test("of a role with one replica say no more than that it is gone", () => {
    const about = alerts(SHAPES.dev).filter(
      ({ name }) => name.startsWith("DynamoWorker") || name === "DynamoNoWorkers",
    );
    expect(about.map(({ name, labels, limit }) => [name, labels["role"], limit])).toEqual([
      ["DynamoNoWorkers", "prefill", 0],
      ["DynamoNoWorkers", "decode", 0],
      ["DynamoWorkersMissing", "decode", 2],
    ]);
  });

  test("begin where the configuration says", () => {
    const limits = {
      ttftSeconds: 0.5,
      itlSeconds: 0.02,
      kvCacheFill: 0.8,
      waitingRequests: 7,
      errorShare: 0.2,
      restarts: 9,
    };
    const set = alerts({ ...SHAPES.dev, metrics: { prometheus: true, limits } });
    const limitOf = (name: string) => set.find((alert) => alert.name === name)?.limit;
    expect(
      ["SlowFirstToken", "SlowTokens", "KvCacheFull", "QueueGrowing", "Errors", "ProgramRestarting"].map(
        (name) => limitOf(`Dynamo${name}`),
      ),
    ).toEqual([0.5, 0.02, 0.8, 7, 0.2, 9]);
  });

  test("look at a real engine's own cache, and at the router's count of the mocker's", () => {
    const value = (input: Deployment) =>
      alerts(input).find(({ name }) => name === "DynamoKvCacheFull")?.value;
    expect(value(SHAPES.multi)).toContain("dynamo_component_gpu_cache_usage_percent");
    expect(value(SHAPES.dev)).toContain("dynamo_frontend_worker_active_decode_blocks");
    expect(value({ ...SHAPES.dev, router: { mode: "random" } })).toBeUndefined();
  });

  test("rest on series that the deployment has", () => {
    for (const input of Object.values(SHAPES)) {
      const { config, made } = planned({ ...input, ...ON });
      for (const { series } of alertsOf(config, made)) {
        expect(series.map((one) => whyAbsent(one, made))).toEqual(series.map(() => undefined));
      }
    }
  });

  test("say what is compared with what", () => {
    expect(expression({ value: "a", op: ">=", limit: 3 })).toBe("a >= 3");
  });
});

describe("series", () => {
  const all: readonly Series[] = Object.values(SERIES);

  test("have one name each", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  test("that need a GPU say so", () => {
    const { made } = planned(GUARDED);
    const reasons = all.flatMap((one) => whyAbsent(one, made) ?? []);
    expect([...new Set(reasons)]).toMatchInlineSnapshot(`
      [
        "needs a GPU: only with engine sglang, vllm, trtllm",
        "needs a GPU: only with engine sglang",
        "needs a GPU: only with engine vllm",
        "needs a GPU: only with engine trtllm",
      ]
    `);
  });
});

describe("on the way to the nodes", () => {
  test("a local cluster is told that it needs Prometheus, and each program is a resource of its own", async () => {
    const args = { target: "local", model: "Qwen/Qwen3-8B", localServices: true, ...ON } as const;
    const { named, resources } = await runOnMocks("update", () => new DynamoCluster("dynamo", args));
    const lease = named("dynamo-main-lease").inputs["stdin"] as { secret: string };
    expect(JSON.parse(lease.secret)).toMatchObject({ prometheus: true });
    expect(resources.map(({ name }) => name).filter((name) => name.startsWith("dynamo-metrics"))).toEqual([
      "dynamo-metrics",
      "dynamo-metrics-exporter-0",
      "dynamo-metrics-prometheus",
    ]);
  });

  const task = (input: Deployment) => {
    const { cluster, config } = planned(input);
    return parse(renderTask({ cluster, config, scripts: nodeScripts() }));
  };

  test("SkyPilot's task brings the exporter and Prometheus, and keeps what Prometheus has seen", () => {
    const { setup, run } = task({ ...SHAPES.multi, ...ON });
    expect(setup).toContain("\n  unpack prometheus prometheus\n");
    expect(run).toContain("write exporter.py <<'EOF'");
    expect(run).toContain("! -name prometheus -exec rm -rf");
    expect(spawnSync("bash", ["-n"], { input: run, encoding: "utf8" })).toMatchObject({
      status: 0,
      stderr: "",
    });
  });

  test("and has nothing of it by default", () => {
    expect(JSON.stringify(task(SHAPES.multi))).not.toMatch(/exporter|prometheus/i);
  });
});

/** What `node/exporter.py` says, asked as Python. */
function python(script: string, input = "") {
  const { stdout, stderr } = spawnSync("python3", ["-B", "-c", script], {
    cwd: join(__dirname, "../../node"),
    input,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout;
}

describe("the exporter", () => {
  test("writes Prometheus's text: names together, labels escaped", () => {
    const script = String.raw`import exporter
page = exporter.Page()
page.add("a", "gauge", 1, name='q"\\\n')
page.add("b_total", "counter", 2.5)
page.add("a", "gauge", 3, name="z")
print(page.text(), end="")`;
    expect(python(script)).toBe(
      String.raw`# TYPE a gauge
a{name="q\"\\\n"} 1
a{name="z"} 3
# TYPE b_total counter
b_total 2.5
`,
    );
  });

  test("counts the gateway's answers while its log grows, is cut in the middle of a line and moved away", () => {
    const script = `import json, os, tempfile, exporter
path = os.path.join(tempfile.mkdtemp(), "gateway.log")
line = '2027-01-31T18:00:00+00:00 127.0.0.1 key="%s" "POST /v1/chat/completions" %d 12 bytes 0.1 s\\n'
def write(text, mode="a"):
    with open(path, mode) as file: file.write(text)
log = exporter.AccessLog(path)
write(line % ("old", 200)); log.open(at_end=True); log.read()
write("accepted keys: a\\n" + line % ("a", 200) + (line % ("a", 429))[:40]); log.read()
before = dict((" ".join(key), count) for key, count in log.counts.items())
write((line % ("a", 429))[40:]); os.rename(path, path + ".1"); write(line % ("", 401), "w")
log.read(); assert log.moved(); log.read(); log.open(at_end=False); log.read()
print(json.dumps([before, dict((" ".join(key), count) for key, count in log.counts.items())]))`;
    expect(JSON.parse(python(script))).toEqual([{ "a 200": 1 }, { "a 200": 1, "a 429": 1, " 401": 1 }]);
  });
});
