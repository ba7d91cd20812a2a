/** How values of secrets are passed to SkyPilot, which stores its input. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { verb as downVerb } from "../../sky/down";
import { verb as launchVerb } from "../../sky/launch";
import { taskName } from "../../sky/taskName";
import { FakeSky } from "./skyHarness";

const CLUSTER = "demo-main-abc123";
const TASK = { num_nodes: 2, resources: {}, setup: "echo set up", run: "echo run" };
const launchInput = { cluster: CLUSTER, infra: ["aws"], task: TASK, port: 8000 };
const leaseInput = { cluster: CLUSTER, infra: ["aws"] };
const TOKEN = { HF_TOKEN: "hf_veryMuchASecret" };

let sky: FakeSky;
beforeEach(() => {
  sky = new FakeSky();
});
afterEach(() => sky.remove());

describe("sky launch", () => {
  it("gives secrets in a private file that goes with the launch, so that SkyPilot keeps none", async () => {
    const input = { ...launchInput, task: { ...TASK, secrets: ["HF_TOKEN"] } };
    const { error, output } = await sky.run(launchVerb, { ...input, secrets: TOKEN });
    expect(error).toBeUndefined();
    const launch = sky.changes.find(([command]) => command === "launch") ?? [];
    expect(launch).not.toContain("--secret");
    expect(sky.read("secrets")).toBe("{}");
    const { secrets, file_mounts } = parse(sky.read("tasks"));
    expect(secrets).toBeUndefined();
    const [[target, source] = []] = Object.entries<string>(file_mounts);
    expect(target).toBe("~/.dynamo-sky/secrets.json");
    // The stand-in has recorded what it saw; the file itself is deleted after the launch.
    expect(sky.read("mounted")).toBe(`600 ${JSON.stringify(TOKEN)}`);
    expect(existsSync(source ?? "")).toBe(false);
    for (const shown of [output, sky.read("calls"), sky.read("tasks")])
      expect(shown).not.toContain("hf_very");
  });

  it("starts the task anew with another value of a secret", () => {
    const other = taskName(CLUSTER, TASK, { HF_TOKEN: "another" }).name;
    expect(other).not.toBe(taskName(CLUSTER, TASK, TOKEN).name);
    expect(other).not.toBe(taskName(CLUSTER, TASK, {}).name);
  });

  it("tells SkyPilot the login of a registry, by its name alone, and nothing else", async () => {
    const login = { SKYPILOT_DOCKER_PASSWORD: "veryMuchAPassword" };
    const task = { ...TASK, secrets: ["HF_TOKEN", "SKYPILOT_DOCKER_PASSWORD"] };
    const { error, output } = await sky.run(launchVerb, {
      ...launchInput,
      task,
      secrets: { ...TOKEN, ...login },
    });
    expect(error).toBeUndefined();
    const launch = sky.changes.find(([command]) => command === "launch") ?? [];
    expect(launch.slice(launch.indexOf("--secret"), -1)).toEqual(["--secret", "SKYPILOT_DOCKER_PASSWORD"]);
    expect(sky.read("secrets")).toBe(JSON.stringify({ login: login.SKYPILOT_DOCKER_PASSWORD }));
    expect(parse(sky.read("tasks")).secrets).toEqual({ SKYPILOT_DOCKER_PASSWORD: null });
    expect(sky.read("mounted")).toBe(`600 ${JSON.stringify(TOKEN)}`);
    for (const shown of [output, sky.read("calls"), sky.read("tasks")])
      expect(shown).not.toContain("veryMuch");
  });

  it.each([
    ["launch", () => sky.run(launchVerb, launchInput)],
    ["teardown", () => sky.run(downVerb, leaseInput)],
  ])("removes with the next %s what a killed one has left", async (_what, next) => {
    const left = join(sky.env["TMPDIR"] ?? "", `dynamo-sky.${CLUSTER}.abcdef`);
    const another = join(sky.env["TMPDIR"] ?? "", `dynamo-sky.${CLUSTER}2.abcdef`);
    for (const directory of [left, another]) {
      mkdirSync(directory);
      writeFileSync(join(directory, "secrets.json"), "{}");
    }
    expect((await next()).error).toBeUndefined();
    expect([left, another].map((path) => existsSync(path))).toEqual([false, true]);
  });
});
