/**
 * The words of a POSIX command line; or why they are unknown: expansions of a shell cannot be evaluated here.
 */
export function shellWords(text: string): readonly string[] | string {
  const words: string[] = [];
  let word: string | undefined;
  for (const [part = "", single, double, escaped, space] of text.matchAll(SHELL_PARTS)) {
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (part === "'" || part === '"' || part === "\\")
      return `has ${part} without its other half. Remove it, or write it twice.`;
    if (single === undefined && escaped === undefined && /[$`]/.test(double?.replace(/\\[$`]/g, "") ?? part))
      return "has $ or ` outside of single quotes, for which a shell of SkyPilot's puts in something else. Write the value itself, or put it into single quotes.";
    if (part === "~" && /(^|[:=])$/.test(word ?? ""))
      return "has ~, for which a shell of SkyPilot's puts in a home directory. Write the whole path, or put it into single quotes.";
    word = (word ?? "") + (single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? part);
  }
  if (word !== undefined) words.push(word);
  return words;
}

const SHELL_PARTS = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|( +)|./gsu;
