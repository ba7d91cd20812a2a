/** Recipes without Pulumi: a committed one as it is, and one that a user renders. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { renderStack } from "../../cli/recipe";
import { freePorts } from "../../dev/freePorts";
import { CLUSTER_SECRET } from "../../sky/taskSecrets";
import { clusters, REPOSITORY, reason, requireLab, SLURM_SKY, sky, titled } from "./harness";
import { processesOf } from "./processes";
import { expectServes, launchOf, RECIPE_CLUSTER } from "./recipes";

const TIMEOUT = 600_000;

const RECIPE = "examples/recipes/lab.sky.yaml";
const OWN = "dynamo-serving-one";

describe.skipIf(reason !== undefined)(titled("recipes by bare sky launch"), { timeout: TIMEOUT }, () => {
  const directory = mkdtempSync(join(tmpdir(), "recipe-"));
  const lab = parse(readFileSync(join(REPOSITORY, "examples/stacks/Pulumi.lab.yaml"), "utf8"));

  beforeAll(requireLab);
  afterAll(async () => {
    await sky("down", "-y", RECIPE_CLUSTER, OWN);
    rmSync(directory, { recursive: true, force: true });
  }, TIMEOUT);

  it("the committed one of two nodes serves, launched by its own first lines from the root", async () => {
    process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
    const words = launchOf(readFileSync(join(REPOSITORY, RECIPE), "utf8"));
    expect(words).toEqual(["launch", "-c", RECIPE_CLUSTER, "--secret", CLUSTER_SECRET, RECIPE]);
    const launched = await sky(...words, "-y", "-d");
    expect(launched.code, launched.stderr).toBe(0);
    await expectServes(SLURM_SKY, RECIPE_CLUSTER, lab.config["dynamo-sky:frontend"].port);
    expect((await clusters()).map(({ nodes }) => nodes)).toEqual([2]);
  });

  it("one of one node serves too, rendered by a user elsewhere, without any secret", async () => {
    const { frontend, ports } = await freePorts();
    const config = {
      ...lab.config,
      "dynamo-sky:cluster": { nodes: 1, gpusPerNode: 1, accelerator: "A100" },
      "dynamo-sky:pools": [{ role: "aggregated" }],
      "dynamo-sky:frontend": frontend,
      "dynamo-sky:ports": ports,
    };
    writeFileSync(join(directory, "Pulumi.yaml"), "name: recipe\nruntime: nodejs\n");
    writeFileSync(join(directory, "Pulumi.one.yaml"), stringify({ config }));
    const file = join(directory, "recipe.sky.yaml");
    const recipe = renderStack("one", directory);
    expect(launchOf(recipe).slice(0, 3)).toEqual(["launch", "-c", RECIPE_CLUSTER]);
    expect(recipe).not.toContain(CLUSTER_SECRET);
    writeFileSync(file, recipe);
    const launched = await sky("launch", "-y", "-d", "-c", OWN, file);
    expect(launched.code, launched.stderr).toBe(0);
    await expectServes(SLURM_SKY, OWN, frontend.port);
  });

  it("are taken down by sky down, and leave no process", async () => {
    expect((await sky("down", "-y", RECIPE_CLUSTER, OWN)).code).toBe(0);
    const left = () => [RECIPE_CLUSTER, OWN].flatMap(processesOf);
    await expect.poll(left, { timeout: 60_000, interval: 1000 }).toEqual([]);
  });
});
