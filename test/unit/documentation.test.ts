/** What the documents show is true: examples can be planned, links lead somewhere, npm scripts exist. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../plan/config";
import { factsOf } from "../../plan/facts";
import { plan } from "../../plan/plan";
import { packageRoot } from "../../tools/toolchain/root";

const root = packageRoot();
const pages = ["README.md", "CONTRIBUTING.md", ...pagesBelow("docs")];
const text = (page: string) => readFileSync(join(root, page), "utf8");

function pagesBelow(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(directory, file));
}

/** The configurations in a page's YAML blocks, without the namespace. */
function examples(page: string): Record<string, unknown>[] {
  return [...text(page).matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, block = ""]) => {
    const content: unknown = parse(block);
    if (typeof content !== "object" || content === null || !("config" in content)) return [];
    const entries = Object.entries(content.config ?? {});
    return [Object.fromEntries(entries.map(([key, value]) => [key.replace(/^dynamo-sky:/, ""), value]))];
  });
}

describe.each(pages)("%s", (page) => {
  it("has links that lead to files of the repository", () => {
    const targets = [...text(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(
      ([, target = ""]) => target,
    );
    const missing = targets.filter((target) => !existsSync(join(root, dirname(page), target)));
    expect(missing).toEqual([]);
  });

  it("names npm scripts that exist", () => {
    const manifest: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(text("package.json"));
    const named = [...text(page).matchAll(/npm run (?:-s |--silent )?([a-z][\w:-]*)/g)].map(
      ([, name = ""]) => name,
    );
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });
});

const pagesWithExamples = pages.filter((page) => examples(page).length > 0);

it.each(pagesWithExamples)("%s shows configurations that can be planned", (page) => {
  for (const written of examples(page)) {
    const config = parseConfig(written);
    const planned = plan(
      config,
      factsOf(config, () => true),
    );
    expect(planned.clusters.length).toBeGreaterThan(0);
  }
});

it("finds the README's examples", () => {
  expect(examples("README.md").length).toBeGreaterThanOrEqual(5);
});
