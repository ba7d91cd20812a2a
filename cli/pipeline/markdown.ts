/** Markdown that GitHub and GitLab both render: https://github.github.com/gfm/ */

/**
 * Longest comment that both accept: GitHub's limit is 65,536 characters,
 * https://github.com/orgs/community/discussions/27190
 */
const LONGEST = 60_000;
const LINES_OF_FAILURE = 40;

/** Escapes text for a table cell or running text. */
export function plainText(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").replaceAll(/[\\`*_{}[\]<>#|~]/g, "\\$&");
}

/** Text as inline code. Backticks in it make the delimiters longer. */
export function code(text: string): string {
  const runs = [...text.matchAll(/`+/g)].map(([run]) => run.length);
  const mark = "`".repeat(Math.max(0, ...runs) + 1);
  const gap = text.startsWith("`") || text.endsWith("`") ? " " : "";
  // A bar ends a table cell even within code.
  const inTable = text.replaceAll(/\s*\n\s*/g, " ").replaceAll("|", "\\|");
  return `${mark}${gap}${inTable}${gap}${mark}`;
}

/** Lines as a code block. */
export function block(text: string): string {
  const runs = [...text.matchAll(/^`{3,}/gm)].map(([run]) => run.length);
  const fence = "`".repeat(Math.max(3, ...runs.map((length) => length + 1)));
  return `${fence}text\n${text}\n${fence}`;
}

/** A table; the cells are Markdown. Empty if there are no rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** A collapsed section. */
export function details(summary: string, body: string): string {
  return `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/** The end of a failure's output, which has the cause. */
export function failureBlock(message: string): string {
  const lines = message.split("\n");
  const hidden = lines.length - LINES_OF_FAILURE;
  const shown = hidden > 0 ? [`(${hidden} lines left out)`, ...lines.slice(-LINES_OF_FAILURE)] : lines;
  return block(shown.join("\n"));
}

/** Parts as one page, with the marker by which it is found again; truncated at the length limit. */
export function page(marker: string, parts: readonly string[]): string {
  const text = [marker, ...parts.filter((part) => part !== "")].join("\n\n");
  if (text.length <= LONGEST) return `${text}\n`;
  return `${text.slice(0, text.lastIndexOf("\n", LONGEST))}\n\n(cut: the rest is in the pipeline's log)\n`;
}

/** Invisible line that identifies a comment or an issue, so that it is updated instead of repeated. */
export function markerOf(purpose: string, stack: string): string {
  return `<!-- dynamo-sky:${purpose}:${stack} -->`;
}

/** The marker at the start of a page, or undefined. */
export function markerIn(text: string): string | undefined {
  return /^<!-- dynamo-sky:[a-z-]+:\S+ -->/.exec(text)?.[0];
}
