/** Beginnings that prompts share: as said, or as the blocks of a trace name them. Pure. */
import type { Trace } from "./trace";

/** As `prefix` of a load of `bench`: distinct ones, chosen at random, and their length. */
export interface SharedPrefixes {
  readonly count: number;
  /** Of the tokens of a prompt, the first ones. */
  readonly tokens: number;
}

/** What Dynamo's replay is given, in the words of `replay.py`. */
export type PrefixLoad =
  | { readonly trace: string; readonly blockTokens: number }
  | { readonly isl: number; readonly osl: number; readonly prefix: number; readonly prefixes: number };

interface Asked {
  readonly isl: number;
  readonly osl: number;
  readonly trace: Trace | undefined;
  readonly shared: SharedPrefixes | undefined;
}

/** Undefined where it is not known what prompts share. */
export function prefixLoadOf({ isl, osl, trace, shared }: Asked): PrefixLoad | undefined {
  if (shared !== undefined) return { isl, osl, prefix: shared.tokens, prefixes: shared.count };
  if (trace?.blockTokens === undefined) return undefined;
  return { trace: trace.file, blockTokens: trace.blockTokens };
}

/** One sentence for users. */
export function prefixText({ shared, trace }: Asked): string {
  if (shared === undefined)
    return `prompts share blocks as the ${trace?.requests ?? 0} requests of the trace do`;
  const number = shared.tokens.toLocaleString("en-US");
  return shared.count === 1
    ? `all prompts begin with the same ${number} tokens`
    : `prompts begin with one of ${shared.count.toLocaleString("en-US")} prefixes of ${number} tokens`;
}
