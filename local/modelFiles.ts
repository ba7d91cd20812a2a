/**
 * Checks that a model directory has what Dynamo needs when no weights are loaded: configuration and
 * tokenizer.
 */
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../lib/errors";
import { isMissing } from "./directories";

const CONFIG = "config.json";
/** One of these sets of files is needed. https://huggingface.co/docs/transformers/main_classes/tokenizer */
const TOKENIZERS: readonly (readonly string[])[] = [
  ["tokenizer.json"],
  ["tokenizer.model"],
  ["tiktoken.model"],
  ["vocab.json", "merges.txt"],
];

/** The problem, as the end of a sentence that starts with the path; undefined if there is none. */
export function modelDirectoryProblem(path: string): string | undefined {
  let names: readonly string[];
  try {
    names = readdirSync(path);
  } catch (error) {
    if (isMissing(error)) return "does not exist on this machine";
    return codeOf(error) === "ENOTDIR" ? "is a file; a model is a directory" : "cannot be read by this user";
  }
  if (!names.includes(CONFIG)) return `has no ${CONFIG}, which every model of the hub's layout has`;
  const tokenizer = TOKENIZERS.find((files) => files.every((file) => names.includes(file)));
  if (tokenizer === undefined)
    return `has no tokenizer (${TOKENIZERS.map((files) => files.join(" with ")).join(", ")})`;
  for (const file of [CONFIG, ...tokenizer]) {
    try {
      accessSync(join(path, file), constants.R_OK);
    } catch {
      return `has a ${file} that this user cannot read`;
    }
  }
  try {
    JSON.parse(readFileSync(join(path, CONFIG), "utf8"));
  } catch {
    return `has a ${CONFIG} that is not JSON`;
  }
  return undefined;
}
