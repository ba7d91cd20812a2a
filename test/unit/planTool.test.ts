import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { planStack } from "../../cli/plannedStack";
import { UsageProblem } from "../../cli/pulumi/problem";
import { parseConfig } from "../../plan/config";
import { drawPlan } from "../../plan/drawing/text";
import { plan } from "../../plan/plan";
import { programsOf } from "../../plan/types";
import { packageRoot } from "../../toolchain/index";
import { toolWords } from "../tools";
import { type Deployment, SERVICES, SHAPES } from "./planShapes";

const draw = (input: Deployment, options = {}) => drawPlan(plan(parseConfig(input), SERVICES), options);

describe("the drawing", () => {
  it.each(["dev", "multi", "disagg-multi"] as const)("of %s", (shape) => {
    expect(`\n${draw(SHAPES[shape])}`).toMatchSnapshot();
  });

  it("keeps to the terminal's width", () => {
    for (const line of draw(SHAPES.multi, { width: 72 }).split("\n"))
      expect(line.length).toBeLessThanOrEqual(72);
  });

  it("marks idle GPUs", () => {
    const text = draw({
      ...SHAPES.single,
      cluster: { allowIdleGpus: true },
      pools: [{ role: "aggregated", replicas: 6 }],
    });
    expect(text).toContain("8 GPUs (2 idle)");
    expect(text).toContain("A5   ·   ·");
  });

  it("shows the first of very many nodes", () => {
    const text = draw({
      ...SHAPES.single,
      cluster: { nodes: 100 },
      pools: [{ role: "aggregated", replicas: 800 }],
    });
    expect(text).toContain("… and 96 more nodes");
    expect(text.split("\n").length).toBeLessThan(80);
  });

  it("tells every port, however narrow the terminal", () => {
    const planned = plan(parseConfig(SHAPES.multi), SERVICES);
    const text = drawPlan(planned, { width: 60 });
    const programs = programsOf(planned);
    // Numbered ports of one purpose are merged, from the first to the last.
    const first = programs.flatMap(({ ports }) =>
      Object.entries(ports).flatMap(([purpose, port]) => (/\d$/.test(purpose) ? [] : [`${purpose} ${port}`])),
    );
    expect(first.length).toBeGreaterThan(8);
    for (const port of first) expect(text).toContain(port);
    const drawn = text.split("\n").filter((line) => /^[│┌└]/.test(line));
    expect(Math.max(...drawn.map((line) => line.length))).toBeLessThanOrEqual(60);
  });

  it("quotes what a shell would take apart", () => {
    const text = draw({ ...SHAPES.dev, engineArgs: ["--reasoning", `{"a": "'b'"}`] }, { commands: true });
    expect(text).toContain(`--reasoning '{"a": "'\\''b'\\''"}'`);
    expect(text).toContain(`DYN_RUNTIME_USE_ENDPOINT_HEALTH_STATUS='["generate"]' \\`);
  });
});

describe("bin/dynamo-sky plan", () => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "plan-tool-"));
    const file = (name: string, text: string) => writeFileSync(join(directory, name), text);
    file("Pulumi.yaml", "name: demo\nruntime: nodejs\n");
    file(
      "Pulumi.good.yaml",
      "config:\n  dynamo-sky:model: Qwen/Qwen3-8B\n  dynamo-sky:pools: [{ role: aggregated, replicas: 8 }]\n" +
        "  dynamo-sky:huggingFaceToken:\n    secure: v1:abc\n  aws:region: eu-west-1\n",
    );
    file(
      "Pulumi.bad.yaml",
      "config:\n  dynamo-sky:model: Qwen/Qwen3-8B\n  dynamo-sky:pools: [{ role: aggregated, replicas: 7 }]\n",
    );
    file(
      "Pulumi.open.yaml",
      "config:\n  dynamo-sky:model: Qwen/Qwen3-8B\n  dynamo-sky:pools: [{ role: aggregated, replicas: 8 }]\n" +
        "  dynamo-sky:access: { gateway: false }\n",
    );
    file(
      "Pulumi.twice.yaml",
      "config:\n  dynamo-sky:huggingFaceToken: hf_one\n  dynamo-sky:huggingFaceToken: hf_other\n",
    );
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const run = (...args: string[]) =>
    spawnSync(process.execPath, toolWords("plan", ["-C", directory, ...args]), {
      cwd: packageRoot(),
      encoding: "utf8",
      timeout: 60_000,
    });

  it("plans a stack from its file alone; an encrypted token stays encrypted", () => {
    const { plan: planned } = planStack("good", directory);
    expect(planned.expectedWorkers.aggregated).toBe(8);
    expect(planned.clusters[0]?.nodes[0]?.programs.at(-1)?.secretEnv).toContain("HF_TOKEN");
  });

  it("prints JSON that other programs can read", () => {
    const { status, stdout, stderr } = run("--stack", "good", "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(planStack("good", directory).plan)));
  });

  it("ends with where it runs, and where its price is told", () => {
    const { status, stdout } = run("--stack", "good");
    expect(status).toBe(0);
    expect(stdout.split("\n").slice(-3)).toEqual([
      "infra: any that SkyPilot may use",
      "cost: `pulumi preview` asks SkyPilot",
      "",
    ]);
  });

  it("warns of what a preview warns of, beside the plan", () => {
    const { status, stdout, stderr } = run("--stack", "open");
    expect({ status, isPlan: stdout.startsWith("Qwen/Qwen3-8B on sglang") }).toEqual({
      status: 0,
      isPlan: true,
    });
    expect(stderr).toMatch(/^Caution: The endpoint asks nobody in the cluster's network for a key/);
  });

  it("tells a mistake in the configuration without a stack trace, exit code 2", () => {
    const { status, stdout, stderr } = run("--stack", "bad");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(
      "dynamo-sky:cluster.allowIdleGpus: 1 of 8 GPUs would sit idle (node 0: 1). Set pools[0].replicas to 8, or set cluster.gpusPerNode to 7, or set this to true to accept it.\n",
    );
  });

  it("tells a file that is not YAML by its name and place, without its line, which may hold a secret", () => {
    const reading = () => planStack("twice", directory);
    expect(reading).toThrow(UsageProblem);
    expect(reading).toThrow(/Pulumi\.twice\.yaml is not valid YAML: .+ at line 3, column 3$/);
  });

  it.each([
    [["--stack", "other"], "has no Pulumi.other.yaml. Stacks there: bad, good, open, twice."],
    [[], "--stack NAME is missing. Stacks in "],
    [["--stack", "good", "--jsn"], "unknown option '--jsn'"],
    [["--stack", "../good"], "is not a stack's name"],
  ])("refuses %j with exit code 2", (args, message) => {
    const { status, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
