import { createHash } from "node:crypto";

/** A digest of the text: eight hexadecimal digits. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
