/**
 * The list of engines. A new one is a folder beside this file and a line here: flags, rules, image, metrics
 * and whatever else is particular to it are in that folder (`engine.ts` says what there can be).
 */
import type { Engine } from "./engine";
import { mocker } from "./mocker";
import { sglang } from "./sglang";
import { trtllm } from "./trtllm";
import { vllm } from "./vllm";

/** All engines, by their name in the configuration. */
export const engines = { sglang, vllm, trtllm, mocker } as const satisfies Readonly<Record<string, Engine>>;

export type EngineName = keyof typeof engines;

export const ENGINES = Object.keys(engines) as readonly string[] as readonly [EngineName, ...EngineName[]];

/** Where `engine` is not set: on this machine there need not be a GPU. */
export const usualEngine = (target: "sky" | "local"): EngineName =>
  target === "local" ? SIMULATED : "sglang";

/** The engine that needs no GPU: for this machine, and for a cluster that has no workers. */
export const SIMULATED: EngineName = "mocker";

/** Whether nothing is really computed: no GPU, no weights, and PyPI's packages of Dynamo are enough. */
export const isSimulated = (name: string | undefined): boolean =>
  ENGINES.some((known) => known === name && engines[known].release === undefined);

/** Version of a real engine that is deployed; undefined for others. */
export const deployedVersion = (name: string): string | undefined =>
  ENGINES.flatMap((known) => (known === name ? [engines[known].release?.pypi] : []))[0];

/** The real ones, as they are listed in messages. */
export const realEngines = (): EngineName[] => ENGINES.filter((name) => !isSimulated(name));
