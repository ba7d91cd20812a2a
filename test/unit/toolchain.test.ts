import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VERSIONS } from "../../config/versions";
import { cacheDir, pulumiHome, stateDir } from "../../lib/dirs";
import { findOnPath, run } from "../../lib/run";
import { packageRoot } from "../../toolchain/index";
import { installDirectory, readStamp, withLock, writeStamp } from "../../toolchain/install";
import { modelDirectoryName } from "../../toolchain/model";
import { officialPluginsArePresent } from "../../toolchain/plugins";
import { requirementsFile } from "../../toolchain/python";
import { findSky, skyAtHand, skyPilotDirectory } from "../../toolchain/skypilot";
import { isAtLeast, isCompatible, isUsableEtcd, isUsableNats, parseVersion } from "../../toolchain/version";

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "toolchain-test-"));
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

describe("versions", () => {
  it.each([
    ["etcd Version: 3.4.23\nGit SHA: abc", [3, 4, 23]],
    ["nats-server: v2.9.10", [2, 9, 10]],
    ["none", undefined],
  ])("reads %j", (text, version) => {
    expect(parseVersion(text)).toEqual(version);
  });

  it("compares by number, not by text", () => {
    expect(isAtLeast("3.10.0", "3.9.9")).toBe(true);
    expect(isAtLeast("3.9.9", "3.10.0")).toBe(false);
    expect(isAtLeast("2.0.0", "2.0.0")).toBe(true);
    expect(isAtLeast("unknown", "2.0.0")).toBe(false);
  });

  it("does not mix major versions", () => {
    expect(isCompatible("3.300.1", "3.255.0")).toBe(true);
    expect(isCompatible("3.254.9", "3.255.0")).toBe(false);
    expect(isCompatible("4.0.0", "3.255.0")).toBe(false);
  });

  it("refuses etcd that can corrupt data, and services that are too old", () => {
    expect(["3.3.25", "3.5.0", "3.5.1", "3.5.2"].filter(isUsableEtcd)).toEqual([]);
    expect(["3.4.23", "3.5.3", "3.6.16", "3.7.3"].filter((version) => !isUsableEtcd(version))).toEqual([]);
    expect([isUsableNats("2.8.4"), isUsableNats("2.9.10"), isUsableNats("2.15.3")]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it("are the same wherever they are written", () => {
    const requirements = readFileSync(requirementsFile(), "utf8");
    const wanted = readFileSync(requirementsFile().replace(/\.txt$/, ".in"), "utf8");
    for (const pin of [`ai-dynamo==${VERSIONS.dynamo}`, `supervisor==${VERSIONS.supervisor}`]) {
      expect(wanted.split("\n")).toContain(pin);
      expect(requirements).toContain(`${pin} \\\n    --hash=sha256:`);
    }
    const manifest = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
    // Pulumi's SDK is a peer dependency, so that a program which imports this package has one copy of it.
    expect({ ...manifest.dependencies, ...manifest.devDependencies }).toMatchObject({
      "@pulumi/pulumi": VERSIONS.pulumi,
      "@pulumi/command": VERSIONS.commandPlugin,
      "@pulumi/random": VERSIONS.randomPlugin,
    });
  });

  it("are exact for every Python package, each with a hash and none with an address", () => {
    const requirements = readFileSync(requirementsFile(), "utf8");
    const packages = requirements.split(/\n(?! )/).filter((entry) => entry.trim() !== "");
    expect(packages.length).toBeGreaterThan(20);
    expect(packages.filter((entry) => !/^[\w.-]+==\S+ .*--hash=sha256:/s.test(entry))).toEqual([]);
    expect(requirements).not.toMatch(/https?:|index-url|find-links/);
  });
});

describe("directories", () => {
  it("follow their own variable, then XDG, then the home directory", () => {
    const env = { HOME: "/home/u" };
    expect(cacheDir(env)).toBe("/home/u/.cache/dynamo-sky");
    expect(stateDir(env)).toBe("/home/u/.local/state/dynamo-sky");
    expect(cacheDir({ ...env, XDG_CACHE_HOME: "/c" })).toBe("/c/dynamo-sky");
    expect(stateDir({ ...env, XDG_STATE_HOME: "/s", DYNAMO_SKY_STATE: "/own" })).toBe("/own");
  });
});

describe("the home of the Pulumi CLI", () => {
  const nobody = null;
  it.each([
    ["what PULUMI_HOME says", { PULUMI_HOME: "/p", HOME: "/h" }, "/root", "/p"],
    ["that of the password file, whatever $HOME says", { HOME: "/h" }, "/root", "/root/.pulumi"],
    ["below $HOME for a user whom the password file does not know", { HOME: "/h" }, nobody, "/h/.pulumi"],
  ])("is %s", (_, env, registered, home) => {
    expect(pulumiHome(env, registered)).toBe(home);
  });
});

describe("a model's name as a directory", () => {
  it("is that of the hub's cache", () => {
    expect(modelDirectoryName("Qwen/Qwen3-8B")).toBe("models--Qwen--Qwen3-8B");
    expect(modelDirectoryName("gpt2")).toBe("models--gpt2");
  });

  it.each(["", "../x", "a/../b", "a/b/c", "/etc/passwd", "a--b", "a b", "-a", "a/.hidden", "a\nb", "a/b/"])(
    "refuses %j",
    (name) => {
      expect(() => modelDirectoryName(name)).toThrow(
        "is not a model name: use `name` or `organisation/name`",
      );
    },
  );
});

describe("stamps", () => {
  it("hold as long as the program is the one that was checked", async () => {
    const path = join(scratch, "program");
    writeFileSync(path, "one");
    await writeStamp(scratch, "tool", { path, version: "1.0.0", way: "found" });
    expect(readStamp(scratch, "tool")).toMatchObject({ path, version: "1.0.0", way: "found" });
    writeFileSync(path, "another");
    expect(readStamp(scratch, "tool")).toBeUndefined();
    rmSync(path);
    expect(readStamp(scratch, "tool")).toBeUndefined();
  });

  it("that are damaged count as none", () => {
    mkdirSync(join(scratch, "stamps"));
    writeFileSync(join(scratch, "stamps", "tool.json"), '{"path": "/bin/sh"');
    expect(readStamp(scratch, "tool")).toBeUndefined();
  });
});

describe("SkyPilot of this project", () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  it("finds the programs of its clouds that were installed beside it, behind the user's own", async () => {
    const own = join(scratch, "own");
    mkdirSync(own);
    Object.assign(process.env, { DYNAMO_SKY_CACHE: join(scratch, "cache"), PATH: own });
    const bin = join(skyPilotDirectory(["aws"]), "bin");
    expect(await skyAtHand(["aws"])).toBeUndefined();
    mkdirSync(bin, { recursive: true });
    for (const name of ["sky", "aws"])
      writeFileSync(join(bin, name), "#!/bin/sh\necho installed\n", { mode: 0o755 });
    const program = { command: join(bin, "sky"), env: { PATH: `${own}${delimiter}${bin}` } };
    expect(await skyAtHand(["aws"])).toEqual(program);
    expect(await findSky(["aws/us-east-1"], () => undefined)).toEqual(program);
    const answers = async () =>
      (await run("/bin/sh", ["-c", "aws"], { env: program.env, timeoutSeconds: 60 })).stdout.trim();
    expect(await answers()).toBe("installed");
    writeFileSync(join(own, "aws"), "#!/bin/sh\necho mine\n", { mode: 0o755 });
    expect(await answers()).toBe("mine");
    // Without a PATH of its own there is nothing before it, not even the working directory.
    process.env["PATH"] = "";
    expect((await skyAtHand(["aws"]))?.env).toEqual({ PATH: bin });
  });
});

describe("installing a directory", () => {
  it("leaves nothing when it fails", async () => {
    const failing = installDirectory(scratch, "tool-1", async (directory) => {
      writeFileSync(join(directory, "half"), "");
      throw new Error("interrupted");
    });
    await expect(failing).rejects.toThrow("interrupted");
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("removes what a killed install left, and not what a live one is making", async () => {
    const dead = spawnSync("true").pid;
    mkdirSync(join(scratch, `.tmp-tool-1-${dead}-0123abcd`));
    mkdirSync(join(scratch, `.tmp-tool-2-${process.pid}-0123abcd`));
    await installDirectory(scratch, "tool-1", async (directory) =>
      writeFileSync(join(directory, "whole"), ""),
    );
    expect(readdirSync(scratch).sort()).toEqual([`.tmp-tool-2-${process.pid}-0123abcd`, "tool-1"]);
  });
});

describe("the lock", () => {
  const options = (lines: string[], waitSeconds = 5) => ({
    purpose: "installing python",
    waitSeconds,
    onProgress: (line: string) => void lines.push(line),
  });

  it("lets one at a time through, and says whom it waits for", async () => {
    const file = join(scratch, "locks", "python");
    const lines: string[] = [];
    const order: string[] = [];
    const first = withLock(file, options(lines), async () => {
      order.push("first begins");
      await delay(50);
      order.push("first ends");
    });
    // Starts only when the first has the lock.
    while (!existsSync(file)) await delay(1);
    await Promise.all([first, withLock(file, options(lines), async () => order.push("second"))]);
    expect(order).toEqual(["first begins", "first ends", "second"]);
    expect(lines).toEqual([
      `process ${process.pid} on ${hostname()} is installing python; waiting up to 5 s for it`,
    ]);
    expect(existsSync(file)).toBe(false);
  });

  it("of a dead process is taken over", async () => {
    const file = join(scratch, "python");
    writeFileSync(file, `${spawnSync("true").pid} ${hostname()} 00000000`);
    await expect(withLock(file, options([]), async () => "done")).resolves.toBe("done");
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("of a live process is waited for only so long", async () => {
    const file = join(scratch, "python");
    writeFileSync(file, `${process.pid} ${hostname()} 00000000`);
    await expect(withLock(file, options([], 0.1), async () => "done")).rejects.toThrow(
      `Waited 0.1 s for process ${process.pid} on ${hostname()}, which is installing python. If it is not at work, remove ${file}`,
    );
  });
});

describe("running programs", () => {
  it("names the command, the cause and the last lines of a failure", async () => {
    await expect(run("sh", ["-c", "echo out; echo err >&2; exit 3"], { timeoutSeconds: 10 })).rejects.toThrow(
      "`sh -c echo out; echo err >&2; exit 3` ended with code 3:\nout\n\nerr",
    );
  });

  it("stops a program and its descendants at the time limit", async () => {
    const started = Date.now();
    const file = join(scratch, "pid");
    const slow = run("sh", ["-c", `sleep 60 & echo $! > ${file}; wait`], { timeoutSeconds: 0.5 });
    await expect(slow).rejects.toThrow("was stopped after 0.5 s");
    expect(Date.now() - started).toBeLessThan(10_000);
    const state = spawnSync("ps", ["-o", "stat=", "-p", readFileSync(file, "utf8").trim()], {
      encoding: "utf8",
    });
    expect(state.stdout.replace(/Z.*/, "").trim()).toBe("");
  });

  it("says when a program is not there", async () => {
    await expect(run(join(scratch, "none"), [], { timeoutSeconds: 1 })).rejects.toThrow(
      "could not be started",
    );
    expect(await findOnPath("none", scratch)).toBeUndefined();
    expect(await findOnPath("sh", "/nowhere::/bin")).toBe("/bin/sh");
  });
});

describe("the official plugins", () => {
  it("count only in the versions of the npm packages", () => {
    const env = { PULUMI_HOME: scratch };
    const add = (name: string, version: string) => {
      const directory = join(scratch, "plugins", `resource-${name}-v${version}`);
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, `pulumi-resource-${name}`), "");
    };
    add("command", VERSIONS.commandPlugin);
    add("random", "4.0.0");
    expect(officialPluginsArePresent(env)).toBe(false);
    add("random", VERSIONS.randomPlugin);
    expect(officialPluginsArePresent(env)).toBe(true);
  });
});
