/** Asks AIConfigurator for every engine and accelerator, and makes priced layouts of its answers. */
import { VERSIONS } from "../../config/versions";
import { UsageProblem } from "../pulumi/problem";
import { ACCELERATORS, GPUS_OF_A_NODE } from "./accelerators";
import type { Prediction, Question, Said } from "./aiconfigurator";
import {
  assumedCache,
  type Candidate,
  isLayout,
  isRefused,
  type Layout,
  layoutOf,
  type Priced,
  priced,
} from "./layouts";
import { askedAs, askedAsText } from "./models";
import type { SizeOptions } from "./options";
import { ranked } from "./order";
import { type Costs, machinePrices, type Prices } from "./prices";
import { traceText } from "./trace";

/** More than are printed, because some cannot be deployed here. */
const ASKED_FOR = 20;

/** Who is asked; tests have recorded answers. */
export interface Sources {
  readonly predict: (question: Question) => Promise<Said>;
  readonly costs: Costs;
  readonly say: (line: string) => void;
}

export interface Sized {
  /** The best first. */
  readonly layouts: readonly Priced[];
  /** What a picture is drawn of: they may break the promise of the time for each token. */
  readonly curve: readonly Priced[];
  /** Why an engine, an accelerator or a layout is not there. */
  readonly notes: readonly string[];
}

/** The question about one engine on one accelerator. */
export function questionOf(options: SizeOptions, engine: string, accelerator: string): Question {
  const { isl, osl, ttft, tpot, need } = options;
  const model = askedAs(options.model);
  const system = ACCELERATORS[accelerator] ?? accelerator;
  const curve = options.chart !== undefined;
  const pairs = [{ backend: engine, system }];
  return { model, isl, osl, ttft, tpot, need, node: GPUS_OF_A_NODE, curve, most: ASKED_FOR, pairs };
}

/**
 * @throws UsageProblem if AIConfigurator does not know the model, the model takes no such prompts, or no
 * accelerator can be had.
 */
export async function size(options: SizeOptions, sources: Sources): Promise<Sized> {
  const prices = await machinePrices(options, sources.costs);
  const missing = options.accelerators.map((name) => ({ name, why: prices.missing(name) }));
  const offered = missing.filter(({ why }) => why === undefined).map(({ name }) => name);
  const refusals = missing.flatMap(({ name, why }) => (why === undefined ? [] : [`${name}: ${why}`]));
  if (offered.length === 0) throw new UsageProblem(refusals.join("\n"));
  const about = [options.trace && traceText(options.trace), askedAsText(options.model)];
  const notes = [...about.filter((line) => line !== undefined), ...refusals];
  const layouts: Priced[] = [];
  const curve: Priced[] = [];
  for (const accelerator of offered)
    for (const engine of options.engines) {
      sources.say(`${engine} on ${accelerator} …`);
      const said = await sources.predict(questionOf(options, engine, accelerator));
      const answer = answerOf(said, { engine, accelerator, options });
      notes.push(...answer.notes);
      layouts.push(...answer.layouts.map((layout) => withPrices(layout, prices, options)));
      curve.push(...answer.curve.map((layout) => withPrices(layout, prices, atFullLoad(layout, options))));
    }
  notes.push(
    ...layouts.flatMap((layout) => [...assumedNotes(layout), ...priceNotes(layout, prices, options)]),
  );
  return { layouts: ranked(layouts, options), curve, notes: counted(notes) };
}

/** A curve is of all that a layout gives, whatever is asked for. */
function atFullLoad({ gpus }: Layout, options: SizeOptions): SizeOptions {
  return { ...options, need: { gpus } };
}

function withPrices(layout: Layout, prices: Prices, options: SizeOptions): Priced {
  const of = (isSpot: boolean) => {
    const { dollarsPerHour } = prices.of(nodeOf(layout, isSpot));
    return dollarsPerHour === null ? null : dollarsPerHour * layout.nodes;
  };
  return priced(layout, { onDemand: of(false), spot: of(true) }, options);
}

