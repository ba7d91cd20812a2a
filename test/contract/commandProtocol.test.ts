/** The command plugin at the level of the protocol. */
import { setTimeout as delay } from "node:timers/promises";
import { version } from "@pulumi/command/package.json";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { plugins } from "./installedPlugins";
import { PluginProcess } from "./pluginProcess";

const COMMAND = "command:local:Command";
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const { kind, file } = plugins.command;

/** A secret in the protocol's form. */
const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  value,
});

describe(`${kind} command plugin`, () => {
  let plugin: PluginProcess;
  beforeAll(async () => {
    plugin = await PluginProcess.start(file);
  });
  afterAll(() => plugin?.stop());

  it("reports the version of the npm package", async () => {
    expect(await plugin.version()).toBe(version);
  });

  it.each([
    ["nothing", {}],
    ["commands", { create: "a", delete: "c", stdin: "d", logging: "none" }],
    ["lists and maps", { environment: { A: "b" }, triggers: [1, "a", { b: [true] }] }],
    ["a flag", { addPreviousOutputInEnv: false }],
    ["secrets", { create: secret("a"), environment: secret({ A: "b" }), triggers: [secret("a")] }],
    [
      "unknown values",
      { create: UNKNOWN, environment: { A: UNKNOWN }, triggers: UNKNOWN, stdin: secret(UNKNOWN) },
    ],
    ["an unknown kind of logging, which logs nothing", { create: "echo a", logging: "everything" }],
  ])("accepts %s", async (_, inputs) => {
    expect(await plugin.check(COMMAND, inputs)).toEqual([]);
  });

  it.each([
    [{ crate: "a" }, "crate: Unrecognized field 'crate' on 'local.CommandInputs'"],
    [
      { create: 1 },
      "create: Field 'create' on 'local.CommandInputs' must be a 'string'; got 'float64' instead",
    ],
    [
      { environment: { A: 1 } },
      "environment[A] value: Field 'environment[A] value' on 'local.CommandInputs' must be a 'string'; got 'float64' instead",
    ],
    [
      { environment: { A: secret(true) } },
      "environment[A] value: Field 'environment[A] value' on 'local.CommandInputs' must be a 'string'; got 'bool' instead",
    ],
    [
      { environment: ["A=b"] },
      "environment: Field 'environment' on 'local.CommandInputs' must be a 'map[string]string'; got '[]interface {}' instead",
    ],
    [
      { addPreviousOutputInEnv: "true" },
      "addPreviousOutputInEnv: Field 'addPreviousOutputInEnv' on 'local.CommandInputs' must be a 'bool'; got 'string' instead",
    ],
    [
      { triggers: "a" },
      "triggers: Field 'triggers' on 'local.CommandInputs' must be a '[]interface {}'; got 'string' instead",
    ],
  ])("refuses %j", async (inputs, failure) => {
    expect(await plugin.check(COMMAND, inputs)).toEqual([failure]);
  });

  it("names everything that is wrong at once", async () => {
    expect(await plugin.check(COMMAND, { create: 1, foo: 1, bar: 2 })).toHaveLength(3);
  });

  it("fails when the output is not text", async () => {
    await expect(plugin.create(COMMAND, { create: "printf '\\377'" })).rejects.toThrow("invalid UTF-8");
  });

  it("handles many commands at once", async () => {
    const began = Date.now();
    const all = Array.from({ length: 20 }, (_, index) =>
      plugin.create(COMMAND, { create: `sleep 1; echo ${index}` }),
    );
    expect((await Promise.all(all)).map(({ stdout }) => stdout)).toEqual(
      all.map((_, index) => String(index)),
    );
    expect(Date.now() - began).toBeLessThan(15_000);
  });

  it.each([
    ["command:remote:Command", "command:remote:Command", { connection: { host: "a" }, create: "b" }],
    ["assetPaths", COMMAND, { create: "a", assetPaths: ["*"] }],
    ["archivePaths", COMMAND, { create: "a", archivePaths: [] }],
    ["update", COMMAND, { create: "a", update: "b" }],
    ["interpreter", COMMAND, { create: "a", interpreter: ["/bin/bash", "-c"] }],
    ["dir", COMMAND, { create: "a", dir: "/" }],
  ])(
    "has %s of %s (official), or refuses it by name with what to do (stand-in)",
    async (what, type, inputs) => {
      const checked = plugin.check(type, inputs);
      if (kind === "official") expect(await checked).toEqual([]);
      else await expect(checked).rejects.toThrow(refusal(what));
    },
  );

  it("has the function `run` (official), or refuses it by name with what to do (stand-in)", async () => {
    const ran = plugin.invoke("command:local:run", { command: "echo a" });
    if (kind === "official") expect((await ran).result["stdout"]).toBe("a");
    else await expect(ran).rejects.toThrow(refusal("command:local:run"));
  });
});

