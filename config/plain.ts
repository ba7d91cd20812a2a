/** Objects that are handed on as they are: only whose program reads them knows their keys. */
import { z } from "zod";
import { allowedText, wrong } from "./values";

export type Json = z.core.util.JSONType;

/** An object of plain data, such as a file of YAML holds. */
export type PlainObject = Record<string, Json>;

/** What JSON can say; `z.json()`, with a message of its own. */
const json: z.ZodType<Json> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(json), z.record(z.string(), json)], {
    error: () => "not plain data. Allowed: text, numbers, true, false, null, lists, objects.",
  }),
);

/** @param allowed What it is in words: `an object with …`. */
export const plainObject = (allowed: string) =>
  z.record(z.string(), json, { error: wrong("an object", allowed) }).register(allowedText, { allowed });
