/** The table of causes in the documentation, generated from `sky/causes.ts`. */
import { CAUSES, type Cause } from "../sky/causes";
import { FAILURES, type FailureKind } from "../sky/failureKinds";

export const CAUSES_FILE = "docs/troubleshooting.md";

const BEGIN = "<!-- begin: causes, written by `npm run schema` from sky/causes.ts -->";
const END = "<!-- end: causes -->";

/** @throws Error if the page has no place for the table. */
export function renderCauses(page: string): string {
  const [start, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (start < 0 || end < start)
    throw new Error(`${CAUSES_FILE} lacks the comments around the table of causes`);
  return `${page.slice(0, start + BEGIN.length)}\n\n${table()}\n\n${page.slice(end)}`;
}

function table(): string {
  const rows = (Object.keys(FAILURES) as FailureKind[]).map((kind) => {
    const { title, advice } = FAILURES[kind];
    const causes = CAUSES.filter((cause) => cause.kind === kind);
    const words = causes.map((cause) => cause.words).join(", ") || "–";
    return `| ${title} | ${words} | ${advice.replace(/(?<!\w)'([^']+)'(?!\w)/g, "`$1`")} | ${endOf(causes)} |`;
  });
  return [
    "| the message says | typical words of the cause | do | ends the wait for workers |",
    "|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function endOf(causes: readonly Cause[]): string {
  const ends = causes.flatMap(({ words, finalAfter }) => {
    if (finalAfter === undefined) return [];
    const which = causes.length > 1 ? `${words}: ` : "";
    return `${which}${finalAfter === 0 ? "at once" : `after ${finalAfter} starts`}`;
  });
  return ends.join("; ") || "–";
}
