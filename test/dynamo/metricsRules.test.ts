/**
 * The alerts, tested with Prometheus's own `promtool`: each fires exactly when it should, on synthetic
 * series.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { alertsOf } from "../../plan/metrics/alerts";
import { renderRules } from "../../plan/metrics/prometheus";
import { plan } from "../../plan/plan";
import { ensureToolchain } from "../../toolchain";

const SERVICES = { discovery: "etcd", events: "nats" } as const;
const planned = (input: Omit<ConfigInput, "model">) => {
  const config = parseConfig({ model: "Qwen/Qwen3-8B", metrics: { prometheus: true }, ...input });
  return { config, made: plan(config, SERVICES) };
};
const PD = [{ role: "prefill" }, { role: "decode", replicas: 2 }] as const;
const local = planned({ target: "local", access: { gateway: true }, pools: [...PD] });
const sglang = planned({ pools: [...PD], cluster: { gpusPerNode: 3 } });

const directory = mkdtempSync(join(tmpdir(), "dsky-rules-"));
let promtool = "";
beforeAll(async () => {
  const tools = await ensureToolchain({ need: ["promtool"] });
  if (tools.promtool === undefined) throw new Error("promtool can neither be found nor unpacked here");
  promtool = tools.promtool.path;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function run(...args: readonly string[]): string {
  try {
    return execFileSync(promtool, args, { cwd: directory, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const output =
      error instanceof Error && "stdout" in error && "stderr" in error
        ? `${error.stdout}${error.stderr}`
        : "";
    throw new Error(output, { cause: error });
  }
}

test("Prometheus's configuration and rules are valid", () => {
  const prometheus = local.made.clusters[0]?.nodes[0]?.programs.find(({ role }) => role === "prometheus");
  for (const [name, text] of Object.entries(prometheus?.files ?? {})) {
    writeFileSync(join(directory, name), text.replaceAll(/\{\{[A-Z_]+\}\}/g, "127.0.0.1"));
  }
  expect(run("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")).toContain(
    "SUCCESS: 19 rules found",
  );
});

/** Values of each series in promtool's notation, one every 15 seconds, for at least 20 minutes. */
type Values = Readonly<Record<string, string>>;

const TTFT = "dynamo_frontend_time_to_first_token_seconds_bucket";
const ITL = "dynamo_frontend_inter_token_latency_seconds_bucket";
const PREFILL = 'up{job="dynamo-worker",role="prefill",rank="0"}';
const DECODE = (replica: number) => `up{job="dynamo-worker",role="decode",rank="0",replica="${replica}"}`;
const REQUESTS = (labels: string) => `dynamo_frontend_requests_total{model="m",${labels}}`;
const RISING = "0+10x100";

/** A healthy deployment. */
const WELL: Values = {
  [PREFILL]: "1x100",
  [DECODE(0)]: "1x100",
  [DECODE(1)]: "1x100",
  'up{job="dynamo-frontend",program="frontend-0"}': "1x100",
  'up{job="dynamo-node",cluster="main",node="0"}': "1x100",
  [`${TTFT}{model="m",le="0.5"}`]: RISING,
  [`${TTFT}{model="m",le="5"}`]: RISING,
  [`${TTFT}{model="m",le="+Inf"}`]: RISING,
  [`${ITL}{model="m",le="0.05"}`]: RISING,
  [`${ITL}{model="m",le="0.5"}`]: RISING,
  [`${ITL}{model="m",le="+Inf"}`]: RISING,
  'dynamo_frontend_queued_requests{model="m"}': "3x100",
  'dynamo_frontend_inflight_requests{model="m"}': "3x100",
  'dynamo_frontend_output_tokens_total{model="m"}': "0+100x100",
  [REQUESTS('status="success",error_type=""')]: RISING,
  'dynamo_frontend_worker_active_decode_blocks{worker_type="decode",worker_id="1"}': "100x100",
  'dynamo_frontend_model_total_kv_blocks{model="m"}': "1000x100",
  'dynamo_component_gpu_cache_usage_percent{program="decode-0"}': "0.5x100",
  'dynamo_component_kv_publisher_engines_dropped_events_total{program="prefill-0"}': "0x100",
  'dynamo_sky_program_starts_total{name="decode-0",node="0",cluster="main"}': "1x100",
  'dynamo_sky_program_up{name="decode-0",node="0",cluster="main"}': "1x100",
  etcd_server_has_leader: "1x100",
  etcd_mvcc_db_total_size_in_bytes: "1000000x100",
  etcd_server_quota_backend_bytes: "2000000000x100",
  nats_up: "1x100",
  gnatsd_varz_slow_consumers: "0x100",
  nginx_up: "1x100",
};

