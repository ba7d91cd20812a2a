/** Choice of the Pulumi CLI: the one on PATH is preferred over one built or downloaded earlier. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { VERSIONS } from "../../config/versions";
import { buildGoProgram } from "../../toolchain/go";
import { ensurePulumi, locatePulumi } from "../../toolchain/pulumi";

const NEWER = VERSIONS.pulumi.replace(/\d+$/, (patch) => String(Number(patch) + 1));
let scratch: string;
let cache: string;
let userBin: string;
let cacheBin: string;
const path = process.env["PATH"];

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "toolchain-pulumi-"));
  cache = join(scratch, "cache");
  userBin = join(scratch, "bin");
  cacheBin = join(cache, `pulumi-${VERSIONS.pulumi}-nocgo`, "bin");
  for (const directory of [userBin, cacheBin]) mkdirSync(directory, { recursive: true });
  process.env["PATH"] = `${userBin}:${cacheBin}:/usr/bin:/bin`;
});

afterEach(() => {
  process.env["PATH"] = path;
  rmSync(scratch, { recursive: true, force: true });
});

/** A program that prints a version, and counts its calls. */
function pulumi(directory: string, version: string): string {
  const file = join(directory, "pulumi");
  writeFileSync(file, `#!/bin/sh\necho asked >> ${directory}/asked\necho v${version}\n`);
  chmodSync(file, 0o755);
  return file;
}

const asked = (directory: string) => readFileSync(join(directory, "asked"), "utf8").split("\n").length - 1;

it("is the cache's where there is none on PATH, though the cache's directory is on it", async () => {
  const built = pulumi(cacheBin, VERSIONS.pulumi);
  expect(locatePulumi(cache)).toBeUndefined();
  expect(await ensurePulumi(cache, () => undefined)).toMatchObject({ path: built });
  expect(locatePulumi(cache)).toMatchObject({ path: built });
});

it("is the one on PATH from the moment when it is there, and is asked for its version once", async () => {
  pulumi(cacheBin, VERSIONS.pulumi);
  await ensurePulumi(cache, () => undefined);
  const official = pulumi(userBin, NEWER);
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  expect(await ensurePulumi(cache, say)).toMatchObject({ path: official, version: NEWER });
  expect(await ensurePulumi(cache, say)).toMatchObject({ path: official, version: NEWER });
  expect(locatePulumi(cache)).toMatchObject({ path: official, version: NEWER });
  expect(asked(userBin)).toBe(1);
  expect(lines).toEqual([`Pulumi ${NEWER}: found on PATH, ${official}`]);
});

it.each(["3.0.0", "4.0.0"])(
  "is the cache's where that on PATH, %s, will not do, which is said once",
  async (version) => {
    const built = pulumi(cacheBin, VERSIONS.pulumi);
    const old = pulumi(userBin, version);
    const lines: string[] = [];
    for (const _ of [1, 2]) {
      expect(await ensurePulumi(cache, (line) => void lines.push(line))).toMatchObject({ path: built });
    }
    expect(asked(userBin)).toBe(1);
    expect(lines).toEqual([
      `Pulumi ${version} on PATH (${old}) is not used: ${VERSIONS.pulumi} or a newer one of the same major version is needed`,
      `Pulumi ${VERSIONS.pulumi}: found in the cache, ${built}`,
    ]);
  },
);

it("is built without cgo, as official builds are", async () => {
  const go = join(userBin, "go");
  const log = join(scratch, "go.log");
  writeFileSync(go, `#!/bin/sh\necho "$1 $CGO_ENABLED" >> ${log}\n`);
  chmodSync(go, 0o755);
  const program = {
    package: "example.com/p",
    version: "1.0.0",
    output: join(scratch, "p"),
    limitSeconds: 20,
  };
  await buildGoProgram(go, program, () => undefined);
  expect(readFileSync(log, "utf8").trim().split("\n").slice(-2)).toEqual(["get 0", "build 0"]);
});
