import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configKeys, configSchema } from "../../config/schema";
import { settingInfo } from "../../config/values";
import { settingsOf } from "../../config/walk";
import {
  JSON_SCHEMA_FILE,
  REFERENCE_FILE,
  renderJsonSchema,
  renderReference,
} from "../../dev/configReference";

const committed = (file: string) => readFileSync(join(__dirname, "../..", file), "utf8");

describe("what is generated from the schema", () => {
  test(`${JSON_SCHEMA_FILE} is up to date (else: npm run schema)`, () => {
    expect(committed(JSON_SCHEMA_FILE)).toBe(renderJsonSchema());
  });

  test(`${REFERENCE_FILE} is up to date (else: npm run schema)`, () => {
    expect(committed(REFERENCE_FILE)).toBe(renderReference());
  });
});

describe("the reference", () => {
  test("has every setting once, with its meaning and default", () => {
    const lines = renderReference().split("\n");
    for (const { name, schema, isGroup } of settingsOf(configSchema)) {
      const info = settingInfo.get(schema);
      expect(info?.about, name).toMatch(/^\S.*[.)]$/s);
      if (isGroup) continue;
      const rows = lines.filter((line) => line.startsWith(`| \`${name}\` |`));
      expect(rows, name).toHaveLength(1);
      expect(rows[0]?.split(" | "), name).toHaveLength(5);
      expect(rows[0], name).not.toContain("undefined");
    }
  });

  test("tells the unit of every number whose name does not", () => {
    const unitless = settingsOf(configSchema)
      .filter(({ schema }) => settingInfo.get(schema)?.unit === undefined)
      .map(({ name }) => name);
    expect(unitless).not.toContain("contextLength");
    expect(unitless.filter((name) => /Seconds|Minutes|Secs|GB$/.test(name))).toEqual([]);
  });
});

describe("the JSON Schema", () => {
  const schema = JSON.parse(renderJsonSchema());
  const config = schema.properties.config;

  test("has every key, each described", () => {
    expect(Object.keys(config.properties)).toEqual(configKeys.map((key) => `dynamo-sky:${key}`));
    for (const [key, value] of Object.entries<{ description?: string }>(config.properties)) {
      expect(value.description, key).toMatch(/\S/);
    }
  });

  test("refuses other keys of this namespace, and leaves other namespaces alone", () => {
    const [pattern] = Object.keys(config.patternProperties);
    const refused = new RegExp(pattern ?? "");
    for (const key of configKeys) expect(`dynamo-sky:${key}`).not.toMatch(refused);
    for (const key of ["dynamo-sky:modle", "dynamo-sky:models", "dynamo-sky:"]) expect(key).toMatch(refused);
    for (const key of ["aws:region", "other:model"]) expect(key).not.toMatch(refused);
  });

  test("refuses unknown keys of groups, and knows defaults and choices", () => {
    const router = config.properties["dynamo-sky:router"];
    expect(router.additionalProperties).toBe(false);
    expect(router.properties.mode).toMatchObject({ type: "string" });
    expect(router.properties.mode.description).toContain("Default: kv;");
    expect(config.properties["dynamo-sky:task"]).toMatchObject({ default: "chat", type: "string" });
    expect(router.properties.mode.enum).toContain("round-robin");
    expect(config.properties["dynamo-sky:pools"].items.required).toEqual(["role"]);
  });

  test.each(["huggingFaceToken", "registryPassword", "tlsKey"])("takes an encrypted %s", (key) => {
    expect(config.properties[`dynamo-sky:${key}`].anyOf).toContainEqual({
      type: "object",
      properties: { secure: { type: "string" } },
      required: ["secure"],
      additionalProperties: false,
    });
  });
});
