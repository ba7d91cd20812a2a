/**
 * The commands in the documentation work: every block of commands is run by bash, page by page, in a copy of
 * this repository with its own state and ports. Blocks whose first line names a requirement (`# needs an
 * account at AWS`) are skipped; for those that need an account for a stack, `preview` is run, with a stand-in
 * for SkyPilot that knows no cluster.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { freePorts } from "../../dev/freePorts";
import { kill, processesOf } from "../../lib/processes";
import { packageRoot } from "../../lib/root";
import { type CommandBlock, codeBlocks, commandBlocks, pages } from "../pages";

const MINUTE = 60_000;
/** Commands that would run this very test, or all of them. */
const RUNS_TESTS = /^\s*(npm test|\.ci\/run|npm run test:engines)\b/;

const blocks = (page: string): CommandBlock[] =>
  commandBlocks(page)
    .filter(({ needs }) => needs === undefined)
    .map((block) => ({
      ...block,
      script: block.script
        .split("\n")
        .filter((line) => !RUNS_TESTS.test(line))
        .join("\n"),
    }))
    .filter(({ script }) => /^\s*[^#\s]/m.test(script));
/** Stacks previewed by a page's commands that only lack the account. */
const previewed = (page: string): string[] => {
  const scripts = commandBlocks(page)
    .filter(({ needs }) => needs === "an account at the cloud of the stack")
    .map(({ script }) => script);
  const stacks = scripts.flatMap((script) =>
    [...script.matchAll(/\b(?:preview|up) (?:--json )?--stack (\S+)/g)].map(([, stack = ""]) => stack),
  );
  return [...new Set(stacks)];
};

/** The stacks that a page shows for the reader to write: `# Pulumi.first.yaml`. */
const written = (page: string): { readonly file: string; readonly text: string }[] =>
  codeBlocks(page, "yaml").flatMap((text) => {
    const file = /^# (Pulumi\.[\w-]+\.yaml)/.exec(text)?.[1];
    return file === undefined ? [] : [{ file, text }];
  });

/** Whether a page's commands ask the dev stack something before they have brought it up. */
const needsDev = (page: string): boolean => {
  const script = blocks(page)
    .map((block) => block.script)
    .join("\n");
  const asked = script.search(/dynamo-sky (ask|bench|logs|metrics|status|verify) --stack dev\b/);
  const broughtUp = script.search(/stack -- up --stack dev\b|npm run demo/);
  return asked >= 0 && (broughtUp < 0 || asked < broughtUp);
};

const pagesWithCommands = pages.filter((page) => blocks(page).length + previewed(page).length > 0);

describe("the commands of the documentation", () => {
  const directory = mkdtempSync(join(tmpdir(), "dsky-docs-"));
  const clone = join(directory, "dynamo-sky");
  const state = join(directory, "state");
  const fakeSky = join(directory, "sky");

  const bash = (script: string) =>
    spawnSync("bash", ["-euo", "pipefail", "-c", script], {
      cwd: clone,
      // As from a terminal: npm sets INIT_CWD to the caller's directory, and passes it on.
      env: { ...process.env, INIT_CWD: undefined, DYNAMO_SKY_STATE: state },
      encoding: "utf8",
      timeout: 3 * MINUTE,
      stdio: ["ignore", "pipe", "pipe"],
    });

  beforeAll(async () => {
    const root = packageRoot();
    const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
      cwd: root,
      encoding: "utf8",
    });
    for (const file of files.split("\n").filter(Boolean)) {
      mkdirSync(dirname(join(clone, file)), { recursive: true });
      cpSync(join(root, file), join(clone, file));
    }
    symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
    mkdirSync(state);
    mkdirSync(fakeSky);
    writeFileSync(join(fakeSky, "state.json"), JSON.stringify({ clusters: {} }));
    const dev = join(clone, "Pulumi.dev.yaml");
    const { config } = parse(readFileSync(dev, "utf8")) as { config: Record<string, unknown> };
    const { frontend, ports } = await freePorts();
    Object.assign(config, { "dynamo-sky:frontend": frontend, "dynamo-sky:ports": ports });
    writeFileSync(dev, stringify({ config }));
  }, MINUTE);

  afterAll(() => {
    for (const { pid } of processesOf(state)) kill(pid);
    rmSync(directory, { recursive: true, force: true });
  });

  it("are there", () => {
    expect(pagesWithCommands).toContain("README.md");
  });

  it.each(pagesWithCommands)("of %s", { timeout: 10 * MINUTE }, (page) => {
    if (needsDev(page)) {
      const up = bash("npm run --silent stack -- up --stack dev");
      expect(up.status, up.stderr).toBe(0);
    }
    for (const { file, text } of written(page)) writeFileSync(join(clone, file), text);
    for (const { line, script } of blocks(page)) {
      const { status, stdout, stderr } = bash(script);
      expect(status, `${page}:${line}\n${script}\n${stdout}${stderr}`).toBe(0);
    }
    for (const stack of previewed(page)) {
      const { status, stdout, stderr } = bash(`
        export PATH=${join(packageRoot(), "test", "unit", "fakeSky")}:$PATH FAKE_SKY=${fakeSky}
        npm run --silent stack -- preview --stack ${stack}`);
      expect(status, `${page}: preview of ${stack}\n${stdout}${stderr}`).toBe(0);
    }
  });

  it("leave nothing behind once all is removed", { timeout: 2 * MINUTE }, () => {
    const { status, stderr } = bash("npm run --silent demo -- --down");
    expect(status, stderr).toBe(0);
    expect(processesOf(state)).toEqual([]);
  });
});
