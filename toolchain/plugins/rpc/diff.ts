/**
 * The difference of two sets of inputs, in the engine's terms: property path → change. Follows
 * `PropertyMap.Diff` and `NewDetailedDiffFromObjectDiff` of Pulumi's Go SDK, like the official plugins.
 */
import { isDeepStrictEqual } from "node:util";
import { isObject, isSecret, type Property, type PropertyMap } from "./properties";

/** Change of one property. */
export type Change = "add" | "delete" | "update";

/** Changed property paths, such as `environment.HOME` or `triggers[0]`. */
export type Difference = Map<string, Change>;

/** Compares two sets of inputs. An empty result means no change. */
export function difference(before: PropertyMap, after: PropertyMap): Difference {
  const changes: Difference = new Map();
  diffObjects("", before, after, changes);
  return changes;
}

/** Whether both are the same value; a secret equals any secret with the same value. */
export function sameValue(left: Property | undefined, right: Property | undefined): boolean {
  return isDeepStrictEqual(left, right);
}

function diffObjects(prefix: string, before: PropertyMap, after: PropertyMap, changes: Difference): void {
  for (const [name, old] of Object.entries(before)) {
    const path = memberPath(prefix, name);
    const now = after[name];
    if (now === undefined) changes.set(path, "delete");
    else diffValues(path, old, now, changes);
  }
  for (const name of Object.keys(after)) {
    if (before[name] === undefined) changes.set(memberPath(prefix, name), "add");
  }
}

function diffArrays(prefix: string, before: Property[], after: Property[], changes: Difference): void {
  for (let index = 0; index < Math.max(before.length, after.length); index++) {
    const path = `${prefix}[${index}]`;
    const old = before[index];
    const now = after[index];
    if (now === undefined) changes.set(path, "delete");
    else if (old === undefined) changes.set(path, "add");
    else diffValues(path, old, now, changes);
  }
}

function diffValues(path: string, old: Property, now: Property, changes: Difference): void {
  if (Array.isArray(old) && Array.isArray(now)) diffArrays(path, old, now, changes);
  else if (isPlainObject(old) && isPlainObject(now)) diffObjects(path, old, now, changes);
  else if (!sameValue(old, now)) {
    changes.set(path, old === null ? "add" : now === null ? "delete" : "update");
  }
}

function isPlainObject(value: Property): value is PropertyMap {
  return isObject(value) && !isSecret(value);
}

/** In Pulumi's notation of property paths: dots between plain names, brackets and quotes around others. */
function memberPath(prefix: string, name: string): string {
  if (!/^[^."[\]]+$/.test(name)) return `${prefix}["${name.replaceAll('"', '\\"')}"]`;
  return prefix === "" ? name : `${prefix}.${name}`;
}
