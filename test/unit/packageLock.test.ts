import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { packageRoot } from "../../toolchain/index";

/** The relevant fields of an entry of package-lock.json. */
interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock: Readonly<Record<string, LockEntry>> = JSON.parse(
  readFileSync(join(packageRoot(), "package-lock.json"), "utf8"),
).packages;

it("package-lock.json has every platform's packages, without which `npm ci` refuses it", () => {
  const missing = Object.entries(lock).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`${path}/node_modules/${name}` in lock) && !(`node_modules/${name}` in lock),
    ),
  );
  expect(missing).toEqual([]);
});

it("package-lock.json names no registry, so that it works with any", () => {
  expect(Object.keys(lock).filter((path) => lock[path]?.resolved !== undefined)).toEqual([]);
});
