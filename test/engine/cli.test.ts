/** The Pulumi CLI in use, however it was installed: its effect on a stack's file. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureToolchain, packageRoot } from "../../toolchain";

const home = mkdtempSync(join(tmpdir(), "cli-home-"));
const project = join(home, "project");
const state = `file://${home}`;
let command = "pulumi";

const pulumi = (args: readonly string[], variables: Readonly<Record<string, string>> = {}) => {
  const own = { PULUMI_HOME: home, PULUMI_BACKEND_URL: state, PULUMI_CONFIG_PASSPHRASE: "test" };
  const { status, stdout, stderr } = spawnSync(command, [...args], {
    cwd: project,
    env: { ...process.env, ...own, ...variables },
    encoding: "utf8",
  });
  expect(status, `${stdout}${stderr}`).toBe(0);
};

beforeAll(async () => {
  const { pulumi: program } = await ensureToolchain({ need: ["pulumi"] });
  command = program?.path ?? command;
  mkdirSync(project);
  writeFileSync(join(project, "Pulumi.yaml"), "name: cli\nruntime: nodejs\n");
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

// As in docs/stacks.md.
it.each([
  [{ PULUMI_OPTION_PRESERVE_CONFIG: "true" }, true],
  [{}, false],
])("with %j leaves the file of a stack that is removed: %s", { timeout: 120_000 }, (variables, stays) => {
  const file = join(project, "Pulumi.dev.yaml");
  writeFileSync(file, "config:\n  cli:word: mine\n");
  pulumi(["stack", "init", "dev"]);
  expect(readFileSync(file, "utf8")).toContain("encryptionsalt");
  pulumi(["stack", "rm", "dev", "--yes"], variables);
  expect(existsSync(file)).toBe(stays);
});

it("is told to leave it by the variables that `bin/dynamo-sky env` prints", { timeout: 120_000 }, () => {
  const bootstrap = join(packageRoot(), "toolchain", "bootstrap.mjs");
  const args = [bootstrap, "dynamo-sky", "env", "--stack", "dev", "--cwd", project];
  const env = { ...process.env, PULUMI_HOME: home, DYNAMO_SKY_STATE: home };
  const { stdout, stderr } = spawnSync("node", args, { env, encoding: "utf8" });
  expect(stdout, stderr).toContain("export PULUMI_OPTION_PRESERVE_CONFIG=true\n");
});
