/**
 * Recipes launched by SkyPilot alone, on either lab: as their first lines say, by a user who has only those.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { fingerprintOf } from "../../lib/tls/served";
import { sshConfig } from "../../sky/ssh";
import { ask, type LabSky } from "./harness";

/** The cluster's name in a recipe's first lines. */
export const RECIPE_CLUSTER = "dynamo-serving";

/** The words after `sky` of the launch in a recipe's first lines. */
export function launchOf(recipe: string): string[] {
  const [, words = ""] = /^# {3}sky (launch .*?) {5}#/m.exec(recipe) ?? [];
  return words.split(" ");
}

/** That a cluster answers who has the key that its log says how to read, and nobody else. */
export async function expectServes(sky: LabSky, cluster: string, port: number): Promise<void> {
  const { stdout } = await sky.run("status", "--ip", cluster);
  const endpoint = `https://${stdout.trim()}:${port}`;
  // The log says how to read the generated values; a user pastes that.
  const log = await untilLogged(sky, cluster);
  const apiKey = read(sky, cluster, log, "api-key");
  expect(apiKey).toMatch(/^[0-9a-f]{64}$/);
  expect(log).not.toContain(apiKey);
  const certificate = read(sky, cluster, log, "certificate.pem");
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
}

/** The first node's log messages about its key and certificate. */
async function untilLogged(sky: LabSky, cluster: string): Promise<string> {
  let log = "";
  const certificate = async () => {
    log = (await sky.run("logs", "--no-follow", cluster)).stdout;
    return log;
  };
  await expect.poll(certificate, { timeout: 120_000, interval: 1000 }).toContain("certificate.pem");
  return log;
}

/** Runs the command that the log prints to read a file. */
function read({ env }: LabSky, cluster: string, log: string, file: string): string {
  const path = new RegExp(`ssh ${cluster} cat (\\S+/${file})`).exec(log)?.[1] ?? "";
  const words = [...sshConfig(cluster, env["HOME"]), cluster, "cat", path];
  return execFileSync("ssh", words, { encoding: "utf8", env: { ...process.env, ...env } });
}

function modelsBy(certificate: string, apiKey: string, endpoint: string): string {
  const directory = mkdtempSync(join(tmpdir(), "recipe-"));
  try {
    const file = join(directory, "endpoint.pem");
    writeFileSync(file, certificate);
    const words = ["-s", "--cacert", file, "-H", "@-", `${endpoint}/v1/models`];
    return execFileSync("curl", words, { encoding: "utf8", input: `Authorization: Bearer ${apiKey}` });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
