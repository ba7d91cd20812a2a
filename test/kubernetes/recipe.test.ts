/** The committed recipe on Kubernetes, without Pulumi. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../plan/config";
import { CLUSTER_SECRET } from "../../sky/taskSecrets";
import { REPOSITORY, reason, titled } from "../lab/harness";
import { expectServes, launchOf, RECIPE_CLUSTER } from "../lab/recipes";
import {
  committed,
  GONE,
  KUBERNETES_SKY,
  nodesWithPods,
  objects,
  requireKubernetes,
  TIMEOUT,
} from "./cluster";

const RECIPE = "examples/recipes/kubernetes.sky.yaml";

describe.skipIf(reason !== undefined)(titled("a recipe on Kubernetes"), { timeout: TIMEOUT }, () => {
  let before: string[] = [];
  beforeAll(async () => {
    requireKubernetes();
    before = await objects();
  });
  afterAll(async () => {
    await KUBERNETES_SKY.run("down", "-y", RECIPE_CLUSTER);
  }, TIMEOUT);

  it("serves from two pods, launched by its own first lines from the root", async () => {
    process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
    const words = launchOf(readFileSync(join(REPOSITORY, RECIPE), "utf8"));
    expect(words).toEqual(["launch", "-c", RECIPE_CLUSTER, "--secret", CLUSTER_SECRET, RECIPE]);
    const launched = await KUBERNETES_SKY.run(...words, "-y", "-d");
    expect(launched.code, launched.stderr).toBe(0);
    expect(await nodesWithPods()).toEqual(["gpu0", "gpu1"]);
    await expectServes(KUBERNETES_SKY, RECIPE_CLUSTER, parseConfig(committed()).frontend.port);
  });

  it("is taken down by sky down, and leaves no pod, service, secret or config map", async () => {
    expect((await KUBERNETES_SKY.run("down", "-y", RECIPE_CLUSTER)).code).toBe(0);
    await expect.poll(objects, GONE).toEqual(before);
  });
});
