/** `predict.py` of `size`, on rows as those of AIConfigurator's search, which itself is not needed here. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Prediction } from "../../cli/size/aiconfigurator";
import { packageRoot } from "../../lib/root";

/** What a script prints as JSON that has `predict.py`, and the value as `given`. */
function inPredict(script: string, given: object | string): unknown {
  const { stdout, stderr } = spawnSync("python3", ["-B", "-c", `${PRELUDE}\n${script}`], {
    encoding: "utf8",
    cwd: join(packageRoot(), "cli", "size"),
    input: JSON.stringify(given),
    timeout: 60_000,
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const PRELUDE = `import json, sys
from predict import *
given = json.load(sys.stdin)`;

const NUMBERS = { gemm: "bfloat16", kvcache: "bfloat16", moe: "bfloat16" };
const worker = (prefix: string, cells: Readonly<Record<string, number | string>>) =>
  Object.fromEntries(
    Object.entries({ ...NUMBERS, version: "1", workers: 1, tp: 1, ...cells }).map(([name, value]) => [
      `${prefix}${name}`,
      value,
    ]),
  );

describe("a prompt with its answer", () => {
  // AIConfigurator itself is not needed: only what it says of the model.
  const asked = (isl: number) =>
    inPredict(
      `from types import ModuleType
def module(name, **members):
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(members)
for name in ["aiconfigurator_core", "aiconfigurator_core.sdk"]:
    module(name)
module("aiconfigurator_core.sdk.common", DefaultHFModels=["a/b"])
module("aiconfigurator_core.sdk.models", check_is_moe=lambda model: False)
module("aiconfigurator_core.sdk.utils", get_model_config_from_model_path=lambda model: {"context": 40960})
print(json.dumps(answer(given)))`,
      { model: "a/b", isl, osl: 500, pairs: [] },
    );

  it("that is longer than the model's context is not asked about", () => {
    expect(asked(40_461)).toEqual({ known: ["a/b"], context: 40_960 });
    expect(asked(40_460)).toEqual({ known: ["a/b"], moe: false, answers: [] });
  });
});

it.each([
  "sweep_agg: no parallel configuration met TTFT. Try relaxing --ttft / --tpot / --request-latency.",
  "sweep_agg: no parallel configuration met TTFT. Selected exception: out of memory\nand a trace",
])("AIConfigurator's reason is told without what it advises itself: %s", (text) => {
  const said = inPredict("print(json.dumps(reason_of(Exception(given))))", text);
  expect(said).toBe("sweep_agg: no parallel configuration met TTFT.");
});

describe("of rows that carry a load", () => {
  it("the one with the fewest requests at a time is taken, where prefill limits them all", () => {
    const row = (batch: number, tpot: number) => ({
      ...worker("(p)", { bs: 1, "seq/s/worker": 10 }),
      ...worker("(d)", { bs: batch, "seq/s/worker": 50 }),
      ...{ ttft: 200, tpot, "tokens/s": 4500, "tokens/s/user": 1000 / tpot, request_rate: 9 },
      ...{ concurrency: batch, num_total_gpus: 2 },
    });
    const question = { need: { rate: 20 }, osl: 500, node: 8 };
    const rows = [row(672, 19.7), row(240, 11.7), row(400, 14)];
    const found = inPredict('print(json.dumps(best_of("disagg", given["rows"], given["question"])))', {
      ...{ question, rows },
    }) as readonly Prediction[];
    expect(found.map(({ tpot, roles }) => [tpot, roles.at(-1)?.batch])).toEqual([[11.7, 240]]);
  });
});
