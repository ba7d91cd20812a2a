/** The width of prose in Markdown. Tables, code and headings are as wide as they are. Pure. */

/** Columns. Wider prose is hard to follow in an editor, and in the differences of a pull request. */
export const PROSE_WIDTH = 160;

/** What is no prose: a table, a heading, a quote, HTML, a link's definition. */
const OTHER = /^\s*(?:[|#><]|\[[^\]]+\]:)/;
const ITEM = /^\s*(?:[-*+]|\d+[.)]) +/;
const FENCE = /^\s*(?:```|~~~)/;
/** What would begin something else at the start of a line. */
const MARKER = /^(?:[-*+]$|[|#><]|\d+[.)]$)/;

interface Paragraph {
  /** Index of its first line. */
  readonly start: number;
  readonly lines: readonly string[];
}

function paragraphsOf(lines: readonly string[]): Paragraph[] {
  const found: { start: number; lines: string[] }[] = [];
  let fenced = false;
  let goesOn = false;
  for (const [index, line] of lines.entries()) {
    const isFence = FENCE.test(line);
    if (isFence) fenced = !fenced;
    const isProse = !fenced && !isFence && !OTHER.test(line) && line.trim() !== "";
    if (isProse && goesOn && !ITEM.test(line)) found.at(-1)?.lines.push(line);
    else if (isProse) found.push({ start: index, lines: [line] });
    goesOn = isProse;
  }
  return found;
}

/** Words, of which code is one, whatever spaces it has; one that may not begin a line is part of the last. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:`[^`]*`|\S)+/g))
    if (MARKER.test(word) && words.length > 0) words.push(`${words.pop()} ${word}`);
    else words.push(word);
  return words;
}

function isWide({ lines }: Paragraph, width: number): boolean {
  return lines.some((line) => line.length > width && wordsOf(line).length > 1);
}

/** The paragraph in lines that fit; as it was where a line's end has a meaning. */
function wrapped({ lines }: Paragraph, width: number): readonly string[] {
  const [first = "", second] = lines;
  if (lines.some((line) => /(?: {2}|\\)$/.test(line))) return lines;
  const indent = /^\s*/.exec(first)?.[0] ?? "";
  const marker = ITEM.exec(first)?.[0] ?? indent;
  const hang = second === undefined ? " ".repeat(marker.length) : (/^\s*/.exec(second)?.[0] ?? "");
  const [head = "", ...rest] = wordsOf([first.slice(marker.length), ...lines.slice(1)].join(" "));
  const made = [`${marker}${head}`];
  for (const word of rest) {
    const longer = `${made.at(-1)} ${word}`;
    if (longer.length <= width) made[made.length - 1] = longer;
    else made.push(`${hang}${word}`);
  }
  return made;
}

/** Prose that is too wide, each as `line: what`. */
export function wideProse(text: string, width = PROSE_WIDTH): string[] {
  return paragraphsOf(text.split("\n")).flatMap((paragraph) => {
    const { start, lines } = paragraph;
    const longest = Math.max(...lines.map(({ length }) => length));
    return isWide(paragraph, width)
      ? [`${start + 1}: prose of ${longest} columns, ${width} at most: npm run fix`]
      : [];
  });
}

/** The same text with its wide paragraphs over more lines. */
export function rewrappedProse(text: string, width = PROSE_WIDTH): string {
  const lines = text.split("\n");
  for (const paragraph of paragraphsOf(lines).reverse())
    if (isWide(paragraph, width))
      lines.splice(paragraph.start, paragraph.lines.length, ...wrapped(paragraph, width));
  return lines.join("\n");
}
