/** Markdown as GitHub and GitLab both show it: https://github.github.com/gfm/ */

/** Longest comment that both take: GitHub ends at 65,536 characters, https://github.com/orgs/community/discussions/27190 */
const LONGEST = 60_000;
const LINES_OF_FAILURE = 40;

/** Text in a table's cell or in running text: nothing in it is markup. */
export function plainText(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").replaceAll(/[\\`*_{}[\]<>#|~]/g, "\\$&");
}

/** Text as it is, in the font of code. A backtick in it makes the marks longer. */
export function code(text: string): string {
  const runs = [...text.matchAll(/`+/g)].map(([run]) => run.length);
  const mark = "`".repeat(Math.max(0, ...runs) + 1);
  const gap = text.startsWith("`") || text.endsWith("`") ? " " : "";
  // A table's cell ends at a bar even within code.
  const inTable = text.replaceAll(/\s*\n\s*/g, " ").replaceAll("|", "\\|");
  return `${mark}${gap}${inTable}${gap}${mark}`;
}

/** Lines as they are. */
export function block(text: string): string {
  const runs = [...text.matchAll(/^`{3,}/gm)].map(([run]) => run.length);
  const fence = "`".repeat(Math.max(3, ...runs.map((length) => length + 1)));
  return `${fence}text\n${text}\n${fence}`;
}

/** A table; the cells are Markdown. Empty where there is no row. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What is folded away until somebody asks for it. */
export function details(summary: string, body: string): string {
  return `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/** The end of a failure's text, which is where its cause stands. */
export function failureBlock(message: string): string {
  const lines = message.split("\n");
  const left = lines.length - LINES_OF_FAILURE;
  const shown = left > 0 ? [`(${left} lines left out)`, ...lines.slice(-LINES_OF_FAILURE)] : lines;
  return block(shown.join("\n"));
}

/** Parts as one page, with the marker by which it is found again; cut where it would be refused for its length. */
export function page(marker: string, parts: readonly string[]): string {
  const text = [marker, ...parts.filter((part) => part !== "")].join("\n\n");
  if (text.length <= LONGEST) return `${text}\n`;
  return `${text.slice(0, text.lastIndexOf("\n", LONGEST))}\n\n(cut: the rest is in the pipeline's log)\n`;
}

/** Invisible line by which a comment or an issue is found again, so that it is updated and not repeated. */
export function markerOf(purpose: string, stack: string): string {
  return `<!-- dynamo-sky:${purpose}:${stack} -->`;
}

/** The marker with which a page begins, or undefined. */
export function markerIn(text: string): string | undefined {
  return /^<!-- dynamo-sky:[a-z-]+:\S+ -->/.exec(text)?.[0];
}
