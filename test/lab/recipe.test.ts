/** The rendered recipes, without Pulumi. */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Progress } from "../../driver/progress";
import { CLUSTER_SECRET } from "../../sky/run";
import { recipePath, renderedStacks, renderStack } from "../../tools/render";
import { ensureOwnSkyPilot } from "../../tools/toolchain/skypilot";
import { ask, clusters, ensureLab, processesOf, REPOSITORY, reason, sky, titled } from "./harness";

const TIMEOUT = 600_000;

/** Needs SkyPilot, but no lab. */
describe("SkyPilot's own Task.from_yaml", { timeout: TIMEOUT }, () => {
  let python = "";
  const home = mkdtempSync(join(tmpdir(), "sky-home-"));
  beforeAll(async () => {
    const progress = new Progress();
    python = join(dirname(await ensureOwnSkyPilot(["slurm"], progress.line)), "python");
  }, TIMEOUT);
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it.each(renderedStacks(REPOSITORY))("loads the recipe of %s", (stack) => {
    const program = [
      "import json, sys, sky",
      "task = sky.Task.from_yaml(sys.argv[1])",
      "print(json.dumps({'nodes': task.num_nodes, 'accelerators': [r.accelerators for r in task.resources], 'run': bool(task.run), 'setup': bool(task.setup)}))",
    ].join("\n");
    const env = { ...process.env, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: "1" };
    const text = execFileSync(python, ["-c", program, join(REPOSITORY, recipePath(stack))], {
      encoding: "utf8",
      env,
    });
    const task = JSON.parse(text.trim().split("\n").at(-1) ?? "");
    expect(task).toMatchObject({ run: true, setup: true });
    expect(task.nodes).toBeGreaterThanOrEqual(1);
    expect(task.accelerators[0]).toEqual({ H100: expect.any(Number) });
  });
});

describe.skipIf(reason !== undefined)(
  titled("the multi-node recipe by bare sky launch"),
  { timeout: TIMEOUT },
  () => {
    const NAME = "dynamo-serving-multi";
    const directory = mkdtempSync(join(tmpdir(), "recipe-"));
    let endLab: () => Promise<void>;

    beforeAll(async () => {
      endLab = await ensureLab();
    }, TIMEOUT);
    afterAll(async () => {
      await sky("down", "-y", NAME);
      await endLab();
      rmSync(directory, { recursive: true, force: true });
    }, TIMEOUT);

    it("serves, without Pulumi and without this program", async () => {
      // The lab's own recipe is that of `multi` with the mocker engine; rendered anew, as a user does.
      const file = join(directory, "recipe.sky.yaml");
      writeFileSync(file, renderStack("lab", REPOSITORY));
      process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
      const launched = await sky("launch", "-y", "-d", "-c", NAME, "--secret", CLUSTER_SECRET, file);
      expect(launched.code, launched.stderr).toBe(0);
      const { stdout } = await sky("status", "--ip", NAME);
      const endpoint = `http://${stdout.trim()}:18000`;
      const question = (): Promise<number> =>
        ask(endpoint, "Hello?").then(
          ({ tokens }) => tokens,
          () => 0,
        );
      await expect.poll(question, { timeout: 240_000, interval: 2000 }).toBeGreaterThan(0);
      expect((await clusters()).map(({ nodes }) => nodes)).toEqual([2]);
    });

    it("is taken down by sky down, and leaves no process", async () => {
      expect((await sky("down", "-y", NAME)).code).toBe(0);
      await expect.poll(() => processesOf(NAME), { timeout: 60_000, interval: 1000 }).toEqual([]);
    });
  },
);
