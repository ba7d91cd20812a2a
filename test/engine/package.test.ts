/**
 * The published package: from `npm pack` in a clone without builds, installed in an empty directory with
 * Pulumi's SDK and the README's program. Brings it up on this machine, from compiled files only.
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { freePorts } from "../../dev/freePorts";
import { kill, processesOf } from "../../lib/processes";
import { enginePath, ensureToolchain, packageRoot } from "../../toolchain";
import { codeBlocks } from "../pages";
import { ask } from "./programHarness";

const root = packageRoot();
const manifest: {
  readonly devDependencies: Readonly<Record<string, string>>;
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const scratch = mkdtempSync(join(tmpdir(), "package-"));
const clone = join(scratch, "clone");
const outside = join(scratch, "chat");
const state = join(scratch, "state");
let packed: string[] = [];

/** A program of `outside`, on the tests' Node.js. */
const run = (command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string =>
  execFileSync(command, args, { cwd, env: { ...process.env, ...env }, encoding: "utf8", stdio: "pipe" });

beforeAll(() => {
  const files = run("git", ["ls-files", "-co", "--exclude-standard"], root).split("\n").filter(Boolean);
  for (const file of files.filter((path) => existsSync(join(root, path)))) {
    mkdirSync(dirname(join(clone, file)), { recursive: true });
    cpSync(join(root, file), join(clone, file));
  }
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
  mkdirSync(outside);
  mkdirSync(state);
  const told = run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", scratch], clone);
  const [made] = JSON.parse(told.slice(told.indexOf("["))) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  packed = made.files.map(({ path }) => path);
  writeFileSync(join(outside, "package.json"), JSON.stringify({ name: "chat", private: true }));
  const own = ["@pulumi/pulumi", "typescript", "ts-node", "@types/node"];
  const packages = own.map((name) => `${name}@${manifest.devDependencies[name]}`);
  const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", [...install, ...packages, join(scratch, made.filename)], outside);
}, 600_000);

afterAll(() => {
  for (const { pid } of processesOf(state)) kill(pid);
  rmSync(scratch, { recursive: true, force: true });
});

describe("the package", () => {
  it("holds what a program needs, and nothing more", () => {
    const allowed = [
      /^(LICENSE|README\.md|package\.json)$/,
      /^bin\/dynamo-sky$/,
      /^cli\/(bench|size)\/requirements\.txt$/,
      /^cli\/size\/(predict|estimate|replay)\.py$/,
      // The flags that Dynamo's programs and the engines know, read by the checks of arguments.
      /^dist\/(config\/flags\/frontend|engines\/\w+\/flags)\.json$/,
      // What a stack gets that says no pools.
      /^dist\/plan\/bestLayouts\.json$/,
      /^dist\/(cli|components|config|engines|lib|local|observability|plan|runtime|sky|toolchain)\/.*\.(js|d\.ts)$/,
      // The directory runtime/ is copied to nodes as a whole.
      /^runtime\/[\w.]+$/,
      /^sky\/\w+\.py$/,
      /^toolchain\/\w+\.(py|txt)$/,
    ];
    expect(packed.filter((path) => !allowed.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(packed.filter((path) => /test|demo|^dist\/dev\/|\.ts$(?<!\.d\.ts)/.test(path))).toEqual([]);
    expect(packed).toEqual(
      expect.arrayContaining(["dist/components/index.js", "dist/cli/main.js", "bin/dynamo-sky"]),
    );
  });

  it("has the files that its code reads", () => {
    const rooms = [
      "cli",
      "components",
      "config",
      "engines",
      "lib",
      "local",
      "observability",
      "plan",
      "sky",
      "toolchain",
    ];
    const sources = run("git", ["ls-files", ...rooms.map((room) => `${room}/*.ts`)], root).split("\n");
    const texts = sources.filter(Boolean).map((file) => readFileSync(join(root, file), "utf8"));
    const read = texts.flatMap((text) => [
      ...[...text.matchAll(/join\(packageRoot\(\), ("[^)]+")\)/g)].map(([, words = ""]) =>
        join(...(JSON.parse(`[${words}]`) as string[])),
      ),
      // Locks of tools in Python (`PythonTool`).
      ...[...text.matchAll(/^ +lock: "([^"]+)"/gm)].map(([, lock = ""]) => lock),
    ]);
    expect(read).toEqual(
      expect.arrayContaining([
        "cli/bench/requirements.txt",
        "cli/size/requirements.txt",
        "cli/size/predict.py",
        "cli/size/estimate.py",
        "cli/size/replay.py",
      ]),
    );
    // Stand-ins for Pulumi's plugins are for those who work on this.
    const needed = read.filter((path) => !path.startsWith("toolchain/plugins/"));
    const isThere = (path: string) => packed.some((file) => file === path || file.startsWith(`${path}/`));
    expect(needed.filter((path) => !isThere(path))).toEqual([]);
  });

  it("has the command line", () => {
    const bin = join("node_modules", ".bin", "dynamo-sky");
    expect(run(bin, ["--help"], outside)).toMatch(/plan +what a stack would run where/);
    expect(run(bin, ["status", "--help"], outside)).toContain("Usage: dynamo-sky status");
    expect(run(bin, ["plan", "--stack", "dev", "-C", clone], outside)).toContain("Qwen/Qwen3-8B");
  });

  it("names the packages that only some commands need, before these do anything", () => {
    const bin = join("node_modules", ".bin", "dynamo-sky");
    const install =
      /needs the npm package \S+: npm install @grafana\/grafana-foundation-sdk@\S+ openai@\S+ undici@\S+ vega@\S+ vega-lite@\S+$/m;
    for (const words of [
      ["metrics", "--stack", "dev", "-C", clone],
      ["bench", "--stack", "dev", "-C", clone],
      ["ask", "--stack", "dev", "-C", clone],
      ["bench", "compare", "a", "b"],
    ])
      expect(() => run(bin, words, outside), words.join(" ")).toThrow(install);
  });

  it("needs no package that only this repository's own tools need", () => {
    const { packages } = JSON.parse(
      readFileSync(join(outside, "node_modules", ".package-lock.json"), "utf8"),
    ) as { packages: Record<string, unknown> };
    for (const name of ["tsx", "bcryptjs", "vitest", "openai", "vega", "@grafana/grafana-foundation-sdk"])
      expect(Object.keys(packages)).not.toContain(`node_modules/${name}`);
    // Two copies of them cannot share a program.
    expect(Object.keys(packages).filter((path) => path.endsWith("/@pulumi/pulumi"))).toHaveLength(1);
  });
});

/** Runs the program in the outside directory with the SDK installed there, and prints its outputs. */
const UP = `
const { LocalWorkspace, PulumiCommand } = require("@pulumi/pulumi/automation");
require("ts-node").register({ project: "tsconfig.json" });
const [, , operation] = process.argv;
(async () => {
  const workspace = await LocalWorkspace.create({
    workDir: __dirname,
    program: async () => require("./index.ts"),
    pulumiCommand: await PulumiCommand.get({ root: process.env.PULUMI_ROOT }),
  });
  const { Stack } = require("@pulumi/pulumi/automation");
  const stack = await Stack.createOrSelect("dev", workspace);
  const options = { suppressOutputs: true, onEvent: () => undefined };
  if (operation === "unchanged") await stack.preview({ ...options, expectNoChanges: true });
  else await stack[operation](options);
  console.log(JSON.stringify(operation === "up" ? await stack.outputs() : {}));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
`;

describe("the README's program beside it", { timeout: 240_000 }, () => {
  const [program = ""] = codeBlocks("README.md", "ts");

  beforeAll(async () => {
    const { frontend, ports } = await freePorts();
    // The README's own ports may be in use on the machine of a test.
    const free = `  frontend: ${JSON.stringify(frontend)},\n  ports: ${JSON.stringify(ports)},\n});`;
    writeFileSync(join(outside, "index.ts"), program.replace("});", free));
    writeFileSync(join(outside, "Pulumi.yaml"), stringify({ name: "chat", runtime: "nodejs" }));
    cpSync(join(root, "examples", "chat-service", "tsconfig.json"), join(outside, "tsconfig.json"));
    writeFileSync(join(outside, "up.cjs"), UP);
  });

  it("is well typed", () => {
    const tsc = join("node_modules", "typescript", "bin", "tsc");
    expect(run(process.execPath, [tsc, "--noEmit", "-p", "."], outside)).toBe("");
  });

  it("comes up on this machine, answers, changes nothing when nothing has changed, and goes", async () => {
    const toolchain = await ensureToolchain({ need: ["pulumi", "plugins"] });
    const env = {
      DYNAMO_SKY_STATE: state,
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_ROOT: dirname(dirname(toolchain.pulumi?.path ?? "")),
      PATH: enginePath(toolchain),
    };
    const pulumi = (operation: string): Record<string, { readonly value: unknown }> => {
      const output = run(process.execPath, ["up.cjs", operation], outside, env);
      return JSON.parse(output.trim().split("\n").at(-1) ?? "");
    };
    const { endpoint } = pulumi("up");
    expect((await ask(String(endpoint?.value), "Qwen/Qwen3-8B")).tokens).toBeGreaterThan(0);
    expect(processesOf(state).length).toBeGreaterThan(0);
    const bin = join("node_modules", ".bin", "dynamo-sky");
    const there = ["--stack", "dev", "-C", outside];
    expect(run(bin, ["status", ...there], outside, env)).toMatch(/prefill[\s\S]*decode/);
    expect(run(bin, ["logs", ...there, "--tail", "1"], outside, env)).toContain("prefill-0");
    pulumi("unchanged");
    pulumi("destroy");
    expect(processesOf(state)).toEqual([]);
  });
});
