/** What the plan tells NVIDIA's planner, read by the planner's own parser. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { AUTOSCALE_TARGETS } from "../../config/autoscale";
import type { ConfigInput } from "../../config/schema";
import { realEngines, SIMULATED } from "../../engines";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { programsOf } from "../../plan/types";
import { ensureToolchain } from "../../toolchain/index";

/**
 * For each configuration: keys that the planner does not know, which it would ignore, and what it refuses.
 */
const SCRIPT = `
import json, sys
import planner
planner.stand_in()
from dynamo.planner.config.planner_config import PlannerConfig
known = set(PlannerConfig.model_fields)
for field in PlannerConfig.model_fields.values():
    known.update(getattr(field.validation_alias, "choices", []))
def read(config):
    try:
        PlannerConfig.model_validate(config)
    except Exception as error:
        return {"unknown": [], "refused": str(error)}
    return {"unknown": sorted(set(config) - known), "refused": None}
print(json.dumps([read(config) for config in json.loads(sys.argv[1])]))
`;

/** Of the planner's environment, where it is not there. */
const INSTALL_MS = 600_000;
const FACTS = { discovery: "etcd", events: "nats" } as const;

type Shape = Pick<ConfigInput, "pools">;

const BOUNDS = { minReplicas: 1, maxReplicas: 3 };
const SHAPES: readonly Shape[] = [
  { pools: [{ role: "aggregated", ...BOUNDS }] },
  { pools: [{ role: "prefill", ...BOUNDS }, { role: "decode" }] },
  { pools: [{ role: "prefill" }, { role: "decode", ...BOUNDS }] },
  {
    pools: [
      { role: "prefill", ...BOUNDS },
      { role: "decode", ...BOUNDS },
    ],
  },
];

const thresholdsOf = ({ pools }: Shape) => ({
  ...(pools?.some((pool) => pool.role === "prefill" && pool.maxReplicas !== undefined)
    ? { scaleUpQueueTokens: 8000, scaleDownQueueTokens: 1000 }
    : {}),
  ...(pools?.some((pool) => pool.role !== "prefill" && pool.maxReplicas !== undefined)
    ? { scaleUpKvPercent: 60, scaleDownKvPercent: 10 }
    : {}),
});

/** `planner.json` of a deployment. */
function configurationOf(shape: Shape, target: (typeof AUTOSCALE_TARGETS)[number], engine: string): unknown {
  const config = parseConfig({
    model: "Qwen/Qwen3-8B",
    engine,
    cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100", allowIdleGpus: true },
    autoscale: { target, ...(target === "load" ? thresholdsOf(shape) : {}) },
    sky: { infra: "aws" },
    ...shape,
  } as ConfigInput);
  const { files } = programsOf(plan(config, FACTS)).find(({ role }) => role === "planner") ?? {};
  return JSON.parse(files?.["planner.json"] ?? "");
}

async function readByPlanner(configurations: readonly unknown[]): Promise<unknown> {
  const { planner } = await ensureToolchain({ need: ["planner"] });
  // What the planner imports leaves files there.
  const TMPDIR = mkdtempSync(join(tmpdir(), "planner-"));
  const env = { ...process.env, PYTHONPATH: join(packageRoot(), "runtime"), DYN_LOG: "off", TMPDIR };
  try {
    const words = ["-c", SCRIPT, JSON.stringify(configurations)];
    const { stdout } = await promisify(execFile)(planner?.path ?? "", words, { env });
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  } finally {
    rmSync(TMPDIR, { recursive: true });
  }
}

const CASES = SHAPES.flatMap((shape) =>
  AUTOSCALE_TARGETS.flatMap((target) =>
    [...realEngines(), SIMULATED].map((engine) => ({ shape, target, engine })),
  ),
);

test("every target, shape and engine is understood whole", { timeout: INSTALL_MS }, async () => {
  const given = CASES.map(({ shape, target, engine }) => configurationOf(shape, target, engine));
  expect(await readByPlanner(given)).toEqual(CASES.map(() => ({ unknown: [], refused: null })));
});

test("a key and a value that it does not have are seen", { timeout: INSTALL_MS }, async () => {
  const [first] = CASES;
  if (first === undefined) throw new Error("there is no case");
  const given = configurationOf(first.shape, first.target, first.engine) as object;
  expect(
    await readByPlanner([
      { ...given, max_gpu_bugdet: 1 },
      { ...given, mode: "other" },
    ]),
  ).toEqual([
    { unknown: ["max_gpu_bugdet"], refused: null },
    { unknown: [], refused: expect.stringContaining("mode") },
  ]);
});
