/** Converts zod's issues to problems, with the schema's messages, and suggestions for unknown keys. */
import type { z } from "zod";
import { CONFIG_NAMESPACE, type Problem, type SettingPath } from "./problems";
import { listed, nearest } from "./values";
import { schemaAt, settingsOf, shapeOf } from "./walk";

/** Longest list of keys in a message. */
const LISTED_KEYS = 16;

/** All problems found by zod, at most one per setting. */
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
  const near = known.find((other) => bare(other) === bare(key)) ?? nearest(key, known);
  if (near !== undefined) return `unknown key. Did you mean "${near}"?`;
  const places = settingsOf(root)
    .filter((entry) => entry.key === key || bare(entry.name) === bare(key))
    .map((entry) => `${CONFIG_NAMESPACE}:${entry.name}`);
  if (places.length > 0) return `unknown key here. Write it as ${places.join(" or ")}.`;
  if (known.length > LISTED_KEYS) return "unknown key. Remove it; docs/configuration.md lists all keys.";
  return `unknown key. Known here: ${listed(known)}.`;
}

/** Normalises a name for comparison: `tensor_parallel`, `tensorParallel`; `routerMode`, `router.mode`. */
function bare(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]/g, "").toLowerCase();
}
