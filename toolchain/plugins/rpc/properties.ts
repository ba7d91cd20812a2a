/**
 * Pulumi's property values in a protobuf `Struct`: JSON, in which some reserved strings mean unknown values
 * and objects with a reserved key are secrets and outputs.
 *
 * The reserved values: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go and
 * https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go
 */
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";

/** One property value. */
export type Property = null | boolean | number | string | Property[] | PropertyMap;

/** The properties of a resource, by name. */
export interface PropertyMap {
  [name: string]: Property;
}

/** The key that makes an object one of the special kinds below. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** Sent for a value that is unknown in a preview. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** The engine has one such string per type; they are equivalent here. */
const UNKNOWNS: ReadonlySet<string> = new Set([
  UNKNOWN,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** True for an object, special or not; false for arrays and null. */
export function isObject(value: Property | undefined): value is PropertyMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for a secret. */
export function isSecret(value: Property | undefined): value is PropertyMap {
  return isObject(value) && value[SIGNATURE] === SECRET;
}

/** Wraps a value as a secret; a secret is returned unchanged. */
export function makeSecret(value: Property): Property {
  return isSecret(value) ? value : { [SIGNATURE]: SECRET, value };
}

/** Whether the value itself, or the value of a secret, is unknown. */
export function isUnknown(value: Property | undefined): boolean {
  const inner = isSecret(value) ? value["value"] : value;
  return typeof inner === "string" && UNKNOWNS.has(inner);
}

/** The value without secret wrappers, at every depth. */
export function reveal(value: Property): Property {
  if (isSecret(value)) return reveal(value["value"] ?? null);
  if (Array.isArray(value)) return value.map(reveal);
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, reveal(part)]));
  }
  return value;
}

/**
 * Decodes received properties: absent properties are omitted, output values become plain, secret or unknown.
 */
export function decode(struct: Struct | undefined): PropertyMap {
  const received = normalise((struct?.toJavaScript() ?? {}) as PropertyMap);
  return isObject(received) ? received : {};
}

/** Encodes properties to send. */
export function encode(properties: PropertyMap): Struct {
  return Struct.fromJavaScript(properties as { [name: string]: JavaScriptValue });
}

function normalise(value: Property): Property {
  if (Array.isArray(value)) return value.map(normalise);
  if (!isObject(value)) return value;
  if (value[SIGNATURE] === OUTPUT) {
    const inner = normalise(value["value"] ?? UNKNOWN);
    return value["secret"] === true ? makeSecret(inner) : inner;
  }
  const entries = Object.entries(value).filter(([, part]) => part !== null);
  return Object.fromEntries(entries.map(([name, part]) => [name, normalise(part)]));
}