const refusal = (what: string) =>
  new RegExp(
    `'${what}' is not available: .* a stand-in .* pulumi plugin install resource command ${version}`,
  );

describe(`${kind} command plugin, interrupted`, () => {
  let plugin: PluginProcess;
  beforeEach(async () => {
    plugin = await PluginProcess.start(file);
  });
  afterEach(() => plugin?.stop());

  const logged = async (line: RegExp): Promise<RegExpExecArray> => {
    for (let waited = 0; waited < 20_000; waited += 20) {
      const match = plugin.logs.map((text) => line.exec(text)).find((found) => found !== null);
      if (match) return match;
      await delay(20);
    }
    throw new Error(`no line ${line} in 20 s but ${JSON.stringify(plugin.logs)}`);
  };
  const alive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  it("when cancelled, kills the command's own process, and starts nothing more", async () => {
    const created = plugin.create(COMMAND, { create: "echo pid $$; exec sleep 60" });
    created.catch(() => undefined);
    const pid = Number((await logged(/^pid (\d+)$/))[1]);
    await plugin.cancel();
    await expect(created).rejects.toThrow(
      /^signal: killed: running "echo pid \$\$; exec sleep 60":\npid \d+/,
    );
    expect(alive(pid)).toBe(false);
    await expect(plugin.create(COMMAND, { create: "echo no" })).rejects.toThrow("context canceled");
  });

  it("when cancelled, kills no process that the command has started, and waits while one holds its output", async () => {
    const created = plugin.create(COMMAND, { create: "sleep 3 & echo child $!; sleep 60 > /dev/null 2>&1" });
    created.catch(() => undefined);
    const child = Number((await logged(/^child (\d+)$/))[1]);
    await plugin.cancel();
    const first = await Promise.race([created.catch(() => "ended"), delay(1_000, "waiting")]);
    expect(first).toBe("waiting");
    expect(alive(child)).toBe(true);
    await expect(created).rejects.toThrow("signal: killed");
  });

  it("kills a command after `customTimeouts`", async () => {
    const began = Date.now();
    await expect(plugin.create(COMMAND, { create: "exec sleep 60" }, 1)).rejects.toThrow("signal: killed");
    expect(Date.now() - began).toBeLessThan(15_000);
  });

  it("waits while a background process holds the output", async () => {
    const began = Date.now();
    expect(await plugin.create(COMMAND, { create: "sleep 2 & echo done" })).toMatchObject({ stdout: "done" });
    expect(Date.now() - began).toBeGreaterThan(1_900);
  });

  // Known defect of the official plugin 1.2.1: it logs lines with a limit of 64 KiB, stops reading at a
  // longer one, and then deadlocks. The stand-in logs the line in pieces. Programs must not print such lines.
  it(`${kind === "official" ? "hangs on" : "survives"} a logged line over 64 KiB`, async () => {
    const create = "head -c 70000 /dev/zero | tr '\\0' x; echo; echo after";
    const created = plugin.create(COMMAND, { create });
    created.catch(() => undefined);
    if (kind === "official") {
      expect(await Promise.race([created, delay(4_000, "hanging")])).toBe("hanging");
    } else {
      expect((await created)["stdout"]).toBe(`${"x".repeat(70_000)}\nafter`);
      expect(plugin.logs.join("\n")).toBe(`${"x".repeat(65_535)}\n${"x".repeat(4_465)}\nafter`);
    }
  });

  it("survives such a line with logging: none", async () => {
    const create = "head -c 200000 /dev/zero | tr '\\0' x";
    expect((await plugin.create(COMMAND, { create, logging: "none" }))["stdout"]).toHaveLength(200_000);
  });
});
