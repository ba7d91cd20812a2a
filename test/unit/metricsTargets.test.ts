/** Prometheus's targets, on its own cluster and on others. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ConfigError } from "../../config/problems";
import { scrapeTargets } from "../../plan/metrics/targets";
import { ON, planned, programsFor } from "./metricsPlans";
import { type Deployment, likelyDeployment, plannedProgram, SHAPES } from "./planShapes";

describe("targets", () => {
  const rows = (input: Deployment) =>
    scrapeTargets(planned(input).cluster).map(
      ({ job, host, port, labels }) =>
        `${job} ${labels.program} ${host}:${port} node ${labels.node} rank ${labels.rank}`,
    );

  test("of two nodes, as the head reaches them", () => {
    expect(rows({ ...SHAPES.multi, ...ON })).toMatchInlineSnapshot(`
      [
        "etcd etcd {{HEAD_IP}}:2381 node 0 rank 0",
        "frontend frontend-0 127.0.0.1:9800 node 0 rank 0",
        "frontend frontend-1 127.0.0.1:9801 node 0 rank 0",
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

describe("of several clusters", () => {
  const DEDICATED = {
    ...SHAPES.disagg,
    ...ON,
    placement: "dedicated",
    pools: [{ role: "prefill" }, { role: "decode", tensorParallel: 16 }],
  } as const satisfies Deployment;

  test("Prometheus is with the control plane, and asks the exporter beside it where the others are", () => {
    const { files } = plannedProgram(DEDICATED, "prometheus");
    const jobs: readonly Record<string, unknown>[] = parse(files?.["prometheus.yml"] ?? "").scrape_configs;
    const worker = jobs.find((job) => job["job_name"] === "dynamo-worker");
    expect(worker).toEqual({
      job_name: "dynamo-worker",
      http_sd_configs: [{ url: "http://{{NODE_IP}}:9050/targets/dynamo-worker", refresh_interval: "15s" }],
    });
    const node = jobs.find((job) => job["job_name"] === "dynamo-node");
    expect(node).toMatchObject({
      static_configs: [
        { targets: ["{{HEAD_IP}}:9050"], labels: { program: "exporter-0", cluster: "control" } },
      ],
      http_sd_configs: [{ url: "http://{{NODE_IP}}:9050/targets/dynamo-node" }],
    });
    expect(programsFor(DEDICATED).filter(({ role }) => role === "prometheus")).toHaveLength(1);
  });

  test("the exporter beside it knows what is planned there: nodes, ports and labels, and no address", () => {
    const { files } = plannedProgram(DEDICATED, "prometheus");
    const listed: Record<string, readonly { node: string; port: number; labels: Record<string, string> }[]> =
      JSON.parse(files?.["targets.json"] ?? "{}");
    const rows = Object.entries(listed).flatMap(([job, targets]) =>
      targets.map(({ node, port, labels }) => `${job} ${labels["program"]} ${node}:${port}`),
    );
    expect(rows).toEqual([
      "dynamo-worker prefill-0 prefill-0/0:9100",
      "dynamo-worker decode-0 decode-0/0:9100",
      "dynamo-worker decode-0-rank1 decode-0/1:9100",
      "dynamo-node exporter-1 prefill-0/0:9050",
      "dynamo-node exporter-2 decode-0/0:9050",
      "dynamo-node exporter-3 decode-0/1:9050",
    ]);
    expect(files?.["targets.json"]).not.toContain("{{");
  });

  test("every other node tells etcd where it is, with etcd's password", () => {
    const [head, other] = ["exporter-0", "exporter-3"].map((name) => plannedProgram(DEDICATED, name));
    expect(head?.command.slice(-4)).toEqual([
      ...["--etcd", "http://{{HEAD_IP}}:2379"],
      ...["--find", "{{NODE_DIR}}/run/prometheus/targets.json"],
    ]);
    expect(other?.command.slice(-4)).toEqual([
      ...["--etcd", "http://{{CONTROL_IP}}:2379", "--announce", "decode-0/1"],
    ]);
    for (const exporter of [head, other])
      expect(exporter).toMatchObject({
        env: { ETCD_AUTH_USERNAME: "dynamo" },
        secretEnv: ["ETCD_AUTH_PASSWORD"],
      });
  });

  test("without a Prometheus of their own need none of this", () => {
    const exporters = programsFor({ ...DEDICATED, metrics: { exporters: true } }).filter(
      ({ role }) => role === "exporter",
    );
    expect(exporters).toHaveLength(4);
    for (const { command, secretEnv } of exporters) {
      expect(command).not.toContain("--etcd");
      expect(secretEnv).toEqual([]);
    }
  });
});
