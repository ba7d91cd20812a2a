/**
 * `bin/dynamo-sky size` with the real AIConfigurator, for the smallest model that it knows, and with the real
 * offline replay of Dynamo.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { planStack } from "../../cli/plannedStack";
import { ACCELERATORS, GPUS_OF_A_NODE } from "../../cli/size/accelerators";
import { aiconfiguratorPython } from "../../cli/size/aiconfigurator";
import type { Priced } from "../../cli/size/layouts";
import { replay } from "../../cli/size/replay";
import { VERSIONS } from "../../config/versions";
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
  const load = ["--shared-prefix", "3500", "--prefixes", "8"];
  const { status, stdout, stderr } = size(...model, ...load, "--price", "2.5", "--json", "--write", file);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const { layouts } = JSON.parse(stdout) as { readonly layouts: readonly Priced[] };
  expect(layouts.length).toBeGreaterThan(1);
  for (const { gpus, ttft, tpot, dollarsPerHour, tokensPerSecondPerGpu } of layouts) {
    expect({ gpus, dollarsPerHour }).toEqual({ gpus: 2, dollarsPerHour: 5 });
    expect(ttft).toBeLessThanOrEqual(1000);
    expect(tpot).toBeLessThanOrEqual(20);
    expect(tokensPerSecondPerGpu).toBeGreaterThan(0);
  }
  const [best] = layouts;
  expect(best?.cached?.by).toContain(VERSIONS.dynamo);
  // Eight prefixes fit in every cache: all of them are found, a block more or less.
  expect(best?.cached?.kv.share).toBeCloseTo(3500 / 4000, 1);
  expect(best?.cached?.kv.tokensPerSecondPerGpu).toBeGreaterThan(best?.tokensPerSecondPerGpu ?? Number.NaN);
  const { plan, config } = planStack("small", directory);
  expect(config.router.mode).toBe("kv");
  expect(plan.clusters.flatMap(({ nodes }) => nodes.flatMap(({ idleGpus }) => idleGpus))).toEqual([]);
  expect(readFileSync(file, "utf8")).toContain(`${layouts.length} layouts that it offers for 2 GPUs`);
});

describe("Dynamo's offline replay", () => {
  const worker = { role: "aggregated", workers: 4, kvTokens: 40_000, batch: 4 } as const;
  const aggregated = { roles: [worker], concurrency: 16, requests: 400 };
  const roles = [
    { ...worker, role: "prefill" },
    { ...worker, role: "decode" },
  ] as const;

  /** Sixteen prefixes of 8,192 tokens, of which a worker's cache holds four. */
  function writeTrace(name: string): string {
    const file = join(directory, name);
    // Pseudo-random, and the same each time (the generator of Numerical Recipes): no worker gets its own by
    // chance.
    let state = 1;
    const lines = Array.from({ length: 400 }, (_, index) => {
      state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
      const prefix = Math.floor((state / 2 ** 32) * 16);
      const hash_ids = [...Array.from({ length: 16 }, (_, block) => prefix * 100 + block), 100_000 + index];
      return JSON.stringify({ timestamp: index, input_length: 17 * 512, output_length: 20, hash_ids });
    });
    writeFileSync(file, lines.join("\n"));
    return file;
  }

  test("finds more of a trace in caches with the KV-aware router", { timeout: INSTALL_MS }, async () => {
    const load = { trace: writeTrace("trace.jsonl"), blockTokens: 512 };
    const layouts = [
      aggregated,
      { ...aggregated, roles },
      { ...aggregated, roles: [{ ...worker, kvTokens: 64 }] },
    ];
    const said = await replay({ load, layouts }, () => undefined);
    expect(said.version).toBe(VERSIONS.dynamo);
    const [whole, parts, tooSmall] = said.layouts;
    for (const shares of [whole, parts]) {
      if (shares === undefined || "problem" in shares) throw new Error(JSON.stringify(shares));
      expect(shares.requests).toBe(400);
      expect(shares.kv).toBeGreaterThan(shares.roundRobin + 0.1);
      expect(shares.kv).toBeLessThan(1);
    }
    expect(tooSmall).toEqual({
      problem: "400 of 400 requests were not answered: they do not fit in the cache",
    });
  });

  test("makes prefixes itself, and has a cache of its own choice", { timeout: INSTALL_MS }, async () => {
    const load = { isl: 4000, osl: 20, prefix: 3500, prefixes: 2 };
    const layouts = [{ ...aggregated, roles: [{ ...worker, kvTokens: null }] }];
    const [shares] = (await replay({ load, layouts }, () => undefined)).layouts;
    if (shares === undefined || "problem" in shares) throw new Error(JSON.stringify(shares));
    // The second half: the caches are filled.
    expect(shares).toMatchObject({ requests: 200, kvTokens: [expect.any(Number)] });
    expect(shares.kv).toBeCloseTo(3500 / 4000, 1);
  });

  test("says what is wrong with a trace", { timeout: INSTALL_MS }, async () => {
    const trace = join(directory, "wrong.jsonl");
    writeFileSync(trace, JSON.stringify({ input_length: 5000, output_length: 1, hash_ids: [1] }));
    const said = await replay({ load: { trace, blockTokens: 512 }, layouts: [aggregated] }, () => undefined);
    expect(said.layouts).toEqual([
      { problem: expect.stringContaining("input_length 5000 exceeds hash_ids") },
    ]);
  });
});

const SYSTEMS = `import json, yaml
from importlib.resources import files
systems = files("aiconfigurator_core") / "systems"
measured = [name.removesuffix(".csv") for name in json.loads((systems / "support_matrix/index.json").read_text())["files"]]
nodes = {name: yaml.safe_load((systems / f"{name}.yaml").read_text())["node"] for name in measured}
print(json.dumps({name: node["num_gpus_per_node"] for name, node in nodes.items()}))`;

test("size tries everything that AIConfigurator has measured in machines with eight GPUs, but Intel's", {
  timeout: INSTALL_MS,
}, async () => {
  const python = await aiconfiguratorPython(() => undefined);
  const { stdout, stderr } = spawnSync(python, ["-c", SYSTEMS], { encoding: "utf8", timeout: 60_000 });
  expect(stderr).toBe("");
  const measured = Object.entries(JSON.parse(stdout) as Readonly<Record<string, number>>);
  const eight = measured.filter(([, gpus]) => gpus === GPUS_OF_A_NODE).map(([name]) => name);
  expect(eight.toSorted()).toEqual([...Object.values(ACCELERATORS), "b60"].toSorted());
});

test("size says of a model that AIConfigurator does not know which it knows", { timeout: INSTALL_MS }, () => {
  // A directory without a model, so that no hub is asked.
  const { status, stderr } = size("--model", directory, "--gpus", "2", "--engine", usualEngine("sky"));
  expect(status).toBe(2);
  expect(stderr).toContain("does not know it");
  expect(stderr).toContain("Qwen/Qwen3-8B");
});
