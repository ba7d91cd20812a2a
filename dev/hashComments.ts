/** The width of comments that begin with `#`, in YAML, shell and configuration files. */

/** A line of a comment alone: its indent, the space after the mark, and the words. */
const COMMENT = /^(\s*#)( +)(\S.*)$/;
/** `NAME    what it is`: what follows goes on below its first word. */
const TERM = /^(.*?\S {2,})([^\s#].*)$/;
const ITEM = /^- /;

interface Wrapped {
  /** What the lines that follow begin with. */
  readonly prefix: string;
  readonly words: string;
}

/** Undefined for lines that are as they are: other lines, and commands, which are set in. */
function wrapped(line: string): Wrapped | undefined {
  const [, mark = "", space = "", words = ""] = COMMENT.exec(line) ?? [];
  const [, term] = TERM.exec(words) ?? [];
  if (mark === "") return undefined;
  if (term !== undefined) return { prefix: mark + " ".repeat(space.length + term.length), words };
  if (space.length > 1) return undefined;
  return { prefix: ITEM.test(words) ? `${mark}   ` : `${mark} `, words };
}

/** Whether the words of a wide line may go on in this one. */
function takes(line: string | undefined, prefix: string): boolean {
  const rest = line?.startsWith(prefix) ? line.slice(prefix.length) : "";
  return /^\S/.test(rest) && !ITEM.test(rest) && !TERM.test(rest);
}

/** Where the line is cut; undefined if it is narrow enough, or has no place for it. */
function cutOf(line: string, width: number): number | undefined {
  const how = line.length > width ? wrapped(line) : undefined;
  if (how === undefined) return undefined;
  const cut = line.lastIndexOf(" ", width);
  return cut > how.prefix.length ? cut : undefined;
}

/** The text with its wide comments on more lines. */
export function rewrappedHash(text: string, width: number): string {
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const cut = cutOf(line, width);
    if (cut === undefined) continue;
    const { prefix = "" } = wrapped(line) ?? {};
    const rest = line.slice(cut + 1);
    const next = lines[at + 1];
    const goesOn = takes(next, prefix);
    const more = goesOn ? `${prefix}${rest} ${next?.slice(prefix.length)}` : `${prefix}${rest}`;
    lines.splice(at, goesOn ? 2 : 1, line.slice(0, cut), more);
  }
  return lines.join("\n");
}

/** Problems, each as `line: what`. */
export function wideHashComments(text: string, width: number): string[] {
  return text
    .split("\n")
    .flatMap((line, index) =>
      cutOf(line, width) === undefined
        ? []
        : [`${index + 1}: a comment of ${line.length} columns, ${width} at most: npm run fix`],
    );
}
