import { describe, expect, test } from "vitest";
import { rewrapped, wideComments } from "../../dev/comments";

const WIDTH = 40;
const rewrap = (...lines: string[]) => rewrapped(lines.join("\n"), WIDTH).split("\n");

describe("a comment that is too wide", () => {
  test("flows into the next lines of its paragraph, whether it is a JSDoc or not", () => {
    expect(
      rewrap(
        "/**",
        " * A first line that has too many words in it,",
        " * and a second one that has few.",
        " *",
        " * Another paragraph.",
        " */",
        "function one() {",
        "  // Words before the return that are too many",
        "  return 1;",
        "}",
        "",
      ),
    ).toEqual([
      "/**",
      " * A first line that has too many words",
      " * in it, and a second one that has few.",
      " *",
      " * Another paragraph.",
      " */",
      "function one() {",
      "  // Words before the return that are",
      "  // too many",
      "  return 1;",
      "}",
      "",
    ]);
  });

  test("in one line becomes a block", () => {
    expect(rewrap("  /** The words of a member, too many of them. */", "  const a = 1;", "")).toEqual([
      "  /**",
      "   * The words of a member, too many of",
      "   * them.",
      "   */",
      "  const a = 1;",
      "",
    ]);
  });

  test("keeps the items of a list and its tags apart, and makes none", () => {
    expect(
      rewrap(
        "/**",
        " * - an item that has too many words in it",
        " * - the next one",
        " * @param count Number of the things aa - in parts",
        " * @throws never",
        " */",
        "",
      ),
    ).toEqual([
      "/**",
      " * - an item that has too many words in",
      " *   it",
      " * - the next one",
      " * @param count Number of the things",
      " * aa - in parts",
      " * @throws never",
      " */",
      "",
    ]);
  });

  test.each([
    ["a table", "// | a column | another column | a third |"],
    ["a directive", "// biome-ignore lint/suspicious/noAny: a reason"],
    ["a sample of code", "//     const value = theFunction(withArguments);"],
    ["a fence", "// ```\n// const value = theFunction(withArguments);\n// ```"],
    ["text of a template", "const text = `\n// A line of a program, in which it may not change\n`;"],
    ["a link", `// https://example.com/${"a".repeat(80)}`],
  ])("stays as it is where it is %s", (_kind, text) => {
    expect(rewrapped(`${text}\nconst a = 1;\n`, WIDTH)).toBe(`${text}\nconst a = 1;\n`);
  });

  test("is named by its line when it is left, also the one that a link does not excuse", () => {
    const wide = "const a = 1;\n// Words that are too many for the width of it\n";
    expect(wideComments(wide, WIDTH)).toEqual(["2: a comment of 46 columns, 40 at most: npm run fix"]);
    expect(wideComments(rewrapped(wide, WIDTH), WIDTH)).toEqual([]);
  });
});
