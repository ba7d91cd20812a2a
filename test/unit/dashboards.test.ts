/** The dashboards as Grafana's JSON, and the files for your own Prometheus and Grafana. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { metricsFiles, missingAddresses } from "../../cli/metrics/files";
import { packageRoot } from "../../lib/root";
import { dashboardsOf, grafanaJson, VARIABLES } from "../../observability/dashboards";
import { parseConfig } from "../../plan/config";
import { alertsOf, expression } from "../../plan/metrics/alerts";
import { SERIES, type Series } from "../../plan/metrics/series";
import { plan } from "../../plan/plan";
import { toolWords } from "../tools";
import { type Deployment, SERVICES, SHAPES } from "./planShapes";

const ON = { metrics: { prometheus: true }, access: { gateway: true } } as const;
const planned = (input: Deployment) => {
  const config = parseConfig(input);
  return { config, made: plan(config, SERVICES) };
};
const dashboards = (input: Deployment) => {
  const { config, made } = planned(input);
  return dashboardsOf(config, made);
};
const panelsOf = (input: Deployment) =>
  dashboards(input).flatMap(({ rows }) => rows.flatMap(({ panels }) => panels));

/** Names of series in a query, found by Prometheus's own grammar; throws on a syntax error. */
function seriesIn(query: string): string[] {
  const expr = query.replaceAll(VARIABLES.interval, "1m");
  const names: string[] = [];
  parser.parse(expr).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expr}`);
      // The name in a selector; labels have other types.
      if (type.name === "Identifier") names.push(expr.slice(from, to));
    },
  });
  return [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, "")))];
}

/** Created by Prometheus itself for every target. */
const OWN = ["up", "scrape_duration_seconds"];

describe.each(Object.entries(SHAPES))("%s", (_name, shape) => {
  const input = { ...shape, ...ON };

  test("every query is PromQL, and asks for the series that its panel names", () => {
    for (const { title, queries, series } of panelsOf(input)) {
      const asked = new Set(
        queries.flatMap(({ expr }) => seriesIn(expr)).filter((name) => !OWN.includes(name)),
      );
      expect([title, [...asked].toSorted()]).toEqual([title, series.map((one) => one.name).toSorted()]);
    }
  });

  test("every alert is PromQL, and rests on the series that it names", () => {
    const { config, made } = planned(input);
    for (const alert of alertsOf(config, made)) {
      const asked = seriesIn(expression(alert)).filter((name) => !OWN.includes(name));
      expect([alert.name, asked.toSorted()]).toEqual([
        alert.name,
        alert.series.map((one) => one.name).toSorted(),
      ]);
    }
  });
});

test("every series is asked for by a dashboard of some deployment", () => {
  const asked = new Set(
    Object.values(SHAPES).flatMap((shape) => panelsOf({ ...shape, ...ON }).flatMap(({ series }) => series)),
  );
  const all: readonly Series[] = Object.values(SERIES);
  expect(all.filter((one) => !asked.has(one)).map(({ name }) => name)).toEqual([]);
});

test("panels say what they show, and in a row no two have one title", () => {
  for (const shape of Object.values(SHAPES)) {
    for (const { rows } of dashboards({ ...shape, ...ON })) {
      for (const { panels } of rows) {
        expect(panels.every(({ about }) => /\.$/.test(about) || about.includes("https:"))).toBe(true);
        expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
      }
    }
  }
});

test("a deployment without gateway, KV router and exporters has no panels for them", () => {
  const { metrics: _, access: __, ...plain } = { ...SHAPES.single, ...ON };
  const titles = dashboards({ ...plain, access: { gateway: false } }).flatMap(({ rows }) =>
    rows.map(({ title }) => title),
  );
  expect(titles).toEqual([
    "Now",
    "Requests",
    "Latency",
    "Tokens",
    "Workers",
    "sglang",
    "Programs",
    "etcd",
    "Prometheus",
  ]);
});

describe("Grafana's JSON", () => {
  const all = dashboards({ ...SHAPES.dev, ...ON }).map((dashboard) => JSON.parse(grafanaJson(dashboard)));

  test("has a data source and a deployment to choose", () => {
    for (const { templating, uid } of all) {
      expect(templating.list.map(({ name }: { name: string }) => name)).toEqual(["datasource", "deployment"]);
      expect(uid).toMatch(/^dynamo-[a-z]+$/);
    }
  });

  test("lays panels out side by side, each with an id, and none over another", () => {
    for (const { panels } of all) {
      const ids = panels.map(({ id }: { id: number }) => id);
      expect(new Set(ids).size).toBe(panels.length);
      const taken = new Set<string>();
      for (const { gridPos } of panels) {
        expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            expect(taken.has(`${x} ${y}`)).toBe(false);
            taken.add(`${x} ${y}`);
          }
        }
      }
    }
  });

  test("asks the chosen data source", () => {
    const queried = all.flatMap(({ panels }) => panels).filter(({ type }) => type !== "row");
    expect(queried.length).toBeGreaterThan(40);
    for (const { datasource } of queried)
      expect(datasource).toEqual({ type: "prometheus", uid: "$datasource" });
  });
});

describe("files for a Prometheus of one's own", () => {
  const { config, made } = planned({
    ...SHAPES["disagg-multi"],
    metrics: { exporters: true },
    access: { gateway: false },
  });

  test("need the address of every node", () => {
    expect(missingAddresses(made, new Map([["main/0", "10.0.0.5"]]))).toEqual(["main/1"]);
  });

  const addresses = new Map([
    ["main/0", "10.0.0.5"],
    ["main/1", "10.0.0.6"],
  ]);

  test("list each target with its address and its deployment", () => {
    const { files, notes } = metricsFiles("prod", config, made, addresses);
    expect(notes).toEqual([]);
    const workers: readonly { readonly targets: readonly string[]; readonly labels: object }[] = JSON.parse(
      files["targets/dynamo-worker.json"] ?? "",
    );
    expect(workers.map(({ targets }) => targets[0])).toEqual([
      "10.0.0.5:9100",
      "10.0.0.5:9101",
      "10.0.0.6:9100",
      "10.0.0.6:9101",
    ]);
    expect(workers[0]?.labels).toMatchObject({ deployment: "prod", role: "prefill", replica: "0" });
    expect(JSON.stringify(Object.values(files))).not.toMatch(/\{\{[A-Z]/);
    const { scrape_configs: jobs } = parse(files["prometheus.yml"] ?? "");
    for (const { file_sd_configs: lists } of jobs) expect(Object.keys(files)).toContain(lists[0].files[0]);
  });

  test("say what they leave out", () => {
    const guarded = planned({ ...SHAPES.throughput, access: { gateway: true } });
    const { files, notes } = metricsFiles("prod", guarded.config, guarded.made, addresses);
    expect(Object.keys(files).filter((path) => path.startsWith("targets/"))).toEqual([
      "targets/dynamo-worker.json",
      "targets/etcd.json",
    ]);
    expect(notes.map((note) => note.slice(0, 36))).toEqual([
      "The deployment has no exporters: not",
      "The frontends are behind the gateway",
    ]);
    expect(files["README.md"]).toContain("The frontends are behind the gateway");
  });
});

describe("docs/metrics.md", () => {
  const text = readFileSync(join(packageRoot(), "docs/metrics.md"), "utf8");

  test("tells of every alert what to do", () => {
    const { config, made } = planned({ ...SHAPES.dev, ...ON });
    const names = new Set(alertsOf(config, made).map(({ name }) => name));
    const rows = [...text.matchAll(/^\| `(Dynamo\w+)` \|/gm)].map(([, name = ""]) => name);
    expect(rows).toEqual([...names]);
  });

  test("lists the series that need a GPU", () => {
    const all: readonly Series[] = Object.values(SERIES);
    const listed = [...text.matchAll(/^\| (`[a-z].*?) \| (?:SGLang|vLLM|TensorRT)/gm)].flatMap(
      ([, cell = ""]) => cell.split(", ").map((name) => name.replaceAll("`", "")),
    );
    const needing = all.filter(({ engines }) => engines !== undefined && !engines.includes("mocker"));
    expect(listed).toEqual(needing.map(({ name }) => name));
  });
});

describe("bin/dynamo-sky metrics", () => {
  const tool = (...args: readonly string[]) =>
    spawnSync(process.execPath, toolWords("metrics", args), { cwd: packageRoot(), encoding: "utf8" });

  test("writes the files, and says which", () => {
    const out = mkdtempSync(join(tmpdir(), "dsky-metrics-"));
    try {
      const { status, stdout } = tool("--stack", "dev", "--out", out);
      expect(status).toBe(0);
      expect(stdout).toContain(join(out, "dashboards/dynamo-service.json"));
      expect(readFileSync(join(out, "targets/dynamo-frontend.json"), "utf8")).toContain('"127.0.0.1:8000"');
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });

  test("says which nodes there are", () => {
    expect(tool("--stack", "multi", "--address", "main/7=h")).toMatchObject({
      status: 2,
      stderr: "--address main/7=h is not NODE=HOST. Nodes: main/0, main/1.\n",
    });
  });

  test("says what to ask", () => {
    expect(tool("--stack", "multi", "--check")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--prometheus is missing"),
    });
  });
});
