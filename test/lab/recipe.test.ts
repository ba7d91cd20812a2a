/** The rendered recipes, without Pulumi. */

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { CLUSTER_SECRET } from "../../sky/run";
import { freePorts } from "../../tools/freePorts";
import { renderStack } from "../../tools/render";
import { ask, clusters, processesOf, REPOSITORY, reason, requireLab, sky, titled } from "./harness";

const TIMEOUT = 600_000;

describe.skipIf(reason !== undefined)(
  titled("the multi-node recipe by bare sky launch"),
  { timeout: TIMEOUT },
  () => {
    const NAME = "dynamo-serving-multi";
    const directory = mkdtempSync(join(tmpdir(), "recipe-"));

    beforeAll(requireLab);
    afterAll(async () => {
      await sky("down", "-y", NAME);
      rmSync(directory, { recursive: true, force: true });
    }, TIMEOUT);

    it("serves, without Pulumi and without this program", async () => {
      // The lab's own recipe is that of `multi` with the mocker engine; rendered anew, as a user does, on ports of this test's own.
      const { frontend, ports } = await freePorts();
      const stack = parse(readFileSync(join(REPOSITORY, "Pulumi.lab.yaml"), "utf8"));
      const config = { ...stack.config, "dynamo-sky:frontend": frontend, "dynamo-sky:ports": ports };
      writeFileSync(join(directory, "Pulumi.yaml"), "name: recipe\nruntime: nodejs\n");
      writeFileSync(join(directory, "Pulumi.lab.yaml"), stringify({ config }));
      const file = join(directory, "recipe.sky.yaml");
      writeFileSync(file, renderStack("lab", directory));
      process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
      const launched = await sky("launch", "-y", "-d", "-c", NAME, "--secret", CLUSTER_SECRET, file);
      expect(launched.code, launched.stderr).toBe(0);
      const { stdout } = await sky("status", "--ip", NAME);
      const endpoint = `http://${stdout.trim()}:${frontend.port}`;
      const question = (): Promise<number> =>
        ask(endpoint, "Hello?").then(
          ({ tokens }) => tokens,
          () => 0,
        );
      await expect.poll(question, { timeout: 240_000, interval: 1000 }).toBeGreaterThan(0);
      expect((await clusters()).map(({ nodes }) => nodes)).toEqual([2]);
    });

    it("is taken down by sky down, and leaves no process", async () => {
      expect((await sky("down", "-y", NAME)).code).toBe(0);
      await expect.poll(() => processesOf(NAME), { timeout: 60_000, interval: 1000 }).toEqual([]);
    });
  },
);
