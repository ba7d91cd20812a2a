/** Objects that are passed on unchanged, with keys that only another program knows. */
import { z } from "zod";
import { allowedText, wrong } from "./values";

export type Json = z.core.util.JSONType;

/** Plain data, as in a YAML file. */
export type PlainObject = Record<string, Json>;

/** Any JSON value; `z.json()` with another message. */
const json: z.ZodType<Json> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(json), z.record(z.string(), json)], {
    error: () => "not plain data. Allowed: text, numbers, true, false, null, lists, objects.",
  }),
);

/** @param allowed Description of the allowed value: `an object with …`. */
export const plainObject = (allowed: string) =>
  z.record(z.string(), json, { error: wrong("an object", allowed) }).register(allowedText, { allowed });
