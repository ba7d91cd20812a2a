/** The pages of the documentation, and their commands. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/root";

const root = packageRoot();

function pagesBelow(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(directory, file));
}

/** Every page, relative to the repository, in reading order. */
export const pages: readonly string[] = ["README.md", "CONTRIBUTING.md", ...pagesBelow("docs").sort()];

export function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

/** A block of commands. */
export interface CommandBlock {
  readonly page: string;
  /** Line of the page where it begins, from 1. */
  readonly line: number;
  readonly script: string;
  /** The block's requirement, from its first line (`# needs …`): something that tests do not have. */
  readonly needs: string | undefined;
}

/** The command blocks of a page, in order. */
export function commandBlocks(page: string): CommandBlock[] {
  const text = textOf(page);
  return [...text.matchAll(/^```(?:bash|sh|shell|console)\n([\s\S]*?)^```/gm)].map((match) => {
    const [, script = ""] = match;
    const line = text.slice(0, match.index).split("\n").length;
    return { page, line, script, needs: /^# needs (.+)$/m.exec(script.split("\n")[0] ?? "")?.[1] };
  });
}

/** The texts of a page's blocks of a language, in order. */
export function codeBlocks(page: string, language: string): string[] {
  const pattern = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm");
  return [...textOf(page).matchAll(pattern)].map(([, block = ""]) => block);
}
