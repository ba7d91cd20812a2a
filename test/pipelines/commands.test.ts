/**
 * The pipeline's commands in the order of a pipeline's life, as a pipeline runs them, on an endpoint in TLS: no terminal, state in a shared place, and of what
 * one command leaves on its machine nothing but the local clusters for the next.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { kill, processesOf } from "../../local/processes";
import { freePorts } from "../../tools/freePorts";
import { packageRoot } from "../../tools/toolchain/index";
import { namespaced } from "../engine/programHarness";

const root = packageRoot();
const directory = mkdtempSync(join(tmpdir(), "dsky-ci-"));
const state = join(directory, "state");
const backend = join(directory, "backend");
/** Neither the user's own settings nor where npm was called to start this test. */
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(PULUMI_|INIT_CWD$|DYNAMO_SKY_CALLED_FROM$)/.test(name)),
);
const env = {
  ...clean,
  CI: "true",
  DYNAMO_SKY_STATE: state,
  PULUMI_BACKEND_URL: `file://${backend}`,
  PULUMI_CONFIG_PASSPHRASE: "of the pipeline",
};
/** Everything that was ever printed or written, to look for secrets in. */
let everything = "";

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function npm(tool: string, args: readonly string[]): Ran {
  // Another machine has no private copies of the stacks' files.
  rmSync(join(state, "stacks"), { recursive: true, force: true });
  const command = [join(root, "tools", "bootstrap.mjs"), tool, ...args, "--cwd", directory];
  const { status, stdout, stderr } = spawnSync("node", command, {
    encoding: "utf8",
    env,
    input: "",
    cwd: directory,
  });
  return { status, stdout, stderr };
}

function pipeline(...args: string[]): Ran {
  const ran = npm("pipeline", args);
  everything += ran.stdout + ran.stderr;
  return ran;
}

const stackFile = (name: string) => join(directory, `Pulumi.${name}.yaml`);

beforeAll(async () => {
  mkdirSync(state);
  mkdirSync(backend);
  writeFileSync(
    join(directory, "Pulumi.yaml"),
    stringify({ name: "ci", runtime: "nodejs", main: "main.cjs" }),
  );
  writeFileSync(
    join(directory, "main.cjs"),
    `module.exports = require(${JSON.stringify(join(root, "program.cjs"))});\n`,
  );
  const config = {
    target: "local" as const,
    model: "Qwen/Qwen3-8B",
    engine: "mocker" as const,
    pools: [{ role: "aggregated" as const }],
    controlPlane: { discovery: "file" as const },
    access: { gateway: true, tls: { mode: "generated" as const } },
    ...(await freePorts()),
  };
  writeFileSync(stackFile("prod"), stringify({ config: namespaced(config) }));
});

afterAll(() => {
  for (const { pid } of processesOf(state)) kill(pid);
  rmSync(directory, { recursive: true, force: true });
});

