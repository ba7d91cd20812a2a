/** Rejects text that would not reach a program unchanged. */
import { PLACEHOLDER } from "../../lib/placeholders";
import type { Problem, SettingPath } from "../problems";
import type { Known } from ".";

export function textChecks(known: Known): Problem[] {
  return Object.entries(known).flatMap(([key, value]) => textProblems([key], value));
}

function textProblems(path: SettingPath, value: unknown): Problem[] {
  if (typeof value === "string") {
    const message = whyNotCarried(value);
    return message === undefined ? [] : [{ path, message }];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => textProblems([...path, index], item));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => textProblems([...path, key], item));
}

function whyNotCarried(text: string): string | undefined {
  if (text.includes("\0"))
    return "has a NUL character, which no argument and no variable can hold. Remove it.";
  if (/\p{Cs}/u.test(text)) return "has half of a character (a lone surrogate), which is no text. Remove it.";
  const placeholder = PLACEHOLDER.exec(text)?.[0];
  if (placeholder === undefined) return undefined;
  return `has ${placeholder}, which the plan uses for what is known only on a node, and would be replaced there. Remove it.`;
}
