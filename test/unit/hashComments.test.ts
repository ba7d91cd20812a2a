import { expect, test } from "vitest";
import { rewrappedHash, wideHashComments } from "../../dev/hashComments";

const WIDTH = 30;
const WIDE = [
  "# A first line that has too many words",
  "# and a second one.",
  "#",
  "  # - an item of too many words, too",
  "  # - the next one",
  "#   NAME   what it is, in too many words",
  "#   OTHER  short",
  "#   a command that is as long as   # it has to be",
  "key: a value that is longer # than its comment",
  "# https://example.com/of/one/word/that/is/long",
].join("\n");

test("a wide comment goes on in the next line of its paragraph, or in one of its own", () => {
  const narrow = rewrappedHash(WIDE, WIDTH);
  expect(narrow.split("\n")).toEqual([
    "# A first line that has too",
    "# many words and a second one.",
    "#",
    "  # - an item of too many",
    "  #   words, too",
    "  # - the next one",
    "#   NAME   what it is, in too",
    "#          many words",
    "#   OTHER  short",
    "#   a command that is as long as   # it has to be",
    "key: a value that is longer # than its comment",
    "# https://example.com/of/one/word/that/is/long",
  ]);
  expect(wideHashComments(narrow, WIDTH)).toEqual([]);
  expect(wideHashComments(WIDE, WIDTH).map((line) => line.split(",")[0])).toEqual([
    "1: a comment of 38 columns",
    "4: a comment of 36 columns",
    "6: a comment of 40 columns",
  ]);
});
