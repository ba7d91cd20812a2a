/** Shared by the tables of invalid inputs. */

import { ConfigError } from "../../config/problems";
import { parseConfig } from "../../plan/config";

/** Title; the input, to which a model is added if it is an object without one; every problem, in full. */
export type BadInput = readonly [title: string, input: unknown, problems: readonly string[]];

/** The whole error message for a configuration. Throws if it is accepted or fails in another way. */
export function messageOf(input: unknown): string {
  const isGroup = typeof input === "object" && input !== null && !Array.isArray(input);
  try {
    parseConfig(isGroup ? { model: "Qwen/Qwen3-8B", ...input } : input);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(input)}`);
}
