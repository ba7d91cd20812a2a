/**
 * Pulumi passes every configuration value as a string: `pulumi config set dynamo-sky:contextLength 8192`
 * gives "8192", and a list or an object gives JSON. At the top level, where that happens, such strings are
 * parsed, but only if the setting is unambiguous: a setting of type text keeps its string.
 */
import type { z } from "zod";
import { unwrap } from "./walk";

/** The parsed value of a top-level string; the string itself if it cannot be parsed. */
export function coerce(schema: z.ZodType, value: unknown): unknown {
  if (typeof value !== "string") return value;
  switch (unwrap(schema).type) {
    case "number":
      return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
    case "boolean":
      return value === "true" || value === "false" ? value === "true" : value;
    case "array":
    case "object":
    case "record":
      return fromJson(value);
    default:
      return value;
  }
}

function fromJson(value: string): unknown {
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === "object" && parsed !== null ? parsed : value;
  } catch {
    return value;
  }
}
