/**
 * The inputs of `command:local:Command` and of the function `command:local:run`:
 * https://github.com/pulumi/pulumi-command/blob/v1.2.1/provider/pkg/provider/local/base.go
 */
import { isObject, isUnknown, type Property, type PropertyMap, reveal } from "../rpc/properties";
import type { CheckFailure } from "../rpc/server";
import type { RunInputs } from "./run";

type Kind = "string" | "boolean" | "strings" | "map of strings" | "anything";

const BASE: Readonly<Record<string, Kind>> = {
  stdin: "string",
  logging: "string",
  interpreter: "strings",
  dir: "string",
  environment: "map of strings",
  assetPaths: "strings",
  archivePaths: "strings",
  addPreviousOutputInEnv: "boolean",
};

/** One set of inputs that can be checked and read. */
export interface InputSchema {
  /** Its name in messages. */
  name: string;
  fields: Readonly<Record<string, Kind>>;
  required: readonly string[];
}

export const COMMAND_INPUTS: InputSchema = {
  name: "local.CommandInputs",
  fields: { ...BASE, triggers: "anything", create: "string", update: "string", delete: "string" },
  required: [],
};

export const RUN_INPUTS: InputSchema = {
  name: "local.RunInputs",
  fields: { ...BASE, command: "string" },
  required: ["command"],
};

/** Everything that is wrong with the given inputs, in the official plugin's words. Unknown values are accepted. */
export function checkInputs(schema: InputSchema, inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const fail = (property: string, reason: string) => failures.push({ property, reason });
  for (const [name, kind] of Object.entries(schema.fields)) {
    const value = inputs[name];
    if (value !== undefined) checkValue(schema.name, name, kind, reveal(value), fail);
    else if (schema.required.includes(name)) {
      fail(name, `Missing required field '${name}' on '${schema.name}'`);
    }
  }
  for (const name of Object.keys(inputs)) {
    if (!(name in schema.fields)) fail(name, `Unrecognized field '${name}' on '${schema.name}'`);
  }
  return failures;
}

function checkValue(
  owner: string,
  name: string,
  kind: Kind,
  value: Property,
  fail: (property: string, reason: string) => void,
): void {
  if (isUnknown(value)) return;
  const expect = (field: string, part: Property, type: "string" | "boolean") => {
    if (typeof part === type || isUnknown(part)) return;
    fail(
      field,
      `Field '${field}' on '${owner}' must be a '${GO_TYPES[type]}'; got '${goType(part)}' instead`,
    );
  };
  if (kind === "string" || kind === "boolean") expect(name, value, kind);
  else if (kind === "map of strings" && isObject(value)) {
    for (const [key, part] of Object.entries(value)) expect(`${name}[${key}] value`, part, "string");
  } else if (kind === "strings" && Array.isArray(value)) {
    value.forEach((part, index) => {
      expect(`${name}[${index}]`, part, "string");
    });
  } else if (kind !== "anything" || !Array.isArray(value)) {
    const expected = {
      "map of strings": "map[string]string",
      strings: "[]string",
      anything: "[]interface {}",
    };
    fail(name, `Field '${name}' on '${owner}' must be a '${expected[kind]}'; got '${goType(value)}' instead`);
  }
}

const GO_TYPES = { string: "string", boolean: "bool" } as const;

function goType(value: Property): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "object") return "map[string]interface {}";
  return { string: "string", boolean: "bool", number: "float64" }[
    typeof value as "string" | "boolean" | "number"
  ];
}

/** The inputs of a run, from checked inputs or from the state, secrets revealed. */
export function readRunInputs(
  properties: PropertyMap,
): RunInputs & { assetPaths?: string[]; archivePaths?: string[] } {
  const known = Object.entries(reveal(properties) as PropertyMap).filter(
    ([name, value]) => name in BASE && value !== undefined,
  );
  return Object.fromEntries(known) as RunInputs & { assetPaths?: string[]; archivePaths?: string[] };
}

/** One text from the inputs or the state, secrets revealed; undefined when it is absent. */
export function readText(properties: PropertyMap, name: string): string | undefined {
  const value = reveal(properties[name] ?? null);
  return typeof value === "string" ? value : undefined;
}
