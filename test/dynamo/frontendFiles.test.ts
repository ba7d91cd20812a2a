/** A frontend on a machine without any file of the model, and without a hub: on real Dynamo. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { TestDeployment } from "./support";

const elsewhere = mkdtempSync(join(tmpdir(), "dsky-frontend-"));
const deployment = new TestDeployment(
  { pools: [{ role: "aggregated", replicas: 2 }] },
  { discovery: "file", events: "zmq" },
  (program) =>
    program.role === "frontend"
      ? {
          ...program,
          env: { ...program.env, HOME: elsewhere, HF_HOME: join(elsewhere, "hf"), HF_HUB_OFFLINE: "1" },
        }
      : program,
);

afterAll(() => {
  deployment.close();
  rmSync(elsewhere, { recursive: true, force: true });
});

test("serves, with the tokenizer that workers hand out", async () => {
  await deployment.up();
  expect(Object.values(await deployment.observe())).not.toContain("FATAL");
});
