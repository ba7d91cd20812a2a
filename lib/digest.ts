import { createHash } from "node:crypto";

/** Eight hexadecimal digits that differ when the text does. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
