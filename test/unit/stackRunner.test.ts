/** The backend, the passphrase, the locks and the project of the stack's runner. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backendDirectory, resolveBackend, usesPassphrase } from "../../cli/pulumi/backend";
import { cliProblem } from "../../cli/pulumi/cli";
import { removeLeftovers } from "../../cli/pulumi/leftovers";
import { wrongPassphrase } from "../../cli/pulumi/passphrase";
import {
  checkStackName,
  hasEncryptionSettings,
  isWherePulumiLooks,
  readProject,
  stackFile,
  stacksWithFiles,
} from "../../cli/pulumi/project";
import { commandOfProcess } from "../../lib/processes";

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "runner-test-"));
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A project whose Pulumi.yaml sets no backend. */
const nowhere = { directory: "/project", backendUrl: undefined };

describe("the backend", () => {
  it("is this machine's own when nobody chose one, with a passphrase that is made once and private", async () => {
    const env = { PULUMI_HOME: scratch };
    const backend = await resolveBackend(env, scratch, nowhere);
    expect(backend).toEqual({
      url: `file://${scratch}/pulumi`,
      isOwn: true,
      env: {
        PULUMI_BACKEND_URL: `file://${scratch}/pulumi`,
        PULUMI_CONFIG_PASSPHRASE_FILE: join(scratch, "passphrase"),
      },
    });
    const passphrase = readFileSync(join(scratch, "passphrase"), "utf8");
    expect(passphrase).toMatch(/^[\w-]{43}$/);
    expect(statSync(join(scratch, "passphrase")).mode & 0o777).toBe(0o600);
    await resolveBackend(env, scratch, nowhere);
    expect(readFileSync(join(scratch, "passphrase"), "utf8")).toBe(passphrase);
  });

  it("leaves a passphrase that the user set", async () => {
    const env = { PULUMI_HOME: scratch, PULUMI_CONFIG_PASSPHRASE: "" };
    expect((await resolveBackend(env, scratch, nowhere)).env).toEqual({
      PULUMI_BACKEND_URL: `file://${scratch}/pulumi`,
    });
  });

  it.each([
    ["PULUMI_BACKEND_URL", { PULUMI_BACKEND_URL: "s3://bucket" }, undefined, "s3://bucket"],
    ["Pulumi.yaml", {}, "gs://bucket", "gs://bucket"],
    ["an access token", { PULUMI_ACCESS_TOKEN: "x" }, undefined, undefined],
  ])("is the user's, chosen by %s", async (_, env, backendUrl, url) => {
    expect(
      await resolveBackend({ PULUMI_HOME: scratch, ...env }, scratch, { ...nowhere, backendUrl }),
    ).toEqual({
      url,
      isOwn: false,
      env: {},
    });
  });

  it("is below the project's directory when its address is relative, wherever the CLI is started", async () => {
    const env = { PULUMI_HOME: scratch, PULUMI_BACKEND_URL: "file://./state?metadata=skip" };
    const url = "file:///project/state?metadata=skip";
    const backend = { url, isOwn: false, env: { PULUMI_BACKEND_URL: url } };
    expect(await resolveBackend(env, scratch, nowhere)).toEqual(backend);
  });

  it("is the one of `pulumi login`", async () => {
    writeFileSync(join(scratch, "credentials.json"), '{"current": "https://api.pulumi.com"}');
    expect((await resolveBackend({ PULUMI_HOME: scratch }, scratch, nowhere)).url).toBe(
      "https://api.pulumi.com",
    );
  });

  it("can be looked into when it is a directory, and needs a passphrase unless it is the service", () => {
    const at = (url: string | undefined) => ({ url, isOwn: false, env: {} });
    expect(backendDirectory(at("file:///var/state?metadata=skip"), {})).toBe("/var/state");
    expect(backendDirectory(at("file://~/state"), { HOME: "/home/u" })).toBe("/home/u/state");
    expect(backendDirectory(at("s3://bucket"), {})).toBeUndefined();
    expect(
      ["file:///x", "s3://b", "https://api.pulumi.com", undefined].map((url) => usesPassphrase(at(url))),
    ).toEqual([true, true, false, false]);
  });
});

