/** Navigation in the schema: the schema of a key, and the keys of a group. */
import { z } from "zod";
import type { SettingPath } from "./problems";

/** The schema without the wrappers that make it optional or give it a default. */
export function unwrap(schema: z.ZodType): z.ZodType {
  const isWrapped =
    schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional;
  const inner = isWrapped ? schema.unwrap() : undefined;
  return inner instanceof z.ZodType ? unwrap(inner) : schema;
}

/** The settings of a group, by key; undefined if the schema is not a group. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? inner.shape : undefined;
}

/** The schema of a list's items; undefined if the schema is not a list. */
function itemOf(schema: z.ZodType): z.ZodType | undefined {
  const inner = unwrap(schema);
  return inner instanceof z.ZodArray && inner.element instanceof z.ZodType ? inner.element : undefined;
}

/** The schema at a path; undefined if there is none. */
export function schemaAt(root: z.ZodType, path: SettingPath): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>((schema, part) => {
    if (schema === undefined) return undefined;
    return typeof part === "number" ? itemOf(schema) : shapeOf(schema)?.[part];
  }, root);
}

/** A setting with its path: `router.mode`, `pools[].role`. Groups come before their settings. */
export interface SettingEntry {
  readonly name: string;
  readonly key: string;
  readonly schema: z.ZodType;
  readonly isGroup: boolean;
}

/** Every setting below a group, in the order of the schema. */
export function settingsOf(root: z.ZodType, prefix = ""): SettingEntry[] {
  return Object.entries(shapeOf(root) ?? {}).flatMap(([key, schema]): SettingEntry[] => {
    const name = prefix + key;
    const item = itemOf(schema);
    const isGroup = shapeOf(schema) !== undefined;
    const below = isGroup
      ? settingsOf(schema, `${name}.`)
      : item === undefined
        ? []
        : settingsOf(item, `${name}[].`);
    return [{ name, key, schema, isGroup }, ...below];
  });
}
