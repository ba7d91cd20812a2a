/** Every command prints its usage and exit codes; docs/operations.md has the same codes. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, it } from "vitest";
import { EXIT, exitCodes, seconds, wholeNumber, withTimeout } from "../../cli/commandLine";
import { UsageProblem } from "../../cli/pulumi/problem";
import { VERBS } from "../../cli/verbs";
import { packageRoot } from "../../lib/root";
import { toolWords } from "../tools";

const root = packageRoot();
const manifest: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);
/** Tools by the name of their npm script, and the verbs of `dynamo-sky`. */
const commands = [
  ...Object.entries(manifest.scripts).flatMap(([name, script]) => {
    const tool = /^node toolchain\/bootstrap\.mjs (\S+)$/.exec(script)?.[1];
    return tool === undefined || tool === "dynamo-sky" ? [] : [{ name, tool }];
  }),
  ...Object.keys(VERBS).map((name) => ({ name, tool: name })),
];

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Started like by `toolchain/bootstrap.mjs`, without a terminal and without input. */
async function run(tool: string, ...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, toolWords(tool, args), {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const code = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

/** The exit codes in a usage text. */
function codesIn(usage: string): string[] {
  const told = /^Exit code: (.*)/m.exec(usage)?.[1] ?? "";
  return [...told.matchAll(/(?:^|, )(\d) /g)].map(([, code = ""]) => code).toSorted();
}

/** The exit codes in a command's row in docs/operations.md. */
function documentedCodes(command: string): string[] {
  const page = readFileSync(join(root, "docs", "operations.md"), "utf8");
  const row = page.split("\n").find((line) => line.startsWith(`| \`${command}\` |`)) ?? "";
  const cells = row.split("|").slice(2, -1);
  return cells.flatMap((cell, code) => (cell.trim() === "" ? [] : String(code)));
}

/** In two parallel queues: each process loads TypeScript anew. */
const helps = new Map<string, Ended>();
beforeAll(async () => {
  const left = [...commands];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      helps.set(next.name, await run(next.tool, "--help"));
  };
  await Promise.all([work(), work()]);
}, 180_000);

it("knows the commands", () => {
  expect(commands.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["demo", "stack", "plan", "recipe", "verify", "lab", "status", "logs"]),
  );
});

describe.each(commands)("$name", ({ name }) => {
  it("tells with --help how it is called and what its exit codes say, on standard output", () => {
    const { code, stdout, stderr } = helps.get(name) ?? { code: null, stdout: "", stderr: "" };
    expect({ code, stderr }).toEqual({ code: EXIT.ok, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: (npm (run )?|dynamo-sky )${name}\\b`));
    expect(codesIn(stdout).slice(0, 2)).toEqual(["0", expect.any(String)]);
    expect(stdout).not.toContain("default: false");
  });

  it("prints its result as JSON too, but for tests and recipes, which are files of others, and what has steps", () => {
    const has = /^ +--json\b/m.test(helps.get(name)?.stdout ?? "");
    expect(has).toBe(!["test", "recipe", "pipeline"].includes(name));
  });

  it("has the same exit codes in docs/operations.md", () => {
    expect(documentedCodes(name)).toEqual(codesIn(helps.get(name)?.stdout ?? ""));
  });
});

describe("a mistake in the usage", () => {
  it.each([
    ["status", ["--what"], "unknown option '--what'"],
    ["plan", [], "--stack NAME is missing. Stacks in "],
    ["pipeline", ["up"], "unknown command 'up'"],
    ["status", [], "--stack NAME is missing"],
    ["logs", ["--stack", "dev", "--state", "x"], "not both"],
    ["logs", ["--state", "/no/such/file"], "cannot be read: ENOENT"],
    ["check", ["--what"], "unknown option '--what'"],
    ["demo", ["--dwn"], "unknown option '--dwn'"],
    ["recipes", ["dev"], "too many arguments"],
    ["benchmarks", ["--lab", "--runs", "0"], '--runs "0" is not a whole number'],
    ["lab", ["go"], "unknown command 'go'"],
    ["lab", ["status", "--what"], "unknown option '--what'"],
  ])(
    "is told by code 2, and nothing on standard output: %s %j",
    async (tool, args, message) => {
      const { code, stdout, stderr } = await run(tool, ...args);
      expect(stderr).toContain(message);
      expect(stderr).not.toMatch(/^\s+at /m);
      expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: "" });
    },
    60_000,
  );
});

describe("--json", () => {
  it.each([
    ["plan", ["--stack", "dev"]],
    ["recipes", ["--check"]],
    ["schema", ["--check"]],
  ])(
    "prints nothing but JSON: %s",
    async (tool, args) => {
      const { code, stdout } = await run(tool, ...args, "--json");
      expect(code).toBe(EXIT.ok);
      expect(JSON.parse(stdout)).toBeTypeOf("object");
    },
    60_000,
  );

  it("tells of the lab in JSON, also where there is none", async () => {
    const { code, stdout } = await run("lab", "status", "--json");
    const { problem, daemons }: { problem: string | null; daemons: readonly { runs: boolean }[] } =
      JSON.parse(stdout);
    const isWell = problem === null && daemons.every(({ runs }) => runs);
    expect(code).toBe(isWell ? EXIT.ok : EXIT.failed);
  }, 60_000);
});

describe("a time limit", () => {
  it("ends the work, and says so in place of what was interrupted", async () => {
    const work = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("socket closed")));
      });
    await expect(withTimeout(0.05, work)).rejects.toThrow("No end within 0.05 s (--timeout).");
  });

  it("changes nothing of what ends before it", async () => {
    expect(await withTimeout(60, async () => 1)).toBe(1);
    await expect(withTimeout(60, () => Promise.reject(new Error("own words")))).rejects.toThrow("own words");
  });
});

describe("options", () => {
  it("say numbers, or are refused", () => {
    expect(seconds("--timeout", "1.5")).toBe(1.5);
    expect(wholeNumber("--tail", "0", { least: 0, most: 10 })).toBe(0);
    for (const wrong of ["", " ", "0", "-1", "x", "1e9", "NaN"])
      expect(() => seconds("--timeout", wrong), wrong).toThrow(UsageProblem);
    for (const wrong of ["", "1.5", "-1", "11", "x"])
      expect(() => wholeNumber("--tail", wrong, { least: 0, most: 10 }), wrong).toThrow(UsageProblem);
  });

  it("end with a line of the exit codes in their order", () => {
    expect(exitCodes({ notAsWanted: "no", ok: "yes", failed: "broken" })).toBe(
      "Exit code: 0 yes, 1 broken, 2 the command or the configuration is wrong, 3 no.",
    );
  });
});
