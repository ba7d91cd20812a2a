/** Normalises inputs: converts types, fills in defaults, finds mistakes. */
import {
  contains,
  isObject,
  isSecret,
  isUnknown,
  makeSecret,
  type Property,
  type PropertyMap,
  reveal,
} from "../rpc/properties";
import type { CheckFailure } from "../rpc/server";
import type { Attribute, AttributeType, ResourceSchema } from "./schemas";

/** The complete inputs, with unknown and secret values kept as such. Inputs must have been validated. */
export function completeInputs(schema: ResourceSchema, inputs: PropertyMap): PropertyMap {
  const complete: PropertyMap = {};
  for (const [name, attribute] of Object.entries(schema.inputs)) {
    const value = inputs[name] ?? defaultOf(name, attribute, inputs);
    if (value !== undefined) complete[name] = convert(attribute.type, value) ?? value;
  }
  return complete;
}

function defaultOf(name: string, attribute: Attribute, inputs: PropertyMap): Property | undefined {
  if (name === "number") return inputs["numeric"] ?? true;
  if (name === "numeric") return inputs["number"] ?? true;
  return attribute.default;
}

/** Converts a value to the type; undefined if impossible. */
function convert(type: AttributeType, value: Property): Property | undefined {
  if (isUnknown(value)) return value;
  if (isSecret(value)) {
    const inner = convert(type, reveal(value));
    return inner === undefined ? undefined : makeSecret(inner);
  }
  switch (type) {
    case "map":
      return isObject(value) ? convertMap(value) : undefined;
    case "string":
      return typeof value === "object" ? undefined : String(value);
    case "boolean":
      return typeof value === "boolean" ? value : { true: true, false: false }[String(value)];
    case "integer":
      return Number.isSafeInteger(Number(value)) && value !== "" ? Number(value) : undefined;
  }
}

function convertMap(value: PropertyMap): PropertyMap | undefined {
  const entries = Object.entries(value).map(([key, part]) => [key, convert("string", part)] as const);
  if (entries.some(([, part]) => part === undefined)) return undefined;
  return Object.fromEntries(entries) as PropertyMap;
}

const EXPECTATIONS: Readonly<Record<AttributeType, string>> = {
  map: "a map of strings",
  string: "a string",
  boolean: "true or false",
  integer: "a whole number",
};

/** All errors in the inputs of one resource. Unknown values are accepted. */
export function checkInputs(resource: string, schema: ResourceSchema, inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  for (const [name, attribute] of Object.entries(schema.inputs)) {
    const value = inputs[name];
    if (value === undefined) {
      if (attribute.required) failures.push({ property: "", reason: `Missing required property '${name}'` });
    } else if (convert(attribute.type, value) === undefined) {
      const reason = `Invalid Attribute Value. Attribute ${name} must be ${EXPECTATIONS[attribute.type]}, got: ${shown(value)}`;
      failures.push({ property: name, reason });
    }
  }
  if (failures.length > 0) return failures;
  const known = new KnownInputs(completeInputs(schema, inputs));
  return [...checkNumbers(known), ...checkCharacters(known)].map(({ property, reason }) => ({
    property: "",
    reason: `${reason}. Examine values at '${resource}.${property}'.`,
  }));
}

function shown(value: Property): string {
  return contains(value, isSecret) ? "[secret]" : JSON.stringify(value);
}

/** Inputs as plain values; NaN and undefined for unknown ones. */
class KnownInputs {
  readonly #values: PropertyMap;

  constructor(inputs: PropertyMap) {
    this.#values = inputs;
  }

  number(name: string): number {
    const value = this.#values[name];
    return value === undefined || isUnknown(value) ? Number.NaN : Number(reveal(value));
  }

  flag(name: string): boolean | undefined {
    const value = this.#values[name];
    return value === undefined || isUnknown(value) ? undefined : reveal(value) === true;
  }
}

const MINIMA = ["minUpper", "minLower", "minNumeric", "minSpecial"] as const;

function checkNumbers(known: KnownInputs): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const atLeast = (name: string, least: number) => {
    if (!(known.number(name) < least)) return;
    const reason = `Invalid Attribute Value. Attribute ${name} value must be at least ${least}, got: ${known.number(name)}`;
    failures.push({ property: name, reason });
  };
  atLeast("length", 1);
  for (const name of MINIMA) atLeast(name, 0);
  return failures;
}

function checkCharacters(known: KnownInputs): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const sum = MINIMA.reduce((total, name) => total + known.number(name), 0);
  const length = known.number("length");
  if (length >= 1 && length < sum) {
    failures.push({
      property: "length",
      reason: `Invalid Attribute Value. Attribute length value must be at least sum of min_upper + min_lower + min_numeric + min_special, got: ${length}`,
    });
  }
  if (["special", "upper", "lower", "numeric"].every((name) => known.flag(name) === false)) {
    failures.push({
      property: "numeric",
      reason:
        "Invalid Attribute Combination. At least one attribute out of [special,upper,lower,numeric] must be specified as true",
    });
  }
  if (known.flag("number") === !known.flag("numeric") && known.flag("numeric") !== undefined) {
    failures.push({
      property: "number",
      reason:
        "Number and numeric are both configured with different values. Number is deprecated, use numeric instead",
    });
  }
  return failures;
}
