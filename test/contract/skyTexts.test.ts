/**
 * All error messages of SkyPilot, read from its source, with this program's classification. After an upgrade
 * of SkyPilot the difference of the snapshots shows new ones: add a cause in `sky/causes.ts` for those that
 * users can meet.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { classify } from "../../sky/failure";
import { interpreterOf } from "../../sky/interpreter";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";

const textsSchema = z.object({
  exceptions: z.array(z.string()),
  codes: z.array(z.string()),
  raised: z.array(z.tuple([z.string(), z.string()])),
});
let texts: z.output<typeof textsSchema>;

beforeAll(async () => {
  const sky = await ensureOwnSkyPilot(["aws", "gcp"], (line) => process.stderr.write(`${line}\n`));
  const script = join(__dirname, "skyTexts.py");
  const { stdout, stderr } = spawnSync(interpreterOf(sky) ?? "", [script], { encoding: "utf8" });
  expect(stderr).toBe("");
  texts = textsSchema.parse(JSON.parse(stdout));
}, 600_000);

const judged = (text: string) => `${classify([text]).kind.padEnd(12)} ${text}`;

describe("SkyPilot's own words", () => {
  it("of its exceptions", async () => {
    const lines = texts.exceptions.map((name) => judged(`sky.exceptions.${name}: x`));
    await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("skyTexts/exceptions.txt");
  });

  it("of the clouds' codes that it looks for", async () => {
    await expect(`${texts.codes.map(judged).join("\n")}\n`).toMatchFileSnapshot("skyTexts/codes.txt");
  });

  it("of what it raises while it provisions", async () => {
    const lines = texts.raised.map(([file, text]) => `${judged(text)}   (${file})`);
    await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("skyTexts/raised.txt");
  });

  it("are there, where a cause is known by them", () => {
    const said = [...texts.exceptions, ...texts.codes, ...texts.raised.map(([, text]) => text)].join("\n");
    for (const known of [
      "Insufficient system privileges detected",
      "has failed to attach or mount volumes",
      "ApiServerConnectionError",
      "KubeAPIUnreachableError",
      "NoCloudAccessError",
      "ZONE_RESOURCE_POOL_EXHAUSTED",
      "QUOTA_EXCEEDED",
      "did not get nodes allocated within",
      "Partition info for",
    ])
      expect(said).toContain(known);
  });
});
