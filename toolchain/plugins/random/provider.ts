/**
 * Stand-in for the plugin of `@pulumi/random`: RandomString and RandomPassword.
 *
 * What it has to do is given by https://github.com/pulumi/pulumi-random and, below it,
 * https://github.com/hashicorp/terraform-provider-random
 */
import { version } from "@pulumi/random/package.json";
import { type Difference, sameValue } from "../rpc/diff";
import { makeSecret, type Property, type PropertyMap, reveal, UNKNOWN } from "../rpc/properties";
import type { Provider } from "../rpc/server";
import { generate } from "./generate";
import { checkInputs, completeInputs, missingInput } from "./plan";
import { type RandomType, type ResourceSchema, SCHEMAS } from "./schemas";

/** What is said of that which this stand-in does not have. */
function notHere(what: string): Error {
  const names = Object.keys(SCHEMAS).map((known) => known.split(":").pop());
  return new Error(
    `'${what}' is not available: this pulumi-resource-random is a stand-in for machines where the official ` +
      `plugin cannot be downloaded, and has only ${names.join(", ")} with length, upper, special and keepers. ` +
      `Where it can be downloaded: pulumi plugin install resource random ${version}`,
  );
}

/** @throws for every type that this stand-in does not support. */
function knownType(type: string): RandomType {
  if (Object.hasOwn(SCHEMAS, type)) return type as RandomType;
  throw notHere(type);
}

export const randomProvider: Provider = {
  version,

  check: (call, news) => {
    const schema: ResourceSchema = SCHEMAS[knownType(call.type)];
    const missing = missingInput(schema, news);
    if (missing !== undefined) throw notHere(missing);
    return { inputs: news, failures: checkInputs(call.name, schema, news) };
  },

  diff: (call, _oldInputs, oldState, news) => {
    const schema: ResourceSchema = SCHEMAS[knownType(call.type)];
    const changes = changedInputs(schema, oldState, completeInputs(schema, news));
    const replaces = [...changes.keys()].filter((name) => !isHarmless(name, oldState[name], news[name]));
    return { changes, replaces: new Set(replaces), detailed: false };
  },

  create: async (call, inputs, preview) => {
    const type = knownType(call.type);
    const schema: ResourceSchema = SCHEMAS[type];
    const complete = completeInputs(schema, inputs);
    if (preview) return { id: "", properties: outputsOf(schema, complete, UNKNOWN, {}) };
    const { id, properties } = await generate(type, reveal(complete) as PropertyMap);
    return { id, properties: outputsOf(schema, complete, id, properties) };
  },

  // Only called for changes without effect, such as no keepers instead of an empty map.
  update: async (call, state, news) => {
    const schema: ResourceSchema = SCHEMAS[knownType(call.type)];
    const kept = Object.entries(state).filter(([name]) => !Object.hasOwn(schema.inputs, name));
    return { ...Object.fromEntries(kept), ...completeInputs(schema, news) };
  },

  delete: async () => undefined,

  invoke: async (call) => {
    throw new Error(`'${call.type}' is not available: @pulumi/random has no functions`);
  },
};

function outputsOf(
  schema: ResourceSchema,
  inputs: PropertyMap,
  id: string,
  values: PropertyMap,
): PropertyMap {
  const generated = schema.generated.map((name): [string, Property] => {
    const value = values[name] ?? UNKNOWN;
    return [name, schema.secret.includes(name) ? makeSecret(value) : value];
  });
  const meta = id !== UNKNOWN && { schema_version: schema.stateVersion };
  return { ...(meta && { __meta: JSON.stringify(meta) }), ...inputs, ...Object.fromEntries(generated), id };
}

function changedInputs(schema: ResourceSchema, before: PropertyMap, after: PropertyMap): Difference {
  const changes: Difference = new Map();
  for (const name of Object.keys(schema.inputs)) {
    const old = before[name];
    const now = after[name];
    if (old === undefined && now === undefined) continue;
    if (old === undefined || now === undefined) changes.set(name, old === undefined ? "add" : "delete");
    else if (!sameValue(reveal(old), reveal(now))) changes.set(name, "update");
  }
  return changes;
}

/** Absent keepers may become an empty map, and the other way round, without a new value. */
function isHarmless(name: string, old: Property | undefined, now: Property | undefined): boolean {
  const isEmpty = (value: Property | undefined) => Object.keys(reveal(value ?? {}) ?? {}).length === 0;
  return name === "keepers" && isEmpty(old) && isEmpty(now);
}
