/** The script that measures layouts on GPUs, rehearsed with the mocker on two nodes of this machine. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { processesOf } from "../../lib/processes";
import { Progress } from "../../lib/progress";
import { packageRoot } from "../../lib/root";
import { findToolchain, nodeEnvironment } from "../../local/toolchain";
import { whyNoTwoHosts } from "../twoHosts";

const MINUTE = 60_000;

describe.skipIf(whyNoTwoHosts() !== undefined)("layouts on GPUs, rehearsed", { timeout: 5 * MINUTE }, () => {
  const directory = mkdtempSync(join(tmpdir(), "gpu-nodes-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("two nodes answer, route by their caches, and leave nothing", async () => {
    const context = { progress: new Progress(() => undefined), signal: new AbortController().signal };
    const needs = {
      services: true,
      gateway: true,
      planner: false,
      prometheus: false,
      model: "Qwen/Qwen3-8B",
    };
    const tools = await findToolchain(needs, { ...context, result: () => undefined });
    const bundle = join(directory, "bundle");
    const tsx = join(packageRoot(), "node_modules", ".bin", "tsx");
    const made = ["dev/gpu.ts", bundle, "--engine", "mocker", "--quick"];
    execFileSync(tsx, made, { cwd: packageRoot(), stdio: "pipe" });
    const out = join(directory, "out");
    const options = ["--only", "nodes", "--path", dirname(tools.pythonBin)];
    execFileSync(tools.pythonBin, [join(bundle, "measure.py"), bundle, out, ...options], {
      env: nodeEnvironment(tools),
      stdio: "pipe",
    });
    const [found] = JSON.parse(readFileSync(join(out, "results.json"), "utf8"));
    const [first, second] = found.proof;
    expect(first.nvext.timing.kv_hit_rate).toBeLessThan(0.1);
    expect(second.nvext.timing.kv_hit_rate).toBeGreaterThan(0.9);
    for (const step of found.steps.steady) {
      expect(step).toMatchObject({ lost: 0 });
      expect(step.requests).toBeGreaterThan(0);
    }
    expect(found.left).toEqual([]);
    expect(processesOf(bundle)).toEqual([]);
  });
});
