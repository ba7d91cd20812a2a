/** The files of one unit on one node, and the resulting changes for supervisor. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { unitDirectory } from "../plan/node/paths";
import type { ProgramPlan } from "../plan/types";
import { isMissing } from "./directories";
import { writeUnit } from "./node";
import type { SupervisorClient } from "./supervisor";

export interface UnitChange {
  /** Programs to stop and remove, because they are gone or differ. */
  readonly stopped: readonly string[];
  /** Programs to start, because they are new or differ. */
  readonly started: readonly string[];
}

/**
 * Writes the unit's files and makes supervisor reload them. Changes of other units are left to those.
 *
 * @param programs An empty list removes the unit.
 */
export async function replaceUnitFiles(
  client: SupervisorClient,
  directory: string,
  unit: string,
  programs: readonly ProgramPlan[],
): Promise<UnitChange> {
  const own = join(directory, unitDirectory(unit));
  const before = programsOnDisk(own);
  const names = programs.map(({ name }) => name);
  const gone = before.filter((name) => !names.includes(name));
  if (programs.length > 0) await writeUnit(directory, unit, programs);
  for (const name of gone)
    for (const kind of ["conf", "json"]) rmSync(join(own, `${name}.${kind}`), { force: true });
  if (programs.length === 0) rmSync(own, { recursive: true, force: true });

  const { added, changed, removed } = await client.reload();
  const isOwn = (name: string): boolean => names.includes(name) || gone.includes(name);
  return {
    stopped: [...changed, ...removed].filter(isOwn),
    started: [...changed, ...added].filter((name) => names.includes(name)),
  };
}

function programsOnDisk(unitDir: string): string[] {
  try {
    return readdirSync(unitDir)
      .filter((name) => name.endsWith(".conf"))
      .map((name) => basename(name, ".conf"));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** All units in a node's `units` directory, with the names of their programs. */
export function unitsOnDisk(unitsDirectory: string): { unit: string; programs: string[] }[] {
  try {
    return readdirSync(unitsDirectory)
      .sort()
      .map((unit) => ({ unit, programs: programsOnDisk(join(unitsDirectory, unit)).sort() }));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

// The fields of the launcher's specification that matter for stopping.
const stoppableSchema = z.object({ name: z.string(), role: z.string(), stopSeconds: z.number() });
export type StoppableProgram = z.output<typeof stoppableSchema>;

/** All programs in a node's `units` directory, or in one unit's directory. */
export function programsBelow(directory: string): StoppableProgram[] {
  let names: string[];
  try {
    names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith(".json"))
    .map((name) => stoppableSchema.parse(JSON.parse(readFileSync(join(directory, name), "utf8"))));
}
