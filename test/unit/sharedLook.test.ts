/** An update goes by what its own preview has seen. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulumiProcess, sharedLook } from "../../components/sharedLook";
import { startTime } from "../../lib/processes";

let state = "";
const pulumi = { pid: process.pid, startTime: startTime(process.pid) ?? "" };
const preview = { isPreview: true, pulumi };
const update = { isPreview: false, pulumi };
const QUESTION = { prefix: "p-", infra: ["slurm"] };

/** A look whose answer is another one each time. */
function looks(): () => Promise<{ look: number }> {
  let count = 0;
  return () => Promise.resolve({ look: ++count });
}

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "look-"));
  vi.stubEnv("DYNAMO_SKY_STATE", state);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  rmSync(state, { recursive: true });
});

describe("what a preview has seen", () => {
  test("is for the update of the same pulumi, once, and for nobody else to read", async () => {
    const look = looks();
    const shown = await sharedLook(QUESTION, preview, look);
    const [file = ""] = readdirSync(join(state, "looks"));
    expect(statSync(join(state, "looks", file)).mode & 0o777).toBe(0o600);
    expect(await sharedLook(QUESTION, update, look)).toEqual(shown);
    expect((await sharedLook(QUESTION, update, look)).seen).toEqual({ look: 2 });
    expect(readdirSync(join(state, "looks"))).toEqual([]);
  });

  test.each([
    ["to another question", { ...QUESTION, infra: ["aws"] }, update, 0],
    ["for another pulumi", QUESTION, { isPreview: false, pulumi: { ...pulumi, startTime: "1" } }, 0],
    ["without a pulumi", QUESTION, { isPreview: false, pulumi: undefined }, 0],
    ["for another preview", QUESTION, preview, 0],
    ["a minute later", QUESTION, update, 61],
  ] as const)("is no answer %s", async (_, question, by, seconds) => {
    const look = looks();
    await sharedLook(QUESTION, preview, look);
    vi.useFakeTimers({ now: Date.now() + seconds * 1000, toFake: ["Date"] });
    expect((await sharedLook(question, by, look)).seen).toEqual({ look: 2 });
  });

  test("is not believed when it cannot be read, and goes with its pulumi", async () => {
    const look = looks();
    await sharedLook(QUESTION, preview, look);
    const [file = ""] = readdirSync(join(state, "looks"));
    writeFileSync(join(state, "looks", file), "{");
    writeFileSync(join(state, "looks", `${2 ** 30}-1.json`), "{}");
    expect((await sharedLook(QUESTION, update, look)).seen).toEqual({ look: 2 });
    await sharedLook(QUESTION, preview, look);
    expect(readdirSync(join(state, "looks"))).toEqual([file]);
  });
});

test("the running pulumi is found over its language host", async () => {
  expect(pulumiProcess()).toBeUndefined();
  const named = join(state, "pulumi");
  symlinkSync(process.execPath, named);
  const host = `console.log(require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"]).pid); setInterval(() => 0, 1000);`;
  const child = spawn(named, ["-e", host], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [text] = (await once(child.stdout, "data")) as [Buffer];
    expect(pulumiProcess(Number(String(text)))).toEqual({
      pid: child.pid,
      startTime: startTime(child.pid ?? 0),
    });
  } finally {
    process.kill(-(child.pid ?? 0), "SIGKILL");
  }
});
