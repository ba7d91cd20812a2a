/** Files for their owner alone: written by one function of TypeScript and one of Python. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPrivate, writePrivate, writePublic } from "../../lib/files";
import { packageRoot } from "../../lib/root";

const scratch = mkdtempSync(join(tmpdir(), "dsky-private-"));
const file = join(scratch, "below", "file");
const mode = (path: string) => statSync(path).mode & 0o777;
let umask = 0;

beforeAll(() => {
  umask = process.umask(0);
});
afterAll(() => {
  process.umask(umask);
  rmSync(scratch, { recursive: true, force: true });
});

describe("a private file", () => {
  test("is written for its owner alone, in a directory of the owner's, and nothing is left beside it", () => {
    writePrivate(file, "one");
    expect([readFileSync(file, "utf8"), mode(file), mode(join(scratch, "below"))]).toEqual([
      ...["one", 0o600],
      0o700,
    ]);
    chmodSync(file, 0o644);
    writePrivate(file, "two");
    expect([readFileSync(file, "utf8"), mode(file)]).toEqual(["two", 0o600]);
    expect(() => writePrivate(join(scratch, "below"), "text")).toThrow();
    expect(readdirSync(scratch, { recursive: true })).toEqual(["below", join("below", "file")]);
  });

  test("that shall be new replaces none", () => {
    expect(createPrivate(file, "three")).toBe(false);
    expect(readFileSync(file, "utf8")).toBe("two");
    const other = join(scratch, "other");
    expect([createPrivate(other, "four"), readFileSync(other, "utf8"), mode(other)]).toEqual([
      true,
      "four",
      0o600,
    ]);
    rmSync(other);
    expect(readdirSync(join(scratch, "below"))).toEqual(["file"]);
  });

  test("is written by one function of each language", () => {
    const tracked = execFileSync("git", ["ls-files", "*.ts", "*.py"], {
      cwd: packageRoot(),
      encoding: "utf8",
    });
    const writers = tracked
      .trim()
      .split("\n")
      .filter((name) => !/^(test|dev)\//.test(name))
      .filter((name) => {
        const text = readFileSync(join(packageRoot(), name), "utf8");
        return /writeFile(Sync)?\([^;]*0o600|O_CREAT \| os\.O_TRUNC, 0o600/.test(text);
      });
    expect(writers).toEqual(["runtime/files.py"]);
  });
});

test("a public file can be read by all", () => {
  const path = join(scratch, "public");
  writeFileSync(path, "", { mode: 0o600 });
  writePublic(path, "text");
  expect([readFileSync(path, "utf8"), mode(path)]).toEqual(["text", 0o644]);
});