function nodeOf({ accelerator, gpus, nodes }: Layout, isSpot: boolean) {
  return { accelerator, gpusPerNode: gpus / nodes, isSpot };
}

function assumedNotes(layout: Layout): string[] {
  const numbers = assumedCache(layout);
  if (numbers === undefined) return [];
  return [
    `${layout.engine} on ${layout.accelerator}: predicted with a KV cache of ${numbers}, which the stack does not ask for. If the checkpoint does not say it either, the engine's cache holds half as many tokens; its arguments can ask for it (engineArgs).`,
  ];
}

/** Spot prices are only told where an infra is named. */
function priceNotes(layout: Layout, prices: Prices, { infra }: SizeOptions): string[] {
  const { accelerator } = layout;
  const name = (isSpot: boolean) => (isSpot ? `${accelerator}, spot` : accelerator);
  return (infra.length > 0 ? [false, true] : [false]).flatMap((isSpot) => {
    const { note } = prices.of(nodeOf(layout, isSpot));
    return note === undefined ? [] : [`${name(isSpot)}: ${note}`];
  });
}

interface Asked {
  readonly engine: string;
  readonly accelerator: string;
  readonly options: SizeOptions;
}

/** What can be deployed of an answer, and why the rest cannot. */
function answerOf(said: Said, asked: Asked) {
  const { engine, accelerator, options } = asked;
  const { candidates, curve, problems } = candidatesOf(said, asked);
  const where = `${engine} on ${accelerator}`;
  const tried = candidates.map((candidate) => layoutOf(candidate, options));
  const drawn = curve.map((candidate) => layoutOf(candidate, options));
  return {
    layouts: tried.filter(isLayout),
    curve: drawn.filter(isLayout),
    notes: [
      ...problems.map((problem) => `${where}: ${problem}`),
      ...tried.filter(isRefused).map(({ reason }) => `${where}, not offered: ${reason}`),
    ],
  };
}

function candidatesOf(said: Said, { engine, accelerator, options }: Asked) {
  if (said.problem !== undefined)
    throw new UsageProblem(unknownModel(options.model, said.problem, said.known));
  if (said.context !== undefined) throw new UsageProblem(tooLong(options, said.context));
  const answers = said.answers ?? [];
  const { moe = false } = said;
  const candidate = (layout: Prediction, version: string | null): Candidate => ({
    ...layout,
    ...{ engine, accelerator, moe, version: version ?? "an unknown version" },
  });
  return {
    candidates: answers.flatMap(({ layouts, version }) => layouts.map((one) => candidate(one, version))),
    curve: answers.flatMap(({ curve, version }) => curve.map((one) => candidate(one, version))),
    problems: answers.flatMap(({ problems }) => problems),
  };
}

function unknownModel(model: string, problem: string, known: readonly string[]): string {
  return [
    `--model ${JSON.stringify(model)}: AIConfigurator ${VERSIONS.aiconfigurator} does not know it, and cannot read its configuration (${problem}).`,
    "Check its name; for one that asks for a licence or a login, set HF_TOKEN. Or size a model of the same shape,",
    `and write your model's name into the stack. It knows, without the network: ${known.join(", ")}.`,
  ].join("\n");
}

function tooLong({ model, isl, osl, trace }: SizeOptions, context: number): string {
  const [where, change] =
    trace === undefined
      ? [`--isl ${isl} and --osl ${osl}`, "--isl and --osl that are not more together"]
      : [`--trace, whose means are ${isl} and ${osl},`, "a trace of shorter requests"];
  return `${where}: a prompt with its answer has ${isl + osl} tokens, but the configuration of ${model} says that it takes ${context} at most. Allowed: ${change}, or another model.`;
}

/** Equal notes once; with their number, where they are of layouts that are not offered. */
function counted(notes: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const note of notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  return [...counts].map(([note, count]) =>
    count > 1 && note.includes(", not offered: ") ? `${note} (${count} layouts)` : note,
  );
}
