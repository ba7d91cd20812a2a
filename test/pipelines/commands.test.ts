/**
 * The pipeline's commands in order, run like in a pipeline, on an endpoint with TLS: no terminal, shared
 * state, and only the local clusters are kept on the machine between commands.
 */
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { freePorts } from "../../dev/freePorts";
import { kill, processesOf } from "../../lib/processes";
import { packageRoot } from "../../toolchain/index";
import { PipelineLife } from "./life";
import { PASSPHRASE, PipelineMachine } from "./machine";

const root = packageRoot();
const machine = new PipelineMachine(root);
const { state } = machine;
const life = new PipelineLife(machine, "prod", { gpus: "1", price: "$0.00" });

beforeAll(async () => {
  writeFileSync(
    join(machine.project, "Pulumi.yaml"),
    stringify({ name: "ci", runtime: { name: "nodejs", options: { typescript: false } }, main: "main.cjs" }),
  );
  symlinkSync(join(root, "node_modules"), join(machine.project, "node_modules"));
  writeFileSync(
    join(machine.project, "main.cjs"),
    `module.exports = require(${JSON.stringify(join(root, "program.cjs"))});\n`,
  );
  machine.configure("prod", {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    pools: [{ role: "aggregated" }],
    controlPlane: { discovery: "file" },
    access: { gateway: true, tls: { mode: "generated" } },
    ...(await freePorts()),
  });
});

afterAll(() => {
  for (const { pid } of processesOf(state)) kill(pid);
  machine.close();
});

describe("a pipeline", () => {
  test("previews, with what it costs, and makes nothing", async () => {
    await life.preview(join(root, "observability/policy"));
    expect(processesOf(state)).toEqual([]);
  });

  test("deploys, and proves it by a client's request with the key", async () => {
    await life.deploy();
  });

  test("is watched by its outputs, whatever the endpoint speaks", async () => {
    const { status, stdout } = await machine.run("status", "--stack", "prod", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ healthy: true, endpoint: expect.stringMatching(/^https:/) });
  });

  test("finds no drift, then all that was lost, and repairs it", async () => {
    await life.isInSync();
    for (const { pid } of processesOf(state)) kill(pid);
    await life.hasLost("dynamo-main-lease", /./);
    await life.deploy(/\d+ updated/);
  });

  test("says in its page why it failed", async () => {
    writeFileSync(machine.stackFile("wrong"), "config: { dynamo-sky:target: local, dynamo-sky:modle: x }\n");
    const { status, stdout } = await machine.pipeline("preview", "--stack", "wrong");
    expect(status).toBe(2);
    expect(stdout).toContain("### wrong: the configuration is wrong");
    expect(stdout).toContain("modle");
  });
});

describe("a pull request's stack", () => {
  const up = (id: string, ...more: string[]) =>
    machine.pipeline("ephemeral-up", "--base", "prod", "--id", id, ...more);

  test("comes up from another stack's file, with settings of its own", async () => {
    const ports = await freePorts();
    const { status, stdout } = await up(
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

  test("leaves something that the sweep finds, when it cannot come up", async () => {
    const { status, stdout } = await up("8", "--ttl-hours", "0.000001");
    // A mistake in the configuration, reported before anything is created.
    expect(status).toBe(2);
    expect(stdout).toContain("is taken by process");
    const swept = await machine.pipeline("ephemeral-sweep", "--json");
    expect(swept.status).toBe(0);
    expect(JSON.parse(swept.stdout).stacks).toMatchObject([
      { stack: "pr-7", outcome: "kept" },
      { stack: "pr-8", outcome: "removed" },
    ]);
  });

  test("is gone when its pull request is closed, and only that", async () => {
    const down = await machine.pipeline("ephemeral-down", "--id", "7", "--json");
    expect(down.status).toBe(0);
    expect(JSON.parse(down.stdout)).toMatchObject({ ok: true, removed: true });
    expect(existsSync(machine.stackFile("pr-7"))).toBe(false);
    expect((await machine.pipeline("ephemeral-down", "--id", "7")).stdout).toContain("pr-7 was gone already");
    const smoke = await machine.pipeline("smoke", "--stack", "prod", "--json");
    expect(smoke.status).toBe(0);
    expect(JSON.parse(smoke.stdout)).toMatchObject({ ok: true, withKey: true, models: ["Qwen/Qwen3-8B"] });
  });
});

describe("afterwards", () => {
  test("no key was told to anybody", async () => {
    const output = ["output", "apiKey", "--stack", "prod", "--show-secrets"];
    const key = (await machine.run("stack", ...output)).stdout.trim();
    expect(key).toMatch(/^\w{20,}$/);
    expect(machine.told).not.toContain(key);
    expect(machine.told).not.toContain(PASSPHRASE);
  });

  test("nothing is left running", async () => {
    expect((await machine.run("stack", "destroy", "--stack", "prod", "--remove")).status).toBe(0);
    expect(processesOf(state)).toEqual([]);
  });
});
