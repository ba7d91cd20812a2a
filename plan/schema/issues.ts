/** From zod's issues to problems: every message is the schema's own, and an unknown key gets a suggestion. */
import type { z } from "zod";
import type { Problem, SettingPath } from "../problems";
import { listed, nearest } from "./values";
import { schemaAt, settingsOf, shapeOf } from "./walk";

/** Groups with more keys than this are not listed in a message. */
const LISTED_KEYS = 16;

/** All problems that zod found, at most one a setting. */
export function problemsOf(root: z.ZodType, issues: readonly z.core.$ZodIssue[]): Problem[] {
  const seen = new Set<string>();
  return issues
    .flatMap((issue) => problemsOfIssue(root, issue))
    .filter(({ path }) => {
      const key = JSON.stringify(path);
      const isNew = !seen.has(key);
      seen.add(key);
      return isNew;
    });
}

function problemsOfIssue(root: z.ZodType, issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(root, path, key) }));
    case "invalid_key":
      return [{ path, message: issue.issues[0]?.message ?? issue.message }];
    default:
      return [{ path, message: issue.message }];
  }
}

function unknownKey(root: z.ZodType, path: SettingPath, key: string): string {
  const known = Object.keys(shapeOf(schemaAt(root, path) ?? root) ?? {});
  const near = nearest(key, known);
  if (near !== undefined) return `unknown key. Did you mean "${near}"?`;
  const elsewhere = settingsOf(root).filter((entry) => entry.key === key);
  if (elsewhere.length > 0)
    return `unknown key here. There is ${listed(elsewhere.map((entry) => entry.name))}.`;
  if (known.length > LISTED_KEYS) return "unknown key. Remove it; docs/configuration.md lists all keys.";
  return `unknown key. Known here: ${listed(known)}.`;
}
