/** Metrics without Prometheus: settings, planned programs, and their deployment to nodes. */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { DynamoCluster } from "../../components";
import { programSchema } from "../../plan/node/schema";
import { portSetting } from "../../plan/ports";
import { nginxConf, specDigest, textOfTask, unitFiles } from "../runtime";
import { runOnMocks } from "./componentsMocks";
import { type BadInput, messageOf } from "./configMessages";
import { GUARDED, ON, planned, programsFor } from "./metricsPlans";
import { type Deployment, plannedProgram, SHAPES } from "./planShapes";

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

describe("plan", () => {
  test("without metrics is what it was", () => {
    const names = programsFor(SHAPES.dev).map(({ name }) => name);
    expect(names).toEqual(["etcd", "nats", "frontend-0", "prefill-0", "decode-0", "decode-1"]);
  });

  test("with exporters alone has one on each node, and no Prometheus", () => {
    const names = programsFor({ ...SHAPES["disagg-multi"], metrics: { exporters: true } }).map(
      ({ name }) => name,
    );
    expect(names.filter((name) => /exporter|prometheus/.test(name))).toEqual(["exporter-0", "exporter-1"]);
  });

  test("the exporter asks the services of its own node", () => {
    const { command, ports, health } = plannedProgram(GUARDED, "exporter-0");
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

  test("the gateway serves its metrics to its own node, and only with exporters", () => {
    const conf = (input: Deployment) => nginxConf(plannedProgram(input, "gateway"));
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
    const address = (input: Deployment) => plannedProgram(input, "prometheus").command[2];
    expect(address({ ...SHAPES.single, ...ON })).toBe("--web.listen-address=127.0.0.1:9090");
    expect(address({ ...SHAPES.dev, ...ON })).toBe("--web.listen-address={{NODE_IP}}:9090");
  });

  test("Prometheus's files and flags", () => {
    const { command, files } = plannedProgram(GUARDED, "prometheus");
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

  test("SGLang is told to keep metrics, and only then", () => {
    const has = (input: Deployment) =>
      plannedProgram(input, "prefill-0").command.includes("--enable-metrics");
    expect([has(SHAPES.disagg), has({ ...SHAPES.disagg, ...ON })]).toEqual([false, true]);
  });

  test("its files are part of what restarts a program, and pass the driver's check", () => {
    const program = plannedProgram(GUARDED, "prometheus");
    const { files: _, ...without } = program;
    expect(specDigest(program)).not.toBe(specDigest(without));
    const rendered = unitFiles("u", [program]);
    expect(programSchema.parse(JSON.parse(rendered["units/u/prometheus.json"] ?? ""))).toEqual(program);
    const escaping = { ...program, files: { "../evil": "" } };
    expect(programSchema.safeParse(escaping).success).toBe(false);
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
    return parse(textOfTask({ cluster, config }));
  };

  test("SkyPilot's task brings the exporter and Prometheus, and keeps what Prometheus has seen", () => {
    const { setup, run } = task({ ...SHAPES.multi, ...ON });
    expect(setup).toMatch(/--services '.*\bprometheus'/);
    expect(run).toContain("python3 {{NODE_DIR}}/exporter.py");
    expect(spawnSync("bash", ["-n"], { input: run, encoding: "utf8" })).toMatchObject({
      status: 0,
      stderr: "",
    });
  });

  test("and has nothing of it by default", () => {
    expect(JSON.stringify(task(SHAPES.multi))).not.toMatch(/exporter|prometheus/i);
  });
});
