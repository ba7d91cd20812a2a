/** Recipes without Pulumi: a committed one as it is, and one that a user renders. */
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

const RECIPE = "examples/recipes/lab.sky.yaml";
/** The cluster's name in a recipe's first lines. */
const COMMITTED = "dynamo-serving";
const OWN = "dynamo-serving-one";

/** The words after `sky` of the launch in a recipe's first lines. */
function launchOf(recipe: string): string[] {
  const [, words = ""] = /^# {3}sky (launch .*?) {5}#/m.exec(recipe) ?? [];
  return words.split(" ");
}

describe.skipIf(reason !== undefined)(titled("recipes by bare sky launch"), { timeout: TIMEOUT }, () => {
  const directory = mkdtempSync(join(tmpdir(), "recipe-"));
  const lab = parse(readFileSync(join(REPOSITORY, "examples/stacks/Pulumi.lab.yaml"), "utf8"));

  /** The first node's log messages about its key and certificate. */
  const untilLogged = async (cluster: string): Promise<string> => {
    let log = "";
    const certificate = async () => {
      log = (await sky("logs", "--no-follow", cluster)).stdout;
      return log;
    };
    await expect.poll(certificate, { timeout: 120_000, interval: 1000 }).toContain("certificate.pem");
    return log;
  };
  /** Runs the command that the log prints to read a file. */
  const read = (cluster: string, log: string, file: string): string => {
    const path = new RegExp(`ssh ${cluster} cat (\\S+/${file})`).exec(log)?.[1] ?? "";
    const words = [...sshConfig(cluster, LAB.home), cluster, "cat", path];
    return execFileSync("ssh", words, { encoding: "utf8", env: { ...process.env, ...SKY_ENVIRONMENT } });
  };
  const modelsBy = (certificate: string, apiKey: string, endpoint: string): string => {
    const file = join(directory, "endpoint.pem");
    writeFileSync(file, certificate);
    const words = ["-s", "--cacert", file, "-H", "@-", `${endpoint}/v1/models`];
    return execFileSync("curl", words, { encoding: "utf8", input: `Authorization: Bearer ${apiKey}` });
  };
  /** That a cluster answers who has the key that its log says how to read, and nobody else. */
  const expectServes = async (cluster: string, port: number): Promise<void> => {
    const { stdout } = await sky("status", "--ip", cluster);
    const endpoint = `https://${stdout.trim()}:${port}`;
    // The log says how to read the generated values; a user pastes that.
    const log = await untilLogged(cluster);
    const apiKey = read(cluster, log, "api-key");
    expect(apiKey).toMatch(/^[0-9a-f]{64}$/);
    expect(log).not.toContain(apiKey);
    const certificate = read(cluster, log, "certificate.pem");
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
    expect(modelsBy(certificate, apiKey, endpoint)).toContain("Qwen/Qwen3-8B");
  };

  beforeAll(requireLab);
  afterAll(async () => {
    await sky("down", "-y", COMMITTED, OWN);
    rmSync(directory, { recursive: true, force: true });
  }, TIMEOUT);

  it("the committed one of two nodes serves, launched by its own first lines from the root", async () => {
    process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
    const words = launchOf(readFileSync(join(REPOSITORY, RECIPE), "utf8"));
    expect(words).toEqual(["launch", "-c", COMMITTED, "--secret", CLUSTER_SECRET, RECIPE]);
    const launched = await sky(...words, "-y", "-d");
    expect(launched.code, launched.stderr).toBe(0);
    await expectServes(COMMITTED, lab.config["dynamo-sky:frontend"].port);
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
    expect(launchOf(recipe).slice(0, 3)).toEqual(["launch", "-c", COMMITTED]);
    expect(recipe).not.toContain(CLUSTER_SECRET);
    writeFileSync(file, recipe);
    const launched = await sky("launch", "-y", "-d", "-c", OWN, file);
    expect(launched.code, launched.stderr).toBe(0);
    await expectServes(OWN, frontend.port);
  });

  it("are taken down by sky down, and leave no process", async () => {
    expect((await sky("down", "-y", COMMITTED, OWN)).code).toBe(0);
    const left = () => [COMMITTED, OWN].flatMap(processesOf);
    await expect.poll(left, { timeout: 60_000, interval: 1000 }).toEqual([]);
  });
});
