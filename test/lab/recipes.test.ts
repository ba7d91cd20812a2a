/** The rendered recipes, without Pulumi. */
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Progress } from "../../driver/progress";
import { labDown } from "../../tools/lab/down";
import { SKY_ENVIRONMENT } from "../../tools/lab/layout";
import { installedSky } from "../../tools/lab/tools";
import { recipePath, renderedStacks } from "../../tools/render";
import { ask, REPOSITORY } from "../engine/programHarness";
import { clusters, ensureLab, LAB_UP_MS, LAUNCH_MS, reasonAgainstLab, sky } from "./labHarness";

const NAME = "lab-test-recipe";
const ENDPOINT = "http://127.0.0.1:18000";
const ANSWER_MS = 120_000;

if (reasonAgainstLab !== undefined) console.warn(`The recipes' tests are skipped: ${reasonAgainstLab}.`);

describe.skipIf(reasonAgainstLab !== undefined)("recipes", () => {
  let wasUp = true;

  beforeAll(async () => {
    wasUp = await ensureLab();
  }, LAB_UP_MS);

  afterAll(async () => {
    if (clusters(NAME).length > 0) sky("down", "-y", NAME);
    if (!wasUp) await labDown(new Progress(), AbortSignal.timeout(LAB_UP_MS));
  }, LAB_UP_MS);

  it("all load in SkyPilot's own parser", () => {
    const files = renderedStacks(REPOSITORY).map(recipePath);
    expect(files.length).toBeGreaterThanOrEqual(8);
    const script = "import sky, sys; print([sky.Task.from_yaml(f).num_nodes for f in sys.argv[1:]])";
    const output = execFileSync(join(dirname(installedSky()), "python"), ["-c", script, ...files], {
      cwd: REPOSITORY,
      encoding: "utf8",
      env: { ...process.env, ...SKY_ENVIRONMENT },
    });
    const nodes: unknown = JSON.parse(output.trim().split("\n").at(-1) ?? "");
    expect(nodes).toHaveLength(files.length);
  });

  it(
    "serve when launched by `sky launch` alone, over two nodes",
    async () => {
      const { code, output } = sky(
        ...["launch", "-y", "-d", "-c", NAME, join(REPOSITORY, recipePath("lab"))],
      );
      expect(code, output.slice(-2000)).toBe(0);
      expect(clusters(NAME).map(({ nodes }) => nodes)).toEqual([2]);
      const deadline = Date.now() + ANSWER_MS;
      let tokens = 0;
      while (tokens === 0 && Date.now() < deadline) {
        tokens = await ask(ENDPOINT, "Qwen/Qwen3-8B").then(
          (answer) => answer.tokens,
          () => 0,
        );
        if (tokens === 0) await delay(500);
      }
      expect(tokens).toBeGreaterThan(0);
      expect(sky("down", "-y", NAME).code).toBe(0);
      expect(clusters(NAME)).toEqual([]);
    },
    LAUNCH_MS,
  );
});
