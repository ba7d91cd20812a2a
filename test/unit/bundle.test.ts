/** Bundles of our own programs (lib/bundle.cjs): never older than their sources. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { packageRoot } from "../../lib/root";

let directory = "";
const write = (file: string, text: string) => writeFileSync(join(directory, file), text);
const bundles = () =>
  readdirSync(join(directory, "node_modules/.cache/bundles")).filter((x) => /^main-/.test(x));
const run = (...args: string[]) =>
  execFileSync(process.execPath, [join(directory, "lib/bundle.cjs"), "main", ...args], { encoding: "utf8" });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dsky-bundle-"));
  mkdirSync(join(directory, "lib"));
  mkdirSync(join(directory, "node_modules"));
  cpSync(join(packageRoot(), "lib/bundle.cjs"), join(directory, "lib/bundle.cjs"));
  symlinkSync(join(packageRoot(), "node_modules/tsx"), join(directory, "node_modules/tsx"));
  write("package.json", "{}");
  write("package-lock.json", "{}");
  write("part.ts", `export const word: string = "first";`);
  write(
    "main.ts",
    `import { word } from "./part";\nconsole.log(word, __dirname, process.argv.slice(2).join());`,
  );
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it("are made once, and run with the arguments and the directory of the program", () => {
  expect(run("local", "apply")).toBe(`first ${directory} local,apply\n`);
  expect(run()).toBe(`first ${directory} \n`);
  expect(bundles()).toHaveLength(1);
});

it.each([
  ["a source", "part.ts", `export const word = "second";`, "second"],
  ["what is installed", "package-lock.json", `{ "packages": {} }`, "first"],
])("are made anew after a change of %s", (_, file, text, word) => {
  run();
  write(file, text);
  expect(run()).toContain(word);
  expect(bundles()).toHaveLength(2);
});

it("say which source is wrong", () => {
  write("part.ts", "export const = 1;");
  expect(() => run()).toThrow(/part\.ts/);
});
