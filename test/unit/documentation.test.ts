/** The documentation is correct: examples can be planned, links resolve, npm scripts exist. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { readProject, stackFile } from "../../cli/pulumi/project";
import { VERBS } from "../../cli/verbs";
import { VERSIONS } from "../../config/versions";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { factsOf } from "../../plan/facts";
import { plan } from "../../plan/plan";
import { codeBlocks, commandBlocks, pages, textOf } from "../pages";
import { OF_ENGINES } from "../sockets";

const root = packageRoot();

/** The configurations in a page's YAML blocks, without the namespace. */
function examples(page: string): Record<string, unknown>[] {
  return [...textOf(page).matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, block = ""]) => {
    const content: unknown = parse(block);
    if (typeof content !== "object" || content === null || !("config" in content)) return [];
    const entries = Object.entries(content.config ?? {});
    return [Object.fromEntries(entries.map(([key, value]) => [key.replace(/^dynamo-sky:/, ""), value]))];
  });
}

/** The YAML blocks of a page whose first line names their file: `# Pulumi.multi.yaml: what it is`. */
function shownFiles(page: string): { readonly path: string; readonly content: unknown }[] {
  return codeBlocks(page, "yaml").flatMap((block) => {
    const path = /^# ([\w./-]+\.ya?ml)\b/.exec(block)?.[1];
    return path === undefined ? [] : [{ path, content: parse(block) }];
  });
}

describe.each(pages)("%s", (page) => {
  it("has links that lead to files of the repository", () => {
    const targets = [...textOf(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(
      ([, target = ""]) => target,
    );
    const missing = targets.filter((target) => !existsSync(join(root, dirname(page), target)));
    expect(missing).toEqual([]);
  });

  it("names npm scripts that exist", () => {
    const manifest: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
      readFileSync(join(root, "package.json"), "utf8"),
    );
    const named = [...textOf(page).matchAll(/npm run (?:-s |--silent )?([a-z][\w:-]*)/g)].map(
      ([, name = ""]) => name,
    );
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });

  it("names verbs of dynamo-sky that exist", () => {
    const named = [...textOf(page).matchAll(/(?:bin\/|npx )dynamo-sky ([a-z][\w-]*)/g)].map(
      ([, verb = ""]) => verb,
    );
    // Pulumi's commands call internal verbs of the same program.
    const known = [...Object.keys(VERBS), "local", "sky", "ready"];
    expect(named.filter((verb) => !known.includes(verb))).toEqual([]);
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

it("finds the examples", () => {
  expect(examples("README.md").length).toBeGreaterThanOrEqual(1);
  expect(examples("docs/topologies.md").length).toBeGreaterThanOrEqual(10);
});

describe.each(pages)("the files that %s shows", (page) => {
  it("are as the repository has them", () => {
    const shown = shownFiles(page).filter(({ path }) => existsSync(join(root, path)));
    for (const { path, content } of shown)
      expect(content, `${page} shows ${path}`).toEqual(parse(readFileSync(join(root, path), "utf8")));
  });

  it("and the stacks that its commands name are in the repository, or made on the page before", () => {
    const text = textOf(page);
    const made = [...text.matchAll(/^(?:# |cp \S+ )Pulumi\.([\w-]+)\.yaml\b/gm)].map((match) => ({
      stack: match[1],
      at: match.index,
    }));
    const unknown = commandBlocks(page)
      // Blocks that need the reader's own repository use that repository's stacks.
      .filter(({ needs }) => needs === undefined || !OTHERS_STACKS.test(needs))
      .flatMap(({ script, line }) =>
        [...script.matchAll(/--stack[ =]([a-z][\w-]*)/g)].map(([, stack = ""]) => ({ stack, line })),
      )
      .filter(({ stack }) => stackFile(readProject(root), stack) === undefined)
      .filter(({ stack, line }) => {
        const before = text.split("\n").slice(0, line).join("\n").length;
        return !made.some((file) => file.stack === stack && file.at < before + 200);
      });
    expect(unknown).toEqual([]);
  });
});

/** Requirements of command blocks about stacks that a page cannot create. */
const OTHERS_STACKS = /^(a cluster that is up|a (pipeline|repository))/;

it("finds the files that the README shows", () => {
  expect(shownFiles("README.md").map(({ path }) => path)).toEqual(["Pulumi.multi.yaml"]);
});

/** What tests do not have: a command block that needs one of these says so in its first line. */
const NEEDS = [
  /^an account at \w+/,
  /^a (Kubernetes|Slurm) cluster with GPUs/,
  /^a cluster that is up/,
  /^the lab/,
  /^a GPU/,
  /^the official Pulumi distribution/,
  /^a (pipeline|repository) /,
  /^an API server of SkyPilot/,
  /^network access to /,
  /^systemd/,
  /^Docker/,
  /^a terminal of its own/,
  /^(minutes|\d+ GB)/,
];

it("says of commands that are not tried by a test what they need", () => {
  const blocks = pages.flatMap(commandBlocks).filter(({ needs }) => needs !== undefined);
  const unknown = blocks.filter(({ needs = "" }) => !NEEDS.some((known) => known.test(needs)));
  expect(unknown.map(({ page, line, needs }) => `${page}:${line}: needs ${needs}`)).toEqual([]);
});

it("installs the SkyPilot that is tried here", () => {
  const versions = pages.flatMap((page) =>
    [...textOf(page).matchAll(/skypilot(?:\[[\w,]+\])?==([\w.]+)/g)].map(([, version]) => version),
  );
  expect(versions.length).toBeGreaterThan(0);
  expect(new Set(versions)).toEqual(new Set([VERSIONS.skypilot]));
});

it("installs the npm packages that are tried here", () => {
  const { devDependencies } = JSON.parse(textOf("package.json")) as {
    devDependencies: Readonly<Record<string, string>>;
  };
  const [line = ""] = textOf("docs/own-program.md").match(/^npm install .*$/m) ?? [];
  const installed = [...line.matchAll(/ (@?[\w/-]+)(?:@([\d.]+))?(?= |$)/g)].map(([, name, version]) => [
    name,
    version,
  ]);
  expect(installed.length).toBeGreaterThan(3);
  expect(Object.fromEntries(installed)).toEqual(
    Object.fromEntries(installed.map(([name = ""]) => [name, devDependencies[name]])),
  );
});

describe("what listens", () => {
  it.each(OF_ENGINES)("tells of $what", ({ what, where }) => {
    const rows = textOf("docs/security.md")
      .split("\n")
      .filter((line) => line.startsWith(`| ${what}`));
    expect(rows.map((row) => row.split(" | ")[1]?.startsWith(where))).toEqual([true]);
  });
});
