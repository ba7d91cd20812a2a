/** The rendered recipes, without Pulumi. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { renderStack } from "../../cli/recipe";
import { freePorts } from "../../dev/freePorts";
import { fingerprintOf } from "../../lib/tls/served";
import { sshConfig } from "../../sky/ssh";
import { CLUSTER_SECRET } from "../../sky/taskSecrets";
import { LAB, SKY_ENVIRONMENT } from "../../toolchain/labLayout";
import { ask, clusters, REPOSITORY, reason, requireLab, sky, titled } from "./harness";
import { processesOf } from "./processes";

const TIMEOUT = 600_000;

describe.skipIf(reason !== undefined)(
  titled("the multi-node recipe by bare sky launch"),
  { timeout: TIMEOUT },
  () => {
    const NAME = "dynamo-serving-multi";
    const directory = mkdtempSync(join(tmpdir(), "recipe-"));
    let endpoint = "";

    /** The first node's log messages about its key and certificate. */
    const untilLogged = async (): Promise<string> => {
      let log = "";
      const certificate = async () => {
        log = (await sky("logs", "--no-follow", NAME)).stdout;
        return log;
      };
      await expect.poll(certificate, { timeout: 120_000, interval: 1000 }).toContain("certificate.pem");
      return log;
    };
    /** Runs the command that the log prints to read a file. */
    const read = (log: string, file: string): string => {
      const path = new RegExp(`ssh ${NAME} cat (\\S+/${file})`).exec(log)?.[1] ?? "";
      const words = [...sshConfig(NAME, LAB.home), NAME, "cat", path];
      return execFileSync("ssh", words, { encoding: "utf8", env: { ...process.env, ...SKY_ENVIRONMENT } });
    };
    const modelsBy = (certificate: string, apiKey: string): string => {
      const file = join(directory, "endpoint.pem");
      writeFileSync(file, certificate);
      const words = ["-s", "--cacert", file, "-H", "@-", `${endpoint}/v1/models`];
      return execFileSync("curl", words, { encoding: "utf8", input: `Authorization: Bearer ${apiKey}` });
    };

    beforeAll(requireLab);
    afterAll(async () => {
      await sky("down", "-y", NAME);
      rmSync(directory, { recursive: true, force: true });
    }, TIMEOUT);

    it("serves, without Pulumi and without this program", async () => {
      // The lab's own recipe is that of `multi` with the mocker engine; rendered again, like a user does,
      // with this test's own ports.
      const { frontend, ports } = await freePorts();
      const stack = parse(readFileSync(join(REPOSITORY, "examples/stacks/Pulumi.lab.yaml"), "utf8"));
      const config = { ...stack.config, "dynamo-sky:frontend": frontend, "dynamo-sky:ports": ports };
      writeFileSync(join(directory, "Pulumi.yaml"), "name: recipe\nruntime: nodejs\n");
      writeFileSync(join(directory, "Pulumi.lab.yaml"), stringify({ config }));
      const file = join(directory, "recipe.sky.yaml");
      writeFileSync(file, renderStack("lab", directory));
      process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
      const launched = await sky("launch", "-y", "-d", "-c", NAME, "--secret", CLUSTER_SECRET, file);
      expect(launched.code, launched.stderr).toBe(0);
      const { stdout } = await sky("status", "--ip", NAME);
      endpoint = `https://${stdout.trim()}:${frontend.port}`;
      // The log says how to read the generated values; a user pastes that.
      const log = await untilLogged();
      const apiKey = read(log, "api-key");
      expect(apiKey).toMatch(/^[0-9a-f]{64}$/);
      expect(log).not.toContain(apiKey);
      const certificate = read(log, "certificate.pem");
      const fingerprint = fingerprintOf(certificate);
      expect(log).toContain(fingerprint);
      const question = (key?: string): Promise<number> =>
        ask({ endpoint, apiKey: key, fingerprint }, "Hello?").then(
          ({ tokens }) => tokens,
          () => 0,
        );
      await expect.poll(() => question(apiKey), { timeout: 240_000, interval: 1000 }).toBeGreaterThan(0);
      expect(await question()).toBe(0);
      // As in its first lines, without pinning: the certificate is for the address, and for a tunnel's.
      expect(modelsBy(certificate, apiKey)).toContain("Qwen/Qwen3-8B");
      expect((await clusters()).map(({ nodes }) => nodes)).toEqual([2]);
    });

    it("is taken down by sky down, and leaves no process", async () => {
      expect((await sky("down", "-y", NAME)).code).toBe(0);
      await expect.poll(() => processesOf(NAME), { timeout: 60_000, interval: 1000 }).toEqual([]);
    });
  },
);
