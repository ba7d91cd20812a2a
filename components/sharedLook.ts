/**
 * What the preview of `pulumi up` has seen, for the update that follows it: asking SkyPilot and the nodes
 * takes seconds, and an update that goes by another look than its preview would do what nobody was shown.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { stateDir } from "../lib/dirs";
import { writePrivate } from "../lib/files";
import { commandOfProcess, type ProcessId, parentProcess, startTime } from "../lib/processes";

/**
 * A look that is older says too little about now: somebody may have thought about the preview for an hour.
 */
const GOOD_FOR_SECONDS = 60;

/** Between a program and Pulumi are its language host, and what that starts the program with. */
const GENERATIONS = 4;

/** Something seen, and when. */
export interface Look<T> {
  /** ISO 8601. */
  readonly at: string;
  readonly seen: T;
}

interface Stored extends Look<unknown> {
  readonly question: string;
}

/** The running `pulumi`; undefined if none is an ancestor of this process, as in a debugger. */
export function pulumiProcess(pid = process.pid, generations = GENERATIONS): ProcessId | undefined {
  const parent = parentProcess(pid);
  if (parent === undefined || generations === 0) return undefined;
  const [program = ""] = commandOfProcess(parent).split(/\s/, 1);
  if (basename(program) !== "pulumi") return pulumiProcess(parent, generations - 1);
  const start = startTime(parent);
  return start === undefined ? undefined : { pid: parent, startTime: start };
}

/**
 * In a preview: looks, and keeps what was seen. In an update: what the preview of the same `pulumi` process
 * has seen within the last minute; otherwise looks.
 *
 * @param question What is asked, without secrets: another question gets a look of its own.
 * @param pulumi The process that runs the preview or the update. Default: nothing is kept.
 */
export async function sharedLook<T>(
  question: unknown,
  { isPreview, pulumi }: { readonly isPreview: boolean; readonly pulumi: ProcessId | undefined },
  look: () => Promise<T>,
): Promise<Look<T>> {
  const text = JSON.stringify(question);
  const file =
    pulumi && join(looksDirectory(), `${pulumi.pid}-${pulumi.startTime.replaceAll(/\W/g, "_")}.json`);
  if (!isPreview && file !== undefined) {
    const kept = taken(file);
    if (kept?.question === text && ageOf(kept) < GOOD_FOR_SECONDS)
      return { at: kept.at, seen: kept.seen as T };
  }
  const at = new Date().toISOString();
  const seen = await look();
  if (isPreview && file !== undefined) {
    removeOld();
    writePrivate(file, JSON.stringify({ question: text, at, seen } satisfies Stored));
  }
  return { at, seen };
}

function looksDirectory(): string {
  return join(stateDir(), "looks");
}

/** What a file holds, which is removed: a second update looks itself. */
function taken(file: string): Stored | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Stored;
  } catch {
    return undefined;
  } finally {
    rmSync(file, { force: true });
  }
}

function ageOf({ at }: Stored): number {
  return (Date.now() - Date.parse(at)) / 1000;
}

/** Looks of previews that no update followed. */
function removeOld(): void {
  let names: string[] = [];
  try {
    names = readdirSync(looksDirectory());
  } catch {
    // There has been none.
  }
  for (const name of names) {
    const [pid = ""] = name.split("-");
    if (startTime(Number(pid)) === undefined) rmSync(join(looksDirectory(), name), { force: true });
  }
}
