/**
 * References of settings to the deployment's own files. Whether the files exist is checked by
 * `lib/broughtFiles.ts`.
 */
import { FILES, filesNamedIn } from "../../lib/placeholders";
import type { Problem, SettingPath } from "../problems";
import { show } from "../values";
import type { Known } from ".";

/** Settings whose text is filled in by the launcher of a node. */
const REACH_PROGRAMS: readonly (keyof Known)[] = [
  "engineArgs",
  "engineConfig",
  "engineEnv",
  "pools",
  "router",
  "frontend",
  "kvTransfer",
];

export function fileChecks(known: Known): Problem[] {
  return Object.entries(known).flatMap(([key, value]) =>
    namesIn([key], value).flatMap(({ path, name }) => {
      const message = whyNotNamed(known, key, name);
      return message === undefined ? [] : [{ path, message }];
    }),
  );
}

interface Named {
  readonly path: SettingPath;
  /** Empty if no name follows the placeholder. */
  readonly name: string;
}

/** All files that the text of a setting refers to. */
function namesIn(path: SettingPath, value: unknown): Named[] {
  if (typeof value === "string") return filesNamedIn(value).map((name) => ({ path, name }));
  if (Array.isArray(value)) return value.flatMap((item, index) => namesIn([...path, index], item));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => namesIn([...path, key], item));
}

function whyNotNamed({ files }: Known, key: string, name: string): string | undefined {
  if (!REACH_PROGRAMS.some((one) => one === key))
    return `has ${FILES}, which is known only to the programs of a node. Allowed in: ${REACH_PROGRAMS.join(", ")}. Write a path here.`;
  if (files === undefined || Object.hasOwn(files, name)) return undefined;
  const names = Object.keys(files);
  const allowed = names.length === 0 ? "none is there" : names.map((one) => `${FILES}/${one}`).join(", ");
  const what =
    name === ""
      ? `has ${FILES} without the name of a file`
      : `has ${show(`${FILES}/${name}`)}, which is no file of dynamo-sky:files`;
  return `${what}. Allowed: ${allowed}. Name the file in dynamo-sky:files with its path on this machine.`;
}
