/** The table of causes in the documentation, generated from `sky/causes.ts`. */
import { CAUSES, FAILURES, type FailureKind } from "../sky/causes";

export const CAUSES_FILE = "docs/troubleshooting.md";

const BEGIN = "<!-- begin: causes, written by `npm run schema` from sky/causes.ts -->";
const END = "<!-- end: causes -->";

/** @throws Error if the page has no place for the table. */
export function renderCauses(page: string): string {
  const [start, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`${CAUSES_FILE} has lost the marks of the table of causes`);
  return `${page.slice(0, start + BEGIN.length)}\n\n${table()}\n\n${page.slice(end)}`;
}

function table(): string {
  const rows = (Object.keys(FAILURES) as FailureKind[]).map((kind) => {
    const { title, advice } = FAILURES[kind];
    const words = CAUSES.filter((cause) => cause.kind === kind).map((cause) => cause.words);
    return `| ${title} | ${words.join(", ") || "–"} | ${advice.replace(/'([^']+)'/g, "`$1`")} |`;
  });
  return ["| the message says | typical words of the cause | do |", "|---|---|---|", ...rows].join("\n");
}
