/** What an operation has changed on the lab. */
import { expect } from "vitest";
import type { ClusterRecord } from "../../sky/records";
import { STAGES } from "../../sky/stages";
import { clusters } from "./harness";

/** Its steps that are no "same". */
export const changed = (steps: readonly { readonly op: string; readonly name: string }[]): string[] =>
  steps.filter(({ op }) => op !== "same").map(({ op, name }) => `${op} ${name}`);

/** The lab's only cluster. @throws Error if there is none, or another beside it. */
export async function onlyCluster(): Promise<ClusterRecord> {
  const [found, ...others] = await clusters();
  expect(others).toEqual([]);
  if (found === undefined) throw new Error("SkyPilot knows no cluster");
  return found;
}

/** That of each pair no two were away at a time: the second was stopped when the first had answered. */
export function expectInTurn(told: string, ...pairs: readonly (readonly [string, string])[]): void {
  for (const pair of pairs) {
    const names = pair.join("|");
    const said = [
      ...told.matchAll(new RegExp(`restarting (${names})|(${names}) has answered a request`, "g")),
    ];
    const lines = said.map(([line]) => line).filter((line, index, all) => all.indexOf(line) === index);
    const [first = "", second = ""] = lines.flatMap((line) => /^restarting (.*)/.exec(line)?.[1] ?? []);
    expect([first, second].toSorted()).toEqual([...pair]);
    const turns = [first, second].flatMap((name) => [`restarting ${name}`, `${name} has answered a request`]);
    expect(lines).toEqual(turns);
  }
}

/** That each stage of a launch was told once. */
export function expectStages(told: string): void {
  // Pulumi may print a resource's last line again when it is done.
  const lines = [...new Set(told.match(/\[ *[\d.]+ s\] .*/g))];
  for (const stage of STAGES) {
    const ofStage = lines.filter((line) => line.includes(`s] ${stage}`));
    expect(ofStage, ofStage.join("\n")).toHaveLength(1);
  }
}
