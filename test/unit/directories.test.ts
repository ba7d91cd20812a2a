/** This program's own directories, before anything is put there. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ensureOwnDirectories } from "../../lib/dirs";
import { packageRoot } from "../../lib/root";

const scratch = mkdtempSync(join(tmpdir(), "directories-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const own =
  (state: string, cache = join(scratch, "cache")) =>
  () =>
    ensureOwnDirectories({ DYNAMO_SKY_STATE: state, DYNAMO_SKY_CACHE: cache });

describe("a directory of states, or a cache", () => {
  const file = join(scratch, "file");
  writeFileSync(file, "");

  it("is made, and left as it is when it is there", () => {
    const state = join(scratch, "a", "b", "state");
    own(state)();
    own(state)();
    expect(existsSync(state)).toBe(true);
    expect(readdirSync(state)).toEqual([]);
  });

  it.each([
    [file, "is a file, or below one"],
    [join(file, "state"), "is a file, or below one"],
    // mkdir of Node would try for ever here.
    ["/proc/dynamo-sky/state", "is where no directory can be made"],
    ["/proc", "is where no directory can be made"],
  ])("that cannot be one is refused with the way: %s", (directory, why) => {
    expect(own(directory)).toThrow(
      `The directory of states ${directory} ${why}. Set DYNAMO_SKY_STATE to a directory that you can write to, or mend this one.`,
    );
    expect(own(join(scratch, "state"), directory)).toThrow(
      `The cache ${directory} ${why}. Set DYNAMO_SKY_CACHE`,
    );
  });

  it("is refused by the commands before anything starts, in one line", () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(packageRoot(), "toolchain", "bootstrap.mjs"), "dynamo-sky", "status", "--stack", "dev"],
      { encoding: "utf8", env: { ...process.env, DYNAMO_SKY_STATE: "/proc/dynamo-sky" } },
    );
    expect(stderr).toContain("The directory of states /proc/dynamo-sky is where no directory can be made.");
    expect(stderr).not.toMatch(/^ +at |ENOENT/m);
    expect(status).not.toBe(0);
  });
});
