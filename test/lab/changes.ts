/** What an operation has changed on the lab. */
import { expect } from "vitest";
import type { ConfigInput } from "../../config/schema";
import type { ClusterRecord } from "../../sky/records";
import { STAGES } from "../../sky/stages";
import { ask, endpointOf, type LabSky, SLURM_SKY } from "./harness";
import type { LabStack } from "./labStack";
import { Questions } from "./questions";

/** Its steps that are no "same". */
export const changed = (steps: readonly { readonly op: string; readonly name: string }[]): string[] =>
  steps.filter(({ op }) => op !== "same").map(({ op, name }) => `${op} ${name}`);

/** The lab's only cluster. @throws Error if there is none, or another beside it. */
export async function onlyCluster(sky: LabSky = SLURM_SKY): Promise<ClusterRecord> {
  const [found, ...others] = await sky.clusters();
  expect(others).toEqual([]);
  if (found === undefined) throw new Error("SkyPilot knows no cluster");
  return found;
}

/** A stack that serves on a lab. */
export interface Serving {
  readonly stack: LabStack;
  readonly config: (changes?: Partial<ConfigInput>) => ConfigInput;
  readonly sky: LabSky;
  readonly processOfProgram: (program: string) => number;
}

/**
 * Changes the stack while clients ask: preview and update touch what is named and nothing else, what runs
 * besides runs on, and no answer is lost.
 * @param touched Steps besides that of the last check, sorted.
 * @param others Programs that run on.
 * @returns What the update has told.
 */
export async function changesAlone(
  { stack, config, sky, processOfProgram }: Serving,
  changes: Partial<ConfigInput>,
  touched: readonly string[],
  others: readonly string[],
): Promise<string> {
  const before = others.map(processOfProgram);
  expect(before).not.toContain(0);
  const { cluster_hash } = await onlyCluster(sky);
  const task = await sky.launches();
  stack.configure(config(changes));
  const preview = await stack.do("preview");
  const deployment = await stack.deployment();
  const questions = new Questions(deployment, 2);
  const { code, told, outputs, steps } = await stack.do("up");
  await questions.stop();
  expect(code, told).toBe(0);
  const { tokens } = await ask(endpointOf(outputs, deployment.apiKey), "Hello?");
  expect(tokens).toBeGreaterThan(0);
  for (const seen of [preview.steps, steps])
    expect(changed(seen).toSorted()).toEqual([...touched, "update dynamo-ready-check"]);
  expect(others.map(processOfProgram)).toEqual(before);
  expect(await sky.launches()).toEqual(task);
  expect((await onlyCluster(sky)).cluster_hash).toBe(cluster_hash);
  expect(questions.answered).toBeGreaterThan(10);
  expect(questions.failures).toEqual([]);
  return told;
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
