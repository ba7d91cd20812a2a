/**
 * User errors are reported by their message only: without a stack trace, which nobody reads and Pulumi is
 * slow to print.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import * as tsx from "tsx/cjs/api";
import { afterEach, expect, it, vi } from "vitest";
import { checkedConfig, DynamoCluster, type DynamoClusterArgs } from "../../components";
import { bundleOf } from "../../components/gatewayCertificate";
import { ConfigError } from "../../config/problems";
import { UserError } from "../../lib/errors";
import { CommandFailed, run } from "../../lib/run";
import { issueCertificate } from "../../lib/tls/issue";
import { parseConfig } from "../../plan/config";
import { ensureToolchain, packageRoot } from "../../toolchain";
import { runOnMocks } from "./componentsMocks";

/**
 * Formats an error like Pulumi's host:
 * https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/nodejs/cmd/run/error.ts
 */
const hostsMessage = require("@pulumi/pulumi/cmd/run/error").defaultErrorMessage as (
  error: unknown,
) => string;

/** Loaded like in Node, since it requires SkyPilot's driver lazily. */
const { observeSky } = tsx.require(
  "../../components/skyRepair",
  __filename,
) as typeof import("../../components/skyRepair");

const thrownBy = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

afterEach(() => vi.unstubAllEnvs());

const LOCAL: DynamoClusterArgs = { target: "local", model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated" }] };
const SKY: DynamoClusterArgs = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] };
const deployed = (args: DynamoClusterArgs) => () =>
  runOnMocks("preview", () => new DynamoCluster("dynamo", args));

/** All ways in which a user error reaches Pulumi. */
const MISTAKES: readonly (readonly [string, () => unknown])[] = [
  ["a value in the stack's file", () => checkedConfig({ model: "" })],
  ["an argument of a component", deployed({ ...LOCAL, model: "" })],
  ["what does not fit", deployed({ ...SKY, pools: [{ role: "aggregated", replicas: 9 }] })],
  ["a limit", deployed({ ...SKY, limits: { gpus: 1 } })],
  ["a limit on a price that nobody knows", deployed({ ...SKY, limits: { dollarsPerHour: 1 } })],
  [
    "SkyPilot that is not there",
    () => {
      vi.stubEnv("PATH", "/nowhere");
      return observeSky("p-s", []);
    },
  ],
  [
    "SkyPilot that cannot be installed",
    async () => {
      const cache = mkdtempSync(join(tmpdir(), "user-errors-"));
      vi.stubEnv("DYNAMO_SKY_CACHE", cache);
      vi.stubEnv("PATH", "/nowhere");
      try {
        return await observeSky("p-s", ["aws"]);
      } finally {
        rmSync(cache, { recursive: true, force: true });
      }
    },
  ],
  [
    "a certificate with another's key",
    async () => {
      const pem = async (seed: string) => (await issueCertificate(seed.repeat(48), ["127.0.0.1"])).bundle;
      const certificate = (await pem("a")).slice((await pem("a")).indexOf("-----BEGIN CERTIFICATE"));
      return bundleOf(certificate, await pem("b"));
    },
  ],
];

it.each(MISTAKES)("Pulumi is told of %s by an error without a stack", async (_, work) => {
  const error = (await thrownBy(work)) as Error;
  expect(pulumi.RunError.isInstance(error), inspect(error)).toBe(true);
  expect(error.stack).toBe("");
  expect(error.message).not.toBe("");
  expect(hostsMessage(error)).toBe(error.message);
  // Only the message is passed to the code that highlights module paths.
  expect(inspect(error, { colors: true })).not.toMatch(/\n\s+at /);
});

it("and so are the errors from which they come", async () => {
  const errors = await Promise.all([
    thrownBy(() => parseConfig({})),
    thrownBy(() => run("false", [], { timeoutSeconds: 10 })),
    thrownBy(() => {
      throw new UserError("it is written wrong");
    }),
  ]);
  expect(errors.map((error) => (error as Error).name)).toEqual(["ConfigError", "CommandFailed", "UserError"]);
  expect(errors.filter((error) => !(error instanceof UserError) || error.stack !== "")).toEqual([]);
  expect(errors[0]).toBeInstanceOf(ConfigError);
  expect(errors[1]).toBeInstanceOf(CommandFailed);
});

it("a fault of the program's own keeps its stack, wherever it is thrown", async () => {
  const error = await thrownBy(() => ensureToolchain({ need: ["model"] }));
  expect((error as Error).stack).toMatch(/\n\s+at /);
});

it("no component makes such an error in another way", () => {
  const sources = execFileSync("git", ["ls-files", "index.ts", "components"], {
    cwd: packageRoot(),
    encoding: "utf8",
  });
  const others = sources
    .trim()
    .split("\n")
    .filter((file) => file !== "components/problems.ts")
    .filter((file) =>
      /new (pulumi\.)?(RunError|ResourceError|InputProper\w+Error|Error)\(/.test(
        readFileSync(join(packageRoot(), file), "utf8"),
      ),
    );
  expect(others).toEqual([]);
});