describe("a passphrase", () => {
  // Made by the CLI with the passphrase "one".
  const salt = "v1:jWKMvEyhq5I=:v1:b/Lq0JbnLH1GpdG8:bUgh5fdZwzyzzEdbeu1RC5uecttzkQ==";
  const state = JSON.stringify({ checkpoint: { latest: { secrets_providers: { state: { salt } } } } });

  it.each([
    ["the stack's file", [`encryptionsalt: ${salt}\nconfig: {}\n`]],
    ["its state, where the file has none", ["config: {}\n", state]],
  ])("that is wrong is told with what to do, by %s", (_, texts) => {
    expect(wrongPassphrase("s", texts, { PULUMI_CONFIG_PASSPHRASE: "two" })).toMatch(
      /^PULUMI_CONFIG_PASSPHRASE is not the passphrase that stack s was made with, .*unset it/,
    );
    expect(wrongPassphrase("s", texts, { PULUMI_CONFIG_PASSPHRASE: "one" })).toBeUndefined();
  });

  it("in a file is told by its variable, and one that cannot be tried is not told of", () => {
    const file = join(scratch, "passphrase");
    writeFileSync(file, "two\n");
    const texts = [state];
    expect(wrongPassphrase("s", texts, { PULUMI_CONFIG_PASSPHRASE_FILE: file })).toMatch(
      /^PULUMI_CONFIG_PASSPHRASE_FILE is not/,
    );
    for (const unknown of [{}, { PULUMI_CONFIG_PASSPHRASE_FILE: join(scratch, "none") }])
      expect(wrongPassphrase("s", texts, unknown)).toBeUndefined();
    for (const broken of [[], ["{"], ["encryptionsalt: what\n"]])
      expect(wrongPassphrase("s", broken, { PULUMI_CONFIG_PASSPHRASE: "two" })).toBeUndefined();
  });
});

describe("what killed operations leave in a file backend", () => {
  const lockDirectory = (): string => {
    const locks = join(scratch, ".pulumi", "locks", "organization", "p", "s");
    mkdirSync(locks, { recursive: true });
    return locks;
  };
  const writeLock = (name: string, pid: number | undefined): void =>
    writeFileSync(join(lockDirectory(), name), JSON.stringify({ pid, hostname: hostname(), username: "u" }));

  it("are empty attributes, without which a stack can be read again; others stay", () => {
    const stacks = join(scratch, ".pulumi", "stacks", "p");
    mkdirSync(stacks, { recursive: true });
    for (const name of ["s.json", "s.json.bak"]) {
      writeFileSync(join(stacks, name), "{}");
      writeFileSync(join(stacks, `${name}.attrs`), name === "s.json" ? "" : "{}");
    }
    removeLeftovers(scratch, "p", "s", () => undefined);
    expect(readdirSync(stacks).toSorted()).toEqual(["s.json", "s.json.bak", "s.json.bak.attrs"]);
  });

  it("are locks, which go with their attributes, those of the dead alone", () => {
    const locks = lockDirectory();
    const lock = (name: string, pid: number) => {
      writeLock(name, pid);
      writeFileSync(join(locks, `${name}.attrs`), "{}");
    };
    lock("dead.json", 2 ** 30);
    lock("alive.json", 1);
    writeFileSync(join(locks, "gone.json.attrs"), "{}");
    // Process 1 is no pulumi; another machine's cannot be looked at.
    writeFileSync(join(locks, "alive.json"), JSON.stringify({ pid: 1, hostname: "another" }));
    const told: string[] = [];
    removeLeftovers(scratch, "p", "s", (line) => told.push(line));
    expect(readdirSync(locks).toSorted()).toEqual(["alive.json", "alive.json.attrs"]);
    expect(told).toHaveLength(1);
  });

  it.each([process.platform, "darwin"])("stay while their Pulumi runs, on %s", async (platform) => {
    const locks = lockDirectory();
    const run = (...args: readonly string[]) =>
      spawn(process.execPath, ["-e", "setInterval(() => undefined, 1000)", ...args]);
    const children = { "running.json": run("pulumi"), "reused.json": run() };
    for (const [name, { pid }] of Object.entries(children)) writeLock(name, pid);
    vi.resetModules();
    vi.spyOn(process, "platform", "get").mockReturnValue(platform as NodeJS.Platform);
    try {
      const fresh = await vi.importActual<typeof import("../../cli/pulumi/leftovers")>(
        "../../cli/pulumi/leftovers",
      );
      fresh.removeLeftovers(scratch, "p", "s", () => undefined);
    } finally {
      vi.restoreAllMocks();
      for (const child of Object.values(children)) child.kill("SIGKILL");
    }
    expect(readdirSync(locks)).toEqual(["running.json"]);
  });

  it("go as soon as their Pulumi is killed, before its end is complete", async () => {
    const locks = lockDirectory();
    // Its memory takes a while to be given back. Of so many, some are seen in that moment.
    const program = "console.log(Buffer.alloc(1e8, 1).length); setInterval(() => undefined, 1000)";
    for (let round = 0; round < 25; round++) {
      const child = spawn(process.execPath, ["-e", program, "pulumi"]);
      const { pid = 0 } = child;
      await once(child.stdout, "data");
      writeLock("killed.json", pid);
      child.kill("SIGKILL");
      while (commandOfProcess(pid) !== "");
      removeLeftovers(scratch, "p", "s", () => undefined);
      expect(readdirSync(locks)).toEqual([]);
      await once(child, "close");
    }
  });
});

