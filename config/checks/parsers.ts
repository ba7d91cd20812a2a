/** Parsers that are set and would do nothing, or keep an engine from starting. */
import { NO_PARSER } from "../names";
import { ownToolParser, unparsed } from "../parsers";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

export function parserChecks(known: Known): Problem[] {
  const why = unparsed(known);
  return (["reasoningParser", "toolCallParser"] as const).flatMap((key): Problem[] => {
    const value = known[key];
    if (value === undefined || value === NO_PARSER) return [];
    const own = key === "toolCallParser" ? ownToolParser(known) : undefined;
    const reason =
      why ??
      (own &&
        `excludes ${own} in engineArgs: engine ${known.engine} takes one parser of tool calls. Remove one of the two.`);
    return reason === undefined ? [] : [{ path: [key], message: `${show(value)} ${reason}` }];
  });
}
