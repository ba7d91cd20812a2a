/** Quotes any text as one word of a POSIX shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : inQuotes(text);
}

/** The same for Python's `shlex.split`, to which fewer characters are special. */
export function quotedForShlex(text: string): string {
  return /^[^\s'"\\]+$/.test(text) ? text : inQuotes(text);
}

function inQuotes(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * A here-document, which a shell does not interpret.
 * @throws RangeError if the text holds the delimiter.
 */
export function hereDocument(text: string, end = "EOF"): string {
  if (text.split("\n").includes(end)) throw new RangeError(`the text holds a line ${end}`);
  return `<<'${end}'\n${text.endsWith("\n") ? text : `${text}\n`}${end}`;
}
