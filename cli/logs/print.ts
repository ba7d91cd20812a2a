/** Formats log lines for output. Pure. */
import { stripControls } from "../../lib/progress";
import type { TimedLine } from "./merge";
import type { LogSource } from "./options";

/** Colours readable on light and dark backgrounds: https://en.wikipedia.org/wiki/ANSI_escape_code#8-bit */
const COLOURS = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94] as const;

export interface PrintOptions {
  readonly json: boolean;
  readonly colour: boolean;
}

/** Prints lines of these sources: with the program's name in front, or as one JSON object per line. */
export function printer(
  sources: readonly LogSource[],
  { json, colour }: PrintOptions,
): (line: TimedLine) => string {
  if (json) return (line) => asJson(line, sources[line.source]);
  const width = Math.max(0, ...sources.map(({ name }) => name.length));
  const prefixes = sources.map(({ name }, index) => {
    const prefix = `${name.padEnd(width)} │ `;
    return colour ? `\u001b[${COLOURS[index % COLOURS.length]}m${prefix}\u001b[0m` : prefix;
  });
  return ({ source, text }) => `${prefixes[source] ?? ""}${stripControls(text)}`;
}

function asJson({ at, text }: TimedLine, source: LogSource | undefined): string {
  return JSON.stringify({
    time: at === undefined ? null : new Date(at).toISOString(),
    cluster: source?.cluster,
    node: source?.rank,
    program: source?.name,
    role: source?.role,
    line: stripControls(text),
  });
}
