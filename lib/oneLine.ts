/** Text of several lines on one: it then passes through shells and environments, and is printed as a line. */

/** The text in base64. */
export function inOneLine(text: string): string {
  return Buffer.from(text).toString("base64");
}
