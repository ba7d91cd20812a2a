/** Completes inputs with their defaults, and finds mistakes in them. */
import { isObject, isUnknown, type Property, type PropertyMap, reveal } from "../rpc/properties";
import type { CheckFailure } from "../rpc/server";
import type { AttributeType, ResourceSchema } from "./schemas";

/** The complete inputs, with unknown and secret values kept as such. */
export function completeInputs(schema: ResourceSchema, inputs: PropertyMap): PropertyMap {
  const complete: PropertyMap = {};
  for (const [name, attribute] of Object.entries(schema.inputs)) {
    const value = inputs[name] ?? attribute.default;
    if (value !== undefined) complete[name] = value;
  }
  return complete;
}

/** The first input with a value that only the official plugin can have. */
export function missingInput(schema: ResourceSchema, inputs: PropertyMap): string | undefined {
  const found = Object.entries(schema.inputs).find(([name, { fixed, default: only }]) => {
    const value = inputs[name];
    return fixed === true && value !== undefined && reveal(value) !== only;
  });
  return found?.[0];
}

const isString = (value: Property) => typeof value === "string" || isUnknown(value);

const TYPES: Readonly<Record<AttributeType, { name: string; has: (value: Property) => boolean }>> = {
  map: {
    name: "a map of strings",
    has: (value) => isObject(value) && Object.values(value).every(isString),
  },
  string: { name: "a string", has: isString },
  boolean: { name: "true or false", has: (value) => typeof value === "boolean" },
  integer: { name: "a whole number", has: Number.isSafeInteger },
};

/** All errors in the inputs of one resource. Unknown values are accepted. */
export function checkInputs(resource: string, schema: ResourceSchema, inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  for (const [name, attribute] of Object.entries(schema.inputs)) {
    const value = inputs[name];
    const type = TYPES[attribute.type];
    if (value === undefined) {
      if (attribute.required) failures.push({ property: "", reason: `Missing required property '${name}'` });
    } else if (!isUnknown(value) && !type.has(reveal(value))) {
      const reason = `Invalid Attribute Value. Attribute ${name} must be ${type.name}. Examine values at '${resource}.${name}'.`;
      failures.push({ property: name, reason });
    }
  }
  const length = reveal(inputs["length"] ?? null);
  if (typeof length === "number" && length < 1) {
    const reason = `Invalid Attribute Value. Attribute length value must be at least 1, got: ${length}. Examine values at '${resource}.length'.`;
    failures.push({ property: "", reason });
  }
  return failures;
}
