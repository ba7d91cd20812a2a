/**
 * A model in a local directory, on real Dynamo: with a name that is not on the hub, and a path with spaces
 * and non-ASCII letters.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cacheDir } from "../../lib/dirs";
import { callHttp } from "../../lib/http";
import { locateModel } from "../../toolchain/model";
import { TestDeployment } from "./support";

const scratch = mkdtempSync(join(tmpdir(), "dsky-model-"));
const path = join(scratch, "my models +", "Qwen-für-alle=8B");
const deployment = new TestDeployment({ model: path }, { discovery: "file", events: "zmq" });

beforeAll(() => {
  const found = locateModel(cacheDir(), "Qwen/Qwen3-8B");
  const snapshots = join(found?.path ?? "the set-up has made no tokenizer", "snapshots");
  const [snapshot = ""] = readdirSync(snapshots);
  cpSync(join(snapshots, snapshot), path, { recursive: true, dereference: true });
});
afterAll(() => {
  deployment.close();
  rmSync(scratch, { recursive: true, force: true });
});

test("is served under the directory's name, without the hub", async () => {
  await deployment.up();
  const answer = await callHttp(`${deployment.endpoint}/v1/models`, {
    timeoutMs: 10_000,
    signal: new AbortController().signal,
  });
  expect(JSON.parse(answer.text).data.map(({ id }: { id: string }) => id)).toEqual(["Qwen-für-alle=8B"]);
});
