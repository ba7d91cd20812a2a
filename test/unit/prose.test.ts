import { expect, it } from "vitest";
import { rewrappedProse, wideProse } from "../../dev/prose";

const WIDTH = 30;
const rewrap = (...lines: string[]) => rewrappedProse(lines.join("\n"), WIDTH).split("\n");

it("prose that is too wide flows over the lines of its paragraph, and others stay", () => {
  const text = ["A line with too many words in it,", "and more.", "", "Short,", "and short."];
  expect(wideProse(text.join("\n"), WIDTH)).toEqual(["1: prose of 33 columns, 30 at most: npm run fix"]);
  expect(rewrap(...text)).toEqual([
    "A line with too many words in",
    "it, and more.",
    "",
    "Short,",
    "and short.",
  ]);
});

it("an item of a list keeps its indent, and the next one is another", () => {
  expect(
    rewrap("- An item that is too wide for a line", "- Another", "1. One that is too wide, on a line"),
  ).toEqual([
    "- An item that is too wide for",
    "  a line",
    "- Another",
    "1. One that is too wide, on a",
    "   line",
  ]);
});

it("code is not broken, and no line begins with what has a meaning there", () => {
  expect(
    rewrap("Run this in a shell: `npm run a -- --b` now", "", "It is twenty-nine columns long - so"),
  ).toEqual(["Run this in a shell:", "`npm run a -- --b` now", "", "It is twenty-nine columns", "long - so"]);
});

it.each([
  ["a table", ["| a cell that is wider than that | b |"]],
  ["code", ["```bash", "a command that is wider than all that", "```"]],
  ["a heading", ["## A heading that is wider than all that"]],
  ["a link", ["https://example.com/a/path/that/is/long"]],
])("%s may be wide", (_, lines) => {
  expect(wideProse(lines.join("\n"), WIDTH)).toEqual([]);
  expect(rewrap(...lines)).toEqual(lines);
});

it("a line's end that has a meaning is kept", () => {
  const lines = ["A line that ends with a hard break  ", "and goes on."];
  expect(rewrap(...lines)).toEqual(lines);
});
