import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { VERSIONS } from "../../config/versions";
import { parseConfig } from "../../plan/config";
import { renderSetup } from "../../sky/setup";

const setupOf = (more: Readonly<Record<string, unknown>>) =>
  renderSetup(parseConfig({ model: "Qwen/Qwen3-8B", ...more }), {
    controlPlane: true,
    gateway: false,
    prometheus: false,
  });

describe("the set-up of a node", () => {
  it.each([
    ["vllm", { hostMemoryGB: 10 }, true],
    ["vllm", {}, false],
    ["sglang", { hostMemoryGB: 10 }, false],
  ])("with %s and kvOffload %j installs vLLM's connector: %s", (engine, kvOffload, expected) => {
    expect(
      setupOf({ engine, kvOffload }).includes(`--no-deps --python "$python" kvbm==${VERSIONS.dynamo}`),
    ).toBe(expected);
  });

  it("is bash", () => {
    const text = setupOf({ engine: "vllm", kvOffload: { hostMemoryGB: 10 } });
    expect(() => execFileSync("bash", ["-n"], { input: text })).not.toThrow();
  });
});