describe("the project", () => {
  it("is read from Pulumi.yaml", () => {
    writeFileSync(join(scratch, "Pulumi.yaml"), "name: one\nruntime: nodejs\nmain: src/main.ts\n");
    for (const stack of ["dev", "b.c", "a"]) writeFileSync(join(scratch, `Pulumi.${stack}.yaml`), "");
    expect(readProject(scratch)).toMatchObject({
      name: "one",
      backendUrl: undefined,
    });
    expect(stacksWithFiles(readProject(scratch))).toEqual(["a", "b.c", "dev"]);
  });

  it("has the user's stacks beside Pulumi.yaml, and those that it brings in examples/stacks", () => {
    const directory = join(scratch, "brought");
    const examples = join(directory, "examples/stacks");
    mkdirSync(examples, { recursive: true });
    writeFileSync(join(directory, "Pulumi.yaml"), "name: one\nruntime: nodejs\n");
    for (const stack of ["dev", "both"]) writeFileSync(join(directory, `Pulumi.${stack}.yaml`), "");
    for (const stack of ["both", "tp2"]) writeFileSync(join(examples, `Pulumi.${stack}.yaml`), "");
    const project = readProject(directory);
    expect(stacksWithFiles(project)).toEqual(["both", "dev", "tp2"]);
    const files = ["dev", "both", "org/one/tp2", "none"].map((stack) => stackFile(project, stack));
    expect(files).toEqual([
      join(directory, "Pulumi.dev.yaml"),
      join(directory, "Pulumi.both.yaml"),
      join(examples, "Pulumi.tp2.yaml"),
      undefined,
    ]);
    expect(files.map((file) => file && isWherePulumiLooks(project, file))).toEqual([
      true,
      true,
      false,
      undefined,
    ]);
  });

  it("must be there", () => {
    mkdirSync(join(scratch, "empty"));
    expect(() => readProject(join(scratch, "empty"))).toThrow(
      "has no Pulumi.yaml: name the project's directory with --cwd",
    );
  });

  it("names stacks as Pulumi does", () => {
    for (const name of ["dev", "organization/project/dev", "a_b-c.1"]) checkStackName(name);
    for (const name of ["", "a b", "../dev", "a/b/c/d", "x".repeat(101)]) {
      expect(() => checkStackName(name)).toThrow("is not a stack's name");
    }
  });
});

it("a stack's file says how secrets are encrypted, or it does not", () => {
  expect(["", "config: {}\n"].map(hasEncryptionSettings)).toEqual([false, false]);
  const saying = ["encryptionsalt: v1:x\n", "secretsprovider: awskms://x\n", "encryptedkey: x\n"];
  expect(saying.map(hasEncryptionSettings)).toEqual([true, true, true]);
});

describe("errors", () => {
  it("of the CLI lose their marks", () => {
    expect(cliProblem("code: 255\n stdout: \n stderr: error: incorrect passphrase\n")).toContain(
      "incorrect passphrase",
    );
    expect(cliProblem("noise\nerror: no stack named 'x' found\n")).toBe("no stack named 'x' found");
  });
});
