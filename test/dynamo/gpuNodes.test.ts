/** The script that measures layouts on GPUs, rehearsed with the mocker on two nodes of this machine. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { processesOf } from "../../lib/processes";
import { packageRoot } from "../../lib/root";
import { nodeEnvironment } from "../../local/toolchain";
import { whyNoTwoHosts } from "../twoHosts";
import { toolchainWith } from "./toolchain";

const MINUTE = 60_000;

describe.skipIf(whyNoTwoHosts() !== undefined)("layouts on GPUs, rehearsed", { timeout: 5 * MINUTE }, () => {
  const directory = mkdtempSync(join(tmpdir(), "gpu-nodes-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** What was measured of the first of these layouts. */
  async function measured(layout: string, ...options: string[]) {
    const tools = await toolchainWith({ services: true, gateway: true });
    const bundle = join(directory, `bundle-${layout}`);
    const tsx = join(packageRoot(), "node_modules", ".bin", "tsx");
    const made = ["dev/gpu.ts", bundle, "--engine", "mocker", "--quick"];
    execFileSync(tsx, made, { cwd: packageRoot(), stdio: "pipe" });
    const out = join(directory, `out-${layout}`);
    const where = ["--only", layout, "--path", dirname(tools.pythonBin)];
    execFileSync(tools.pythonBin, [join(bundle, "measure.py"), bundle, out, ...where, ...options], {
      env: nodeEnvironment(tools),
      stdio: "pipe",
    });
    expect(processesOf(bundle)).toEqual([]);
    const [found] = JSON.parse(readFileSync(join(out, "results.json"), "utf8"));
    expect(found.left).toEqual([]);
    return found;
  }

  test("two nodes answer, route by their caches, and leave nothing", async () => {
    const found = await measured("nodes");
    const [first, second] = found.proof;
    expect(first.nvext.timing.kv_hit_rate).toBeLessThan(0.1);
    expect(second.nvext.timing.kv_hit_rate).toBeGreaterThan(0.9);
    for (const step of found.steps.steady) {
      expect(step).toMatchObject({ lost: 0, silent: 0 });
      expect(step.requests).toBeGreaterThan(0);
    }
  });

  test("flags are changed one replica after the other, under load", async () => {
    const others = ["steady", "ways", "shared prefixes", "router mode", "router mode back", "plan's flags"];
    const roundRobin = others.map((name) => `${name}, round robin`);
    const more = ["to more flags", "warm-up of more flags", "more flags"];
    const found = await measured("kv", "--apart", "--skip", [...others, ...roundRobin, ...more].join(","));
    expect(found.steps.rolled).toMatchObject({
      lost: 0,
      changed: [{ unit: "aggregated-0" }, { unit: "aggregated-1" }],
    });
    const each = found.steps["first flags"];
    expect(each).toMatchObject([
      { worker: 0, lost: 0 },
      { worker: 1, lost: 0 },
    ]);
    for (const { requests } of each) expect(requests).toBeGreaterThan(0);
  });
});
