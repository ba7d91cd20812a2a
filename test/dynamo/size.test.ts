/** `bin/dynamo-sky size` with the real AIConfigurator, for the smallest model that it knows. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { planStack } from "../../cli/plannedStack";
import type { Priced } from "../../cli/size/layouts";
import { usualEngine } from "../../engines";
import { packageRoot } from "../../lib/root";

/** With the download of AIConfigurator. */
const INSTALL_MS = 600_000;
const directory = mkdtempSync(join(tmpdir(), "dsky-size-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function size(...args: readonly string[]) {
  const command = ["size", "--accelerator", "H100", ...args];
  return spawnSync(join(packageRoot(), "bin", "dynamo-sky"), command, {
    encoding: "utf8",
    timeout: INSTALL_MS,
  });
}

test("size asks AIConfigurator, and writes a stack that plan accepts", { timeout: INSTALL_MS }, () => {
  writeFileSync(join(directory, "Pulumi.yaml"), "name: sized\nruntime: nodejs\n");
  const file = join(directory, "Pulumi.small.yaml");
  const model = ["--model", "Qwen/Qwen3-0.6B", "--gpus", "2", "--engine", usualEngine("sky")];
  const { status, stdout, stderr } = size(...model, "--price", "2.5", "--json", "--write", file);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const { layouts } = JSON.parse(stdout) as { readonly layouts: readonly Priced[] };
  expect(layouts.length).toBeGreaterThan(1);
  for (const { gpus, ttft, tpot, dollarsPerHour, tokensPerSecondPerGpu } of layouts) {
    expect({ gpus, dollarsPerHour }).toEqual({ gpus: 2, dollarsPerHour: 5 });
    expect(ttft).toBeLessThanOrEqual(1000);
    expect(tpot).toBeLessThanOrEqual(20);
    expect(tokensPerSecondPerGpu).toBeGreaterThan(0);
  }
  const { plan } = planStack("small", directory);
  expect(plan.clusters.flatMap(({ nodes }) => nodes.flatMap(({ idleGpus }) => idleGpus))).toEqual([]);
  expect(readFileSync(file, "utf8")).toContain(`${layouts.length} layouts that it offers for 2 GPUs`);
});

test("size says of a model that AIConfigurator does not know which it knows", { timeout: INSTALL_MS }, () => {
  // A directory without a model, so that no hub is asked.
  const { status, stderr } = size("--model", directory, "--gpus", "2", "--engine", usualEngine("sky"));
  expect(status).toBe(2);
  expect(stderr).toContain("does not know it");
  expect(stderr).toContain("Qwen/Qwen3-8B");
});
