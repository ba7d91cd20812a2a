/** Text → one word of a POSIX shell, whatever is in it. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * A here-document, which a shell takes as it stands.
 * @throws RangeError when the text holds the line that would end it.
 */
export function hereDocument(text: string, end = "EOF"): string {
  if (text.split("\n").includes(end)) throw new RangeError(`the text holds a line ${end}`);
  return `<<'${end}'\n${text.endsWith("\n") ? text : `${text}\n`}${end}`;
}
