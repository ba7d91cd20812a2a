/** Contract of the resources of `@pulumi/random` that this project may use. */
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword, RandomString } from "@pulumi/random";
import { version } from "@pulumi/random/package.json";
import { compareSync } from "bcryptjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plugins } from "./installedPlugins";
import { PluginProcess } from "./pluginProcess";
import {
  operationsOn,
  type RunResult,
  type StateResource,
  secretInState,
  stepOf,
  TestStack,
  UNKNOWN,
} from "./testStack";

const { kind, file } = plugins.random;

describe("random resources", () => {
  let stack: TestStack;
  let created: RunResult;
  let state: Map<string, StateResource>;

  const program = (changed: boolean) => async () => {
    const keepers = { keeper: changed ? "2" : "1" };
    const suffix = new RandomString("suffix", { length: 6, upper: false, special: false });
    new RandomString("long", { length: 1000 });
    const password = new RandomPassword("password", { length: 20, keepers });
    const secretKeeper = { secret: pulumi.secret("s3cret-keeper") };
    new RandomString("secretlyKept", { length: 6, keepers: secretKeeper });
    new RandomString("kept", { length: 6, keepers });
    new RandomString("resized", { length: changed ? 7 : 6 });
    new RandomString("spelledOut", {
      length: 6,
      ...(changed && { upper: true, minLower: 0, numeric: true }),
    });
    return { suffix: suffix.result, password: password.result };
  };
  const outputs = (name: string) => state.get(name)?.outputs ?? {};
  const text = (name: string, property: string) => String(outputs(name)[property]);
  /** The value of a secret, which is JSON in the state. */
  const secretText = (name: string, property: string): string => {
    const { plaintext } = outputs(name)[property] as { plaintext: string };
    return JSON.parse(plaintext) as string;
  };

  beforeAll(async () => {
    stack = await TestStack.create();
  });
  afterAll(() => stack?.remove());

  it("shows in a preview what is known, and makes nothing", async () => {
    const preview = await stack.preview(program(false));
    expect(preview.failure).toBeUndefined();
    expect(stepOf(preview, "create", "suffix").outputs).toEqual({
      id: UNKNOWN,
      result: UNKNOWN,
      length: 6,
      lower: true,
      minLower: 0,
      minNumeric: 0,
      minSpecial: 0,
      minUpper: 0,
      number: true,
      numeric: true,
      special: false,
      upper: false,
    });
    expect(await stack.state()).toEqual(new Map());
  });

  it("makes them, with all defaults in the state", async () => {
    created = await stack.up(program(false));
    expect(created.failure).toBeUndefined();
    state = await stack.state();
    expect(state.get("suffix")?.inputs).toEqual({ length: 6, special: false, upper: false });
    expect(outputs("suffix")).toMatchObject({
      length: 6,
      lower: true,
      numeric: true,
      number: true,
      minLower: 0,
    });
  });

  it("uses the characters that were asked for", () => {
    expect(text("suffix", "result")).toMatch(/^[a-z0-9]{6}$/);
    const long = text("long", "result");
    expect(long).toMatch(/^[A-Za-z0-9!@#$%&*()\-_=+[\]{}<>:?]{1000}$/);
    for (const used of [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/]) expect(long).toMatch(used);
  });

  it("identifies strings by themselves", () => {
    expect(state.get("suffix")?.id).toBe(text("suffix", "result"));
    expect(created.outputs["suffix"]).toEqual({ value: text("suffix", "result"), secret: false });
  });

  it("keeps passwords and secret keepers secret", () => {
    const value = String(created.outputs["password"]?.value);
    expect(created.outputs["password"]?.secret).toBe(true);
    expect(value).toHaveLength(20);
    expect(secretText("password", "result")).toBe(value);
    expect(state.get("password")?.id).toBe("none");
    expect(secretText("password", "bcryptHash")).toMatch(/^\$2a\$10\$/);
    expect(compareSync(value, secretText("password", "bcryptHash"))).toBe(true);
    expect(outputs("secretlyKept")["keepers"]).toEqual({ secret: secretInState("s3cret-keeper") });
    expect(stack.rawState()).not.toContain("s3cret");
    expect(stack.rawState()).not.toContain(JSON.stringify(value).slice(1, -1));
  });

  it("keeps every value until an input changes, and replaces it then", async () => {
    const again = await stack.up(program(false));
    expect(new Set(again.steps.map(({ op }) => op))).toEqual(new Set(["same"]));
    expect(again.outputs).toEqual(created.outputs);

    const changed = await stack.up(program(true));
    expect(changed.failure).toBeUndefined();
    for (const [name, property] of [
      ["kept", "keepers"],
      ["password", "keepers"],
      ["resized", "length"],
    ] as const) {
      expect(operationsOn(changed, name)).toEqual(["create-replacement", "replace", "delete-replaced"]);
      expect(stepOf(changed, "replace", name).changes).toEqual([property]);
    }
    // Setting a default explicitly changes nothing.
    expect(operationsOn(changed, "spelledOut")).toEqual(["same"]);
    const after = await stack.state();
    expect(after.get("kept")?.id).not.toBe(state.get("kept")?.id);
    expect(String(after.get("resized")?.outputs?.["result"])).toHaveLength(7);
    expect(after.get("suffix")).toMatchObject({ id: state.get("suffix")?.id });
  });

  it("finds nothing changed when refreshed, and goes without a trace", async () => {
    const before = await stack.state();
    expect((await stack.refresh()).failure).toBeUndefined();
    expect((await stack.state()).get("kept")?.outputs).toMatchObject(before.get("kept")?.outputs ?? {});
    expect((await stack.destroy()).failure).toBeUndefined();
    expect(await stack.state()).toEqual(new Map());
  });
});

const refusal = (what: string) =>
  new RegExp(`'${what}' is not available: .* pulumi plugin install resource random ${version}`);

describe(`${kind} random plugin`, () => {
  const STRING = "random:index/randomString:RandomString";
  let plugin: PluginProcess;
  beforeAll(async () => {
    plugin = await PluginProcess.start(file);
  });
  afterAll(() => plugin?.stop());

  it("reports the version of the npm package", async () => {
    expect(await plugin.version()).toBe(version);
  });

  it.each([
    ["random:index/randomId:RandomId", { byteLength: 4 }],
    ["random:index/randomPet:RandomPet", {}],
  ])("has %s (official), or refuses it by name with what to do (stand-in)", async (type, inputs) => {
    const checked = plugin.check(type, inputs);
    if (kind === "official") expect(await checked).toEqual([]);
    else await expect(checked).rejects.toThrow(refusal(type));
  });

  it.each([
    ["minUpper", { length: 4, minUpper: 2 }],
    ["overrideSpecial", { length: 4, overrideSpecial: "_~" }],
    ["lower", { length: 4, lower: false }],
    ["number", { length: 4, number: false }],
    ["minLower", { length: 4, minLower: UNKNOWN }],
  ])("has %s of %j (official), or refuses it by name (stand-in)", async (name, inputs) => {
    const checked = plugin.check(STRING, inputs);
    if (kind === "official") expect(await checked).toEqual([]);
    else await expect(checked).rejects.toThrow(refusal(name));
  });

  it.each([
    { length: 1 },
    { length: 4, keepers: { a: "b", c: UNKNOWN } },
    { length: 4, minUpper: 0, numeric: true },
    { length: UNKNOWN, keepers: UNKNOWN },
  ])("accepts %j", async (inputs) => {
    expect(await plugin.check(STRING, inputs)).toEqual([]);
  });

  it.each([
    [{}, "Missing required property 'length'"],
    [{ length: 0 }, "Attribute length value must be at least 1, got: 0"],
  ])("refuses %j", async (inputs, message) => {
    expect((await plugin.check(STRING, inputs)).join()).toContain(message);
  });

  it.each([{ length: "six" }, { length: 6, special: "no" }, { length: 1.5 }])(
    "refuses %j, which is of the wrong type",
    async (inputs) => {
      // The official plugin rejects the whole request for some of these, and names no property for others.
      const failures = await plugin.check(STRING, inputs).catch((error: unknown) => [String(error)]);
      expect(failures).toHaveLength(1);
      expect(failures.join()).toMatch(/length|special/);
    },
  );
});
