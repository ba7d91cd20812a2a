/**
 * One cause often fails many: four workers of one mistake in their arguments are four resources of Pulumi.
 * Only the first reports it.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { stateDir } from "../../lib/dirs";
import { createPrivate } from "../../lib/files";
import { isOlder, removeOlder } from "../../lib/staleFiles";

/** What is older was told in another operation, which is over. */
const KEPT_MS = 3_600_000;

/**
 * The resource that has already reported this cause; undefined if `who` is the first, and must report it.
 *
 * @param reason Numbers in it do not count: ports, times and process numbers differ.
 * @param began When the work began that has failed.
 */
export function alreadyReportedBy(who: string, reason: string, began: Date): string | undefined {
  const directory = join(stateDir(), "failures");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const same = reason.replaceAll(who, "").replace(/\d+/g, "0");
  const file = join(directory, createHash("sha256").update(same).digest("hex"));
  removeOlder(directory, Date.now() - KEPT_MS);
  if (isOlder(file, began.getTime())) setAside(file);
  return createPrivate(file, who) ? undefined : readFileSync(file, "utf8");
}

/** Moved away before it is removed: of several that find it, one succeeds. */
function setAside(file: string): void {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    // Another one did.
  }
  rmSync(aside, { force: true });
}
