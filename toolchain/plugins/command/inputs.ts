/**
 * The inputs of `command:local:Command`:
 * https://github.com/pulumi/pulumi-command/blob/v1.2.1/provider/pkg/provider/local/base.go
 */
import { isObject, isUnknown, type Property, type PropertyMap, reveal } from "../rpc/properties";
import type { CheckFailure } from "../rpc/server";
import type { RunInputs } from "./run";

type Kind = "string" | "boolean" | "map of strings" | "anything";

const FIELDS_OF_A_RUN: Readonly<Record<string, Kind>> = {
  stdin: "string",
  logging: "string",
  environment: "map of strings",
  addPreviousOutputInEnv: "boolean",
};

/** Every input, and what it may be. */
export const FIELDS: Readonly<Record<string, Kind>> = {
  ...FIELDS_OF_A_RUN,
  triggers: "anything",
  create: "string",
  delete: "string",
};

/** Inputs that the official plugin has besides. */
export const NOT_HERE = ["update", "interpreter", "dir", "assetPaths", "archivePaths"] as const;

/** The inputs' name in messages. */
const OWNER = "local.CommandInputs";

/** All errors in the inputs, with the official plugin's messages. Unknown values are accepted. */
export function checkInputs(inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const fail = (property: string, reason: string) => failures.push({ property, reason });
  for (const [name, value] of Object.entries(inputs)) {
    const kind = FIELDS[name];
    if (kind === undefined) fail(name, `Unrecognized field '${name}' on '${OWNER}'`);
    else checkValue(name, kind, reveal(value), fail);
  }
  return failures;
}

function checkValue(
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
      `Field '${field}' on '${OWNER}' must be a '${GO_TYPES[type]}'; got '${goType(part)}' instead`,
    );
  };
  if (kind === "string" || kind === "boolean") expect(name, value, kind);
  else if (kind === "map of strings" && isObject(value)) {
    for (const [key, part] of Object.entries(value)) expect(`${name}[${key}] value`, part, "string");
  } else if (kind !== "anything" || !Array.isArray(value)) {
    const expected = kind === "anything" ? "[]interface {}" : "map[string]string";
    fail(name, `Field '${name}' on '${OWNER}' must be a '${expected}'; got '${goType(value)}' instead`);
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

/** The inputs of a run, from validated inputs or from the state, with secrets revealed. */
export function readRunInputs(properties: PropertyMap): RunInputs {
  const known = Object.entries(reveal(properties) as PropertyMap).filter(
    ([name, value]) => name in FIELDS_OF_A_RUN && value !== undefined,
  );
  return Object.fromEntries(known) as RunInputs;
}

/** One string from the inputs or the state, with secrets revealed; undefined if absent. */
export function readText(properties: PropertyMap, name: string): string | undefined {
  const value = reveal(properties[name] ?? null);
  return typeof value === "string" ? value : undefined;
}
