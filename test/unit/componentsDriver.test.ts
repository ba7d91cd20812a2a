import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DriverCommand, driverText, relativePackageRoot } from "../../components/driverCommand";
import { stableJson } from "../../lib/stableJson";
import { runOnMocks } from "./componentsMocks";

const ROOT = join(__dirname, "..", "..");

describe("the text of a command", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "driver text-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("is the same in every clone: relative to the project", () => {
    const called = (root: string) => `"\${DYNAMO_SKY_ROOT:-${root}}/bin/dynamo-sky"`;
    expect(driverText("local apply", ROOT)).toBe(`${called(".")} local apply`);
    expect(driverText("ready", join(ROOT, "examples"))).toBe(`${called("..")} ready`);
  });

  it("names the package as it is installed, also where that is a link into a store", () => {
    const store = join(directory, "store", "dynamo-sky@1.2.3");
    const project = join(directory, "project");
    mkdirSync(store, { recursive: true });
    mkdirSync(join(project, "node_modules"), { recursive: true });
    symlinkSync(store, join(project, "node_modules", "dynamo-sky"));
    mkdirSync(join(project, "infra"));
    expect(relativePackageRoot(project, store)).toBe("node_modules/dynamo-sky");
    expect(relativePackageRoot(join(project, "infra"), store)).toBe("../node_modules/dynamo-sky");
  });

  it("does not take another copy of the package for this one", () => {
    const project = join(directory, "project");
    mkdirSync(join(project, "node_modules", "dynamo-sky"), { recursive: true });
    mkdirSync(join(directory, "package"));
    expect(relativePackageRoot(project, join(directory, "package"))).toBe("../package");
  });

  it("reaches the driver through any directory name, and through DYNAMO_SKY_ROOT", () => {
    const odd = join(directory, "a }\"$(touch oops)`touch oops`\\ b'c");
    mkdirSync(join(odd, "bin"), { recursive: true });
    writeFileSync(join(odd, "bin", "dynamo-sky"), '#!/bin/sh\necho "$0: $*"\n', { mode: 0o755 });
    const project = join(directory, "project");
    mkdirSync(project);
    const relative = relativePackageRoot(project, odd);
    const text = driverText("local apply", project, odd);
    const run = (env: NodeJS.ProcessEnv) =>
      execFileSync("/bin/sh", ["-c", text], { cwd: project, env, encoding: "utf8" });
    const { PATH } = process.env;
    expect(run({ PATH })).toBe(`${relative}/bin/dynamo-sky: local apply\n`);
    expect(run({ PATH, DYNAMO_SKY_ROOT: odd })).toBe(`${odd}/bin/dynamo-sky: local apply\n`);
  });
});

describe("stableJson", () => {
  it("does not depend on the order in which keys were written, and keeps the order of lists", () => {
    expect(stableJson({ b: [2, 1, { d: 1, c: 2 }], a: { z: null, y: "é" } })).toBe(
      '{"a":{"y":"é","z":null},"b":[2,1,{"c":2,"d":1}]}',
    );
    expect(stableJson({ a: 1, b: undefined })).toBe(stableJson({ b: undefined, a: 1 }));
    expect(stableJson({ a: undefined })).toBe("{}");
  });
});

describe("DriverCommand", () => {
  it("keeps a secret out of everything but the standard input, which is a secret then", async () => {
    const { named } = await runOnMocks("update", () => {
      const input = { endpoint: "http://127.0.0.1:8000", apiKey: pulumi.secret("hush") };
      return new DriverCommand("check", { apply: "ready", input, secretInput: true }, {}).resource;
    });
    const check = named("check");
    expect(check.inputs["stdin"]).toEqual({ secret: '{"apiKey":"hush","endpoint":"http://127.0.0.1:8000"}' });
    expect(check.additionalSecretOutputs).toEqual(["stdout", "stderr"]);
    const { stdin: _, ...others } = check.inputs;
    expect(JSON.stringify(others)).not.toContain("hush");
  });

  it("makes the input a secret when it holds one, even if nobody said so", async () => {
    const { named } = await runOnMocks(
      "update",
      () =>
        new DriverCommand("check", { apply: "ready", input: { apiKey: pulumi.secret("hush") } }, {}).resource,
    );
    expect(named("check").inputs["stdin"]).toEqual({ secret: '{"apiKey":"hush"}' });
  });

  it("keeps what a secret is the basis of a secret, too", async () => {
    const { named } = await runOnMocks("update", () => {
      const first = new DriverCommand(
        "first",
        { apply: "local lease", input: { a: pulumi.secret("hush") }, secretInput: true },
        {},
      );
      return new DriverCommand("second", { apply: "ready", input: {}, basis: first.digest }, {}).resource;
    });
    expect(named("second").inputs["environment"]).toEqual({
      DYNAMO_SKY_BASIS: { secret: expect.stringMatching(/^[0-9a-f]{64}$/) },
      DYNAMO_SKY_OBSERVED: "healthy",
    });
  });

  it("shows a repair as a change, and ignores the mark of a former one while all is well", async () => {
    const repair = { reason: "gone, seen at noon", isCause: false };
    const { named } = await runOnMocks("update", () => {
      new DriverCommand("well", { apply: "local apply", input: {} }, {});
      new DriverCommand("broken", { apply: "local apply", input: {}, repair }, {});
      new DriverCommand(
        "cause",
        { apply: "local apply", input: {}, repair: { ...repair, isCause: true } },
        {},
      );
    });
    expect(named("well").ignoreChanges).toEqual(["environment.DYNAMO_SKY_OBSERVED"]);
    expect(named("well").inputs["environment"]).toEqual({ DYNAMO_SKY_OBSERVED: "healthy" });
    expect(named("broken").ignoreChanges).toEqual([]);
    // The reason is reported at the affected resource only, by a hook of updates: at creation nothing can be
    // missing yet.
    expect(named("broken").beforeUpdate).toEqual([]);
    expect(named("cause").beforeUpdate).toEqual(["cause-repair"]);
    expect(named("broken").inputs["environment"]).toEqual({ DYNAMO_SKY_OBSERVED: "gone, seen at noon" });
  });
});
