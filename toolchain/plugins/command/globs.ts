/**
 * Path patterns as the official plugin reads them, with `/` as separator: https://github.com/gobwas/glob. The usual
 * glob libraries differ where it matters: here `**` stands for anything at all, so `src/**.js` reaches into folders.
 */

/** True when a path fulfils the pattern. */
export type PathMatcher = (path: string) => boolean;

/**
 * Compiles one pattern.
 *
 * @throws when brackets or braces are not closed.
 */
export function compileGlob(pattern: string): PathMatcher {
  const { source, end } = translate(pattern, 0, false);
  if (end !== pattern.length) throw new Error(`invalid glob ${JSON.stringify(pattern)}`);
  const expression = new RegExp(`^${source}$`, "su");
  return (path) => expression.test(path);
}

function translate(pattern: string, start: number, inBraces: boolean): { source: string; end: number } {
  let source = "";
  let at = start;
  while (at < pattern.length) {
    const character = String.fromCodePoint(pattern.codePointAt(at) ?? 0);
    if (inBraces && (character === "," || character === "}")) break;
    const part = translateOne(pattern, at, character);
    source += part.source;
    at = part.end;
  }
  return { source, end: at };
}

function translateOne(pattern: string, at: number, character: string): { source: string; end: number } {
  switch (character) {
    case "*":
      return pattern[at + 1] === "*" ? { source: ".*", end: at + 2 } : { source: "[^/]*", end: at + 1 };
    case "?":
      return { source: "[^/]", end: at + 1 };
    case "\\":
      return { source: escapeRegExp(pattern.slice(at + 1, at + 2)), end: at + 2 };
    case "[":
      return translateClass(pattern, at);
    case "{":
      return translateBraces(pattern, at);
    default:
      return { source: escapeRegExp(character), end: at + character.length };
  }
}

function translateClass(pattern: string, at: number): { source: string; end: number } {
  const close = pattern.indexOf("]", at + 2);
  if (close < 0) throw new Error(`invalid glob ${JSON.stringify(pattern)}: "[" is not closed`);
  const inner = pattern.slice(at + 1, close);
  const negated = inner.startsWith("!");
  const members = (negated ? inner.slice(1) : inner).replace(/[\\\]^[]/g, "\\$&");
  return { source: `[${negated ? "^" : ""}${members}]`, end: close + 1 };
}

function translateBraces(pattern: string, at: number): { source: string; end: number } {
  const choices: string[] = [];
  let end = at;
  do {
    const choice = translate(pattern, end + 1, true);
    choices.push(choice.source);
    end = choice.end;
  } while (pattern[end] === ",");
  if (pattern[end] !== "}") throw new Error(`invalid glob ${JSON.stringify(pattern)}: "{" is not closed`);
  return { source: `(?:${choices.join("|")})`, end: end + 1 };
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
