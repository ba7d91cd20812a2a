/** The width of comments in TypeScript, which Biome leaves alone. Pure. */
import { ModuleKind, ScriptTarget, transpileModule } from "typescript";

/** A line that is a comment and nothing else: its start, and its text. */
const COMMENT = /^(\s*(?:\/\/|\/\*\*|\*)\s)(.*)$/;

/** What begins a line of its own: an item of a list, a tag, a table, a fence, a directive to a tool. */
const OWN_LINE = /^(?:[-*|@]|\d+\.|```|biome-|eslint-)/;

/** A line that one link fills cannot be broken. */
function isWide(line: string, width: number): boolean {
  const comment = COMMENT.exec(line)?.[2];
  return comment !== undefined && line.length > width && !/\S{80}/.test(comment);
}

/** Comments that are too wide, each as `line: what`. */
export function wideComments(text: string, width: number): string[] {
  return text.split("\n").flatMap((line, index) => {
    const problem = `${index + 1}: a comment of ${line.length} columns, ${width} at most: npm run fix`;
    return isWide(line, width) ? [problem] : [];
  });
}

/** Where a wide line is broken: after its text's last word that fits, before a word that can begin a line. */
function breakOf(line: string, start: number, width: number): number | undefined {
  for (let at = line.lastIndexOf(" ", width); at > start; at = line.lastIndexOf(" ", at - 1)) {
    if (!OWN_LINE.test(line.slice(at + 1))) return at;
  }
  return undefined;
}

/**
 * What takes the place of a wide line and the next, into which its paragraph flows where it goes on there.
 */
function broken(line: string, next: string, width: number): string[] | undefined {
  const single = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
  if (single) return [`${single[1]}/**`, `${single[1]} * ${single[2]}`, `${single[1]} */`, next];
  const [, start, prose] = /^(\s*(?:\/\/|\*) )(?!\||biome-|eslint-|@ts-)(\S.*)$/.exec(line) ?? [];
  if (start === undefined || prose === undefined) return undefined;
  const hang = start + " ".repeat(/^(?:[-*]|\d+\.) +/.exec(prose)?.[0].length ?? 0);
  const at = breakOf(line, hang.length, width);
  if (at === undefined) return undefined;
  const rest = hang + line.slice(at + 1);
  const follows = next.startsWith(hang) ? next.slice(hang.length) : "";
  const goesOn = /^\S/.test(follows) && !OWN_LINE.test(follows);
  return [line.slice(0, at), ...(goesOn ? [`${rest} ${follows}`] : [rest, next])];
}

/** Without its comments: what may not change when they are rewrapped. */
function code(text: string): string {
  const compilerOptions = { removeComments: true, module: ModuleKind.ESNext, target: ScriptTarget.ESNext };
  return transpileModule(text, { compilerOptions }).outputText;
}

/** The same text with its wide comments over more lines; as it was where that would change anything else. */
export function rewrapped(text: string, width: number): string {
  const lines = text.split("\n");
  let fenced = false;
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? "";
    if (COMMENT.exec(line)?.[2]?.trimStart().startsWith("```")) fenced = !fenced;
    const better = isWide(line, width) && !fenced ? broken(line, lines[index + 1] ?? "", width) : undefined;
    if (better) lines.splice(index, 2, ...better);
  }
  const changed = lines.join("\n");
  return changed !== text && code(changed) === code(text) ? changed : text;
}