/** Problems, each with the only alert that must fire. */
const WRONG: readonly (readonly [alert: string, what: string, change: Values])[] = [
  ["DynamoNoWorkers", "the only prefill worker is gone", { [PREFILL]: "1x10 0x90" }],
  ["DynamoWorkersMissing", "one of two decode workers is gone", { [DECODE(1)]: "1x10 0x90" }],
  [
    "DynamoFrontendDown",
    "the frontend is gone",
    { 'up{job="dynamo-frontend",program="frontend-0"}': "0x100" },
  ],
  ["DynamoSlowFirstToken", "first tokens take 5 s", { [`${TTFT}{model="m",le="0.5"}`]: "0x100" }],
  ["DynamoSlowTokens", "tokens take 0.5 s", { [`${ITL}{model="m",le="0.05"}`]: "0x100" }],
  [
    "DynamoQueueGrowing",
    "ever more requests wait",
    { 'dynamo_frontend_queued_requests{model="m"}': "0+5x100" },
  ],
  [
    "DynamoErrors",
    "one in six fails inside",
    { [REQUESTS('status="error",error_type="internal"')]: "0+2x100" },
  ],
  ["DynamoStuck", "no token comes", { 'dynamo_frontend_output_tokens_total{model="m"}': "100x100" }],
  [
    "DynamoKvCacheFull",
    "a KV cache is full",
    {
      'dynamo_frontend_worker_active_decode_blocks{worker_type="decode",worker_id="1"}': "990x100",
      'dynamo_component_gpu_cache_usage_percent{program="decode-0"}': "0.99x100",
    },
  ],
  [
    "DynamoKvEventsDropped",
    "KV events are lost",
    { 'dynamo_component_kv_publisher_engines_dropped_events_total{program="prefill-0"}': "0+1x100" },
  ],
  [
    "DynamoProgramRestarting",
    "three restarts in 15 minutes",
    { 'dynamo_sky_program_starts_total{name="decode-0",node="0",cluster="main"}': "1x40 2x9 3x9 4x50" },
  ],
  [
    "DynamoProgramDown",
    "a program does not run",
    { 'dynamo_sky_program_up{name="decode-0",node="0",cluster="main"}': "0x100" },
  ],
  ["DynamoNodeSilent", "a node is gone", { 'up{job="dynamo-node",cluster="main",node="0"}': "0x100" }],
  ["DynamoEtcdDown", "etcd is gone", { etcd_server_has_leader: "1x10" }],
  [
    "DynamoEtcdFilling",
    "etcd's database is nearly full",
    { etcd_mvcc_db_total_size_in_bytes: "1900000000x100" },
  ],
  ["DynamoNatsDown", "NATS is gone", { nats_up: "0x100" }],
  ["DynamoNatsSlowConsumer", "NATS cuts receivers off", { gnatsd_varz_slow_consumers: "0+1x100" }],
  ["DynamoGatewayDown", "the gateway is gone", { nginx_up: "0x100" }],
];

/** Harmless changes that look like problems. */
const HARMLESS: readonly (readonly [what: string, change: Values])[] = [
  ["nothing", {}],
  ["clients' mistakes", { [REQUESTS('status="error",error_type="validation"')]: "0+20x100" }],
  ["a long queue that shrinks", { 'dynamo_frontend_queued_requests{model="m"}': "500-4x100" }],
  [
    "nobody asks anything",
    {
      'dynamo_frontend_inflight_requests{model="m"}': "0x100",
      'dynamo_frontend_output_tokens_total{model="m"}': "100x100",
      [REQUESTS('status="success",error_type=""')]: "10x100",
    },
  ],
  [
    "one restart",
    { 'dynamo_sky_program_starts_total{name="decode-0",node="0",cluster="main"}': "1x40 2x60" },
  ],
  ["a worker's restart of a few seconds", { [PREFILL]: "1x70 0 1x30" }],
  [
    "an update, which counts starts from 0 again",
    { 'dynamo_sky_program_starts_total{name="decode-0",node="0",cluster="main"}': "9x50 1x50" },
  ],
];

/** A unit test of promtool: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
function unitTest(name: string, change: Values, alerts: readonly string[]) {
  return {
    name,
    interval: "15s",
    input_series: Object.entries({ ...WELL, ...change }).map(([series, values]) => ({ series, values })),
    promql_expr_test: [
      {
        expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: "20m",
        exp_samples: alerts.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
      },
    ],
  };
}

test.each([
  ["of the mocker behind a gateway", local],
  ["of SGLang", sglang],
])("alerts %s fire when something is wrong, and only then", (_which, { config, made }) => {
  const alerts = alertsOf(config, made);
  const names = new Set(alerts.map(({ name }) => name));
  writeFileSync(join(directory, "rules.yml"), renderRules(alerts));
  const tests = [
    ...HARMLESS.map(([what, change]) => unitTest(what, change, [])),
    ...WRONG.map(([alert, what, change]) => unitTest(what, change, names.has(alert) ? [alert] : [])),
  ];
  writeFileSync(
    join(directory, "test.yml"),
    stringify({ rule_files: ["rules.yml"], evaluation_interval: "15s", tests }),
  );
  expect(run("test", "rules", "test.yml")).toContain("SUCCESS");
  const tested = new Set(WRONG.map(([alert]) => alert));
  expect([...names].filter((name) => !tested.has(name))).toEqual([]);
});
