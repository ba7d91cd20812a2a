/**
 * The inputs of the resources of `@pulumi/random`, their defaults and limits:
 * https://www.pulumi.com/registry/packages/random/api-docs/
 */

/** Types of inputs. */
export type AttributeType = "string" | "integer" | "boolean" | "map";

/** One input. */
export interface Attribute {
  type: AttributeType;
  required?: true;
  default?: number | boolean;
  /** Whether the default is the only value here; the state has it for the official plugin. */
  fixed?: true;
}

/** One type of resource. Every change of an input replaces it. */
export interface ResourceSchema {
  inputs: Readonly<Record<string, Attribute>>;
  /** Generated properties, apart from `id`. */
  generated: readonly string[];
  /** Generated properties that are always secret. */
  secret: readonly string[];
  /** State version of the official plugin, so that it can take over the state. */
  stateVersion: string;
}

const YES: Attribute = { type: "boolean", default: true };
const ALWAYS: Attribute = { ...YES, fixed: true };
const NONE: Attribute = { type: "integer", default: 0, fixed: true };

const STRING_INPUTS: Readonly<Record<string, Attribute>> = {
  keepers: { type: "map" },
  length: { type: "integer", required: true },
  lower: ALWAYS,
  minLower: NONE,
  minNumeric: NONE,
  minSpecial: NONE,
  minUpper: NONE,
  // Two names of one input, `number` being deprecated.
  number: ALWAYS,
  numeric: ALWAYS,
  overrideSpecial: { type: "string", fixed: true },
  special: YES,
  upper: YES,
};

export const SCHEMAS = {
  "random:index/randomString:RandomString": {
    inputs: STRING_INPUTS,
    generated: ["result"],
    secret: [],
    stateVersion: "2",
  },
  "random:index/randomPassword:RandomPassword": {
    inputs: STRING_INPUTS,
    generated: ["bcryptHash", "result"],
    secret: ["bcryptHash", "result"],
    stateVersion: "3",
  },
} as const satisfies Record<string, ResourceSchema>;

/** A supported type. */
export type RandomType = keyof typeof SCHEMAS;
