/** The import rules between directories (`.dependency-cruiser.cjs`) find violations. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { packageRoot } from "../../lib/root";

const root = packageRoot();
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynamo-sky-rooms-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Names of the rules that these files violate. */
function broken(files: Readonly<Record<string, string>>): string[] {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const cruiser = join(root, "node_modules", "dependency-cruiser", "bin", "dependency-cruiser.mjs");
  const config = join(root, ".dependency-cruiser.cjs");
  const args = [cruiser, "--config", config, "--output-type", "json", "."];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: directory, encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  const { summary } = JSON.parse(stdout) as {
    summary: { violations: readonly { rule: { name: string } }[] };
  };
  return [...new Set(summary.violations.map(({ rule }) => rule.name))].toSorted();
}

const from = (path: string) => `import { x } from "${path}";\nexport const y = x;\n`;
const X = "export const x = 1;\n";

describe("imports between rooms", () => {
  it("may go down", () => {
    expect(broken({ "plan/a.ts": from("../lib/b"), "lib/b.ts": X })).toEqual([]);
  });

  it.each([
    ["lib", "plan"],
    ["config", "plan"],
    ["plan", "sky"],
    ["sky", "local"],
    ["toolchain", "dev"],
    ["components", "cli"],
    ["cli", "dev"],
    ["dev", "test"],
  ])("may not go up: %s to %s", (room, above) => {
    const files = { [`${room}/a.ts`]: from(`../${above}/b`), [`${above}/b.ts`]: X };
    expect(broken(files)).toEqual([`${room}-imports-from-below`]);
  });

  it("may not go up for a type either", () => {
    const files = {
      "lib/a.ts": 'import type { T } from "../plan/b";\nexport type U = T;\n',
      "plan/b.ts": "export type T = 1;\n",
    };
    expect(broken(files)).toEqual(["lib-imports-from-below"]);
  });

  it.each(["node:fs", "fs", "node:fs/promises", "node:child_process", "node:os", "node:process"])(
    "may not bring into the plan what asks the machine: %s",
    (name) => {
      const files = { "plan/a.ts": `import * as x from "${name}";\nexport const y = x;\n` };
      expect(broken(files)).toEqual(["plan-asks-nobody"]);
    },
  );

  it("may bring into the plan what computes alone", () => {
    expect(broken({ "plan/a.ts": 'import { isIP } from "node:net";\nexport const x = isIP;\n' })).toEqual([]);
  });

  it("may not go round in a circle, but for types", () => {
    const circle = {
      "lib/a.ts": `${from("./b")}export type T = 1;\n`,
      "lib/b.ts": 'import { y } from "./a";\nexport const x = 1;\nexport const z = y;\n',
    };
    expect(broken(circle)).toEqual(["no-cycles"]);
    const types = { ...circle, "lib/b.ts": 'import type { T } from "./a";\nexport const x: T = 1;\n' };
    expect(broken(types)).toEqual([]);
  });
});