describe("a pipeline", () => {
  test("previews, with what it costs, and makes nothing", () => {
    const { status, stdout } = pipeline(
      "preview",
      "--stack",
      "prod",
      "--policy-pack",
      join(root, "policy"),
      "--output",
      "preview.md",
    );
    expect(status).toBe(0);
    expect(stdout).toBe("");
    const page = readFileSync(join(directory, "preview.md"), "utf8");
    expect(page).toMatch(/^<!-- dynamo-sky:preview:prod -->\n\n### prod: \d+ to create\n/);
    expect(page).toContain("| GPUs | none | 1 |\n| $ per hour | none | $0.00 |");
    expect(page).toContain("| ➕ create | `dynamo-ready-check` |");
    expect(processesOf(state)).toEqual([]);
  });

  test("deploys, and proves it by a client's request with the key", () => {
    const { status, stdout } = pipeline("deploy", "--stack", "prod");
    expect(status).toBe(0);
    expect(stdout).toContain("### prod is deployed");
    expect(stdout).toMatch(/`https:\/\/127\.0\.0\.1:\d+` \| `Qwen\/Qwen3-8B` \| 1 \| \$0\.00 \| \d+ created/);
    expect(stdout).toMatch(/✅ Smoke test: `Qwen\/Qwen3-8B` streamed \d+ tokens, with its key/);
  });

  test("is watched by its outputs, whatever the endpoint speaks", () => {
    const { status, stdout } = npm("status", ["--stack", "prod", "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ healthy: true, endpoint: expect.stringMatching(/^https:/) });
  });

  test("finds no drift, then all that was lost, and repairs it", () => {
    expect(pipeline("drift", "--stack", "prod")).toMatchObject({
      status: 0,
      stdout: "<!-- dynamo-sky:drift:prod -->\n\n### prod is in sync\n",
    });
    for (const { pid } of processesOf(state)) kill(pid);
    const lost = pipeline("drift", "--stack", "prod");
    expect(lost.status).toBe(2);
    expect(lost.stdout).toContain("### prod is not in sync");
    expect(lost.stdout).toMatch(/\| 🔴 lost \| `dynamo-main-lease` \| .+ \|/);
    expect(pipeline("smoke", "--stack", "prod")).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("❌ Smoke test of prod failed"),
    });
    expect(pipeline("deploy", "--stack", "prod").status).toBe(0);
  });

  test("says in its page why it failed", () => {
    writeFileSync(stackFile("wrong"), "config: { dynamo-sky:target: local, dynamo-sky:modle: x }\n");
    const { status, stdout } = pipeline("preview", "--stack", "wrong");
    expect(status).toBe(2);
    expect(stdout).toContain("### wrong: the configuration is wrong");
    expect(stdout).toContain("modle");
  });
});

describe("a pull request's stack", () => {
  const up = (id: string, ...more: string[]) =>
    pipeline("ephemeral-up", "--base", "prod", "--id", id, ...more);

  test("comes up from another stack's file, with settings of its own", async () => {
    const ports = await freePorts();
    const { status, stdout } = up(
      "7",
      "--set",
      `frontend.port=${ports.frontend.port}`,
      "--set",
      `ports=${JSON.stringify(ports.ports)}`,
    );
    expect(stdout).toContain(
      "### pr-7 is deployed\n\nIt is destroyed when the pull request is closed, or after 2",
    );
    expect(stdout).toContain(`https://127.0.0.1:${ports.frontend.port}`);
    expect(status).toBe(0);
  });

  test("leaves something that the sweep finds, when it cannot come up", () => {
    const { status, stdout } = up("8", "--ttl-hours", "0.000001");
    expect(status).toBe(1);
    expect(stdout).toContain("is taken by process");
    const swept = pipeline("ephemeral-sweep", "--json");
    expect(swept.status).toBe(0);
    expect(JSON.parse(swept.stdout).stacks).toMatchObject([
      { stack: "pr-7", outcome: "kept" },
      { stack: "pr-8", outcome: "removed" },
    ]);
  });

  test("is gone when its pull request is closed, and only that", () => {
    const down = pipeline("ephemeral-down", "--id", "7", "--json");
    expect(down.status).toBe(0);
    expect(JSON.parse(down.stdout)).toMatchObject({ ok: true, removed: true });
    expect(existsSync(stackFile("pr-7"))).toBe(false);
    expect(pipeline("ephemeral-down", "--id", "7").stdout).toContain("pr-7 was gone already");
    const smoke = pipeline("smoke", "--stack", "prod", "--json");
    expect(smoke.status).toBe(0);
    expect(JSON.parse(smoke.stdout)).toMatchObject({ ok: true, withKey: true, models: ["Qwen/Qwen3-8B"] });
  });
});

describe("afterwards", () => {
  test("no key was told to anybody", () => {
    const key = npm("stack", ["output", "apiKey", "--stack", "prod", "--show-secrets"]).stdout.trim();
    expect(key).toMatch(/^\w{20,}$/);
    expect(everything).not.toContain(key);
    expect(everything).not.toContain(env.PULUMI_CONFIG_PASSPHRASE);
  });

  test("nothing is left running", () => {
    expect(npm("stack", ["destroy", "--stack", "prod", "--remove"]).status).toBe(0);
    expect(processesOf(state)).toEqual([]);
  });
});
