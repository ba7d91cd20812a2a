/** A new engine is a folder in `engines/` and a line of its list: no other place knows an engine by name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ENGINES } from "../../engines";
import { packageRoot } from "../../lib/root";

/** Everything that runs: rooms, the nodes' runtime, and what stands at the top. */
const PLACES = [
  ...["bin", "cli", "components", "config", "dev", "engines", "index.ts", "lib", "local", "observability"],
  ...["plan", "program.cjs", "runtime", "sky", "toolchain"],
];

/** Places that name an engine of another folder, each with the reason. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "engines/index.ts": "the list",
  "dev/gpu/layouts.ts": "what is measured are flags of one engine, which it says",
  "engines/mocker/index.ts": "it simulates other engines, which its flags choose by name",
  "cli/size/replay.py":
    "a module of Dynamo, whose replay has the mocker as its workers, whatever engine is sized",
  "config/checks/router.ts": "a frontend can parse as an engine does: --dyn-chat-processor takes its name",
};

/**
 * Without comments: they may give an example. Lines are formatted, so that none begins inside a statement.
 */
function code(path: string, text: string): string {
  const plain = /\.(ts|cjs|mjs)$/.test(path)
    ? text.replaceAll(/^\s*(\/\*\*?|\*|\/\/).*$/gm, "").replaceAll(/ \/\/ .*$/gm, "")
    : text.replaceAll(/"""[\s\S]*?"""/g, "").replaceAll(/(^|\s)#.*$/gm, "");
  return plain;
}

/**
 * Lines that name one of the engines, in any spelling that a program uses: `vllm`, `VLLM_PORT`, `vllmHits`.
 */
function naming(path: string, text: string, engines: readonly string[]): string[] {
  const name = new RegExp(engines.flatMap((one) => [one, one.toUpperCase()]).join("|"));
  return code(path, text)
    .split("\n")
    .filter((line) => name.test(line))
    .map((line) => `${path}: ${line.trim()}`);
}

const own = (path: string) => /^engines\/([^/]+)\//.exec(path)?.[1];

const files = PLACES.flatMap((place) =>
  place.includes(".")
    ? [place]
    : readdirSync(join(packageRoot(), place), { recursive: true, encoding: "utf8" }).map((file) =>
        join(place, file),
      ),
).filter((path) => /\.(ts|cjs|mjs|py|sh|conf)$|^bin\/\w/.test(path));

const named = files.map((path) => ({
  path,
  lines: naming(
    path,
    readFileSync(join(packageRoot(), path), "utf8"),
    ENGINES.filter((engine) => engine !== own(path)),
  ),
}));

describe("an engine's name", () => {
  it("stands in its own folder alone, and in the list", () => {
    expect(files.length).toBeGreaterThan(300);
    expect(named.filter(({ path }) => !(path in EXCEPTIONS)).flatMap(({ lines }) => lines)).toEqual([]);
  });

  it("stands in every place that is an exception", () => {
    const needless = Object.keys(EXCEPTIONS).filter(
      (path) => !named.some((one) => one.path === path && one.lines.length > 0),
    );
    expect(needless).toEqual([]);
  });

  it.each([
    ["plan/hub.ts", 'if (engine === "mocker") return;'],
    ["config/reserved.ts", "  VLLM_PORT: undefined,"],
    ["observability/dashboards/engine.ts", "  gauge(S.sglangUsage),"],
    ["runtime/start.py", '    if engine == "trtllm":  # an example'],
    ["engines/vllm/index.ts", 'import { x } from "../sglang";'],
  ])("is found in %s", (path, line) => {
    const others = ENGINES.filter((engine) => engine !== own(path));
    expect(naming(path, `${line}\n`, others)).toHaveLength(1);
  });

  it.each([
    ["plan/hub.ts", " * The mocker's blocks.\n// vllm\nconst x = 1; // as sglang does\n"],
    ["runtime/plan.py", '"""For example dynamo.sglang."""\nx = 1  # the mocker\n'],
    ["engines/vllm/index.ts", 'const NAME = "vllm";\n'],
  ])("may stand in a comment, or in the engine's own folder: %s", (path, text) => {
    const others = ENGINES.filter((engine) => engine !== own(path));
    expect(naming(path, text, others)).toEqual([]);
  });
});
