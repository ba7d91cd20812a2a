/** The chosen layout as a stack's file, with its reason and its prediction as comments. Pure. */
import { stringify } from "yaml";
import { namedSettings } from "../../config/problems";
import { VERSIONS } from "../../config/versions";
import { layoutText, money, percent } from "./draw";
import { assumedCache, type Priced, type WithCache } from "./layouts";
import { askedAsText } from "./models";
import { needText } from "./need";
import type { SizeOptions } from "./options";
import { prefixLoadOf, prefixText } from "./prefixes";

/**
 * @param rank Row of the table, from 1.
 * @param deployed Version of the engine that the stack runs.
 */
export function stackText(
  layout: Priced,
  options: SizeOptions,
  { rank, of, deployed }: { readonly rank: number; readonly of: number; readonly deployed: string },
): string {
  const config = namedSettings(layout.config);
  const comments = commentLines(layout, options, { rank, of, deployed }).map((line) =>
    line === "" ? "#" : `# ${line}`,
  );
  return `${comments.join("\n")}\n${stringify({ config }, { lineWidth: 0 })}`;
}

function commentLines(
  layout: Priced,
  options: SizeOptions,
  { rank, of, deployed }: { readonly rank: number; readonly of: number; readonly deployed: string },
): string[] {
  const { isl, osl, ttft, tpot, need } = options;
  const { dollarsPerHour, dollarsPerMillionTokens } = layout;
  const cost =
    dollarsPerHour === null
      ? "no price was known"
      : `$${money(dollarsPerHour)} an hour, $${money(dollarsPerMillionTokens)} for a million generated tokens`;
  return [
    `Chosen by \`dynamo-sky size\`: ${of === 1 ? "the only layout" : `number ${rank} of the ${of} layouts`} that it offers for ${needText(need)}.`,
    "",
    `Asked:     prompts of ${isl} tokens, answers of ${osl}; at most ${ttft} ms to the first token and ${tpot} ms for each other`,
    `Layout:    ${layoutText(layout)}, ${layout.engine} on ${layout.accelerator}`,
    `Predicted: ${Math.round(layout.tokensPerSecondPerGpu)} tokens/s per GPU, ${layout.requestsPerSecond.toFixed(1)} requests/s with ${layout.concurrency} at a time;`,
    `           ${Math.round(layout.ttft)} ms to the first token, ${layout.tpot.toFixed(1)} ms for each other`,
    `Cost:      ${cost}`,
    ...routerLines(layout, options),
    "",
    `A prediction by NVIDIA's AIConfigurator ${VERSIONS.aiconfigurator}, not a measurement: of ${layout.engine} ${layout.version}, where ${deployed} is`,
    `deployed; ${numbersText(layout)}; ${prefixLoadOf(options) === undefined ? "without shared prefixes of prompts" : "shared prefixes only where it says so"}.`,
    ...cacheLines(layout),
    ...[askedAsText(options.model)].filter((line) => line !== undefined),
    "docs/sizing.md says what else it leaves out.",
  ];
}

/** Why the router is the KV-aware one. */
function routerLines({ cached }: Priced, options: SizeOptions): string[] {
  if (prefixLoadOf(options) === undefined) return [];
  const why = `Router:    KV-aware, because ${prefixText(options)}.`;
  if (cached === undefined) return [why, "           This layout was not simulated."];
  const { kv, roundRobin, by } = cached;
  return [
    why,
    `           A simulation by ${by}: a cache has ${percent(kv.share)} of their tokens, with round robin ${percent(roundRobin.share)};`,
    `           AIConfigurator with that: ${given(kv)};`,
    `           with round robin: ${given(roundRobin)}`,
  ];
}

function given({ tokensPerSecondPerGpu, dollarsPerMillionTokens }: WithCache): string {
  if (tokensPerSecondPerGpu === null) return "nothing";
  const dollars = dollarsPerMillionTokens === null ? "" : `, $${money(dollarsPerMillionTokens)} a million`;
  return `${Math.round(tokensPerSecondPerGpu)} tokens/s per GPU${dollars}`;
}

function cacheLines(layout: Priced): string[] {
  const numbers = assumedCache(layout);
  if (numbers === undefined) return [];
  return [
    `Nothing here asks for a KV cache of ${numbers}: if the checkpoint does not say it either, the engine's holds half as many`,
    "tokens. The engine's arguments can ask for it (engineArgs).",
  ];
}

/** The types of numbers that were assumed: those of the weights are the checkpoint's. */
function numbersText({ roles, moe }: Priced): string {
  const { gemm, kvcache, moe: experts } = roles[0]?.quantization ?? {};
  return `weights ${gemm}, KV cache ${kvcache}${moe ? `, experts ${experts}` : ""}`;
}
