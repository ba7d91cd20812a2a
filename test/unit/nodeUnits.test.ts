/**
 * Units of a node, changed by its agent, with a stand-in for supervisor: what cannot be done is said, and can
 * be repeated.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  beginUnit,
  callFromNode,
  changeUnits,
  finishUnit,
  keptRollout,
  pendingChange,
  stopUnits,
  unitsState,
} from "../../lib/nodeUnits";
import { Progress } from "../../lib/progress";
import type { VerbContext } from "../../lib/verb";
import { FakeSupervisor } from "./fakeSupervisor";

const PROGRAM = { name: "decode-0", role: "decode", stopSeconds: 3 };
const BAD_NAME = 10;

const context: VerbContext = {
  progress: new Progress(() => undefined),
  signal: new AbortController().signal,
  result: () => undefined,
};
let node: FakeSupervisor;

const shell = () => ({
  command: "python3",
  args: (words: readonly string[]) => words,
  directory: node.directory,
});
const remove = () => changeUnits(shell(), { remove: { unit: "decode-0" } }, () => "", context);
const unit = () => node.unit("decode-0");

beforeEach(() => {
  node = new FakeSupervisor();
  node.put(PROGRAM);
});
afterEach(() => node.close());

test("nothing is changed where no supervisor answers, and what should run is told", async () => {
  expect(await remove()).toBe(false);
  expect(existsSync(unit())).toBe(true);
  expect(await stopUnits(shell(), [], context.signal)).toBe(0);
  const { supervisor: answers, programs } = await unitsState(shell(), 0, context.signal);
  expect(answers).toBe(false);
  expect(programs).toEqual([
    { name: "decode-0", unit: "decode-0", state: "MISSING", pid: 0, unfinished: false, owner: null },
  ]);
});

test("who has begun a change is told until it is finished, and a mark of nobody is a change all the same", async () => {
  const owner = { pid: 12, startTime: "34" };
  const told = async () => {
    const { programs } = await unitsState(shell(), 0, context.signal);
    return programs.map(({ unfinished, owner: by }) => ({ unfinished, by }));
  };
  await beginUnit(shell(), "decode-0", owner, context.signal);
  expect(await told()).toEqual([{ unfinished: true, by: owner }]);
  await finishUnit(shell(), "decode-0", context.signal);
  expect(await told()).toEqual([{ unfinished: false, by: null }]);
  writeFileSync(join(node.directory, "run", "decode-0.unfinished"), "");
  expect(await told()).toEqual([{ unfinished: true, by: null }]);
  await finishUnit(shell(), "decode-0", context.signal);
  await finishUnit(shell(), "decode-0", context.signal);
}, 60_000);

test("what a unit was applied with, and how units are changed, is kept", async () => {
  await node.listen();
  const rollout = { pools: [], model: "x" };
  expect(await keptRollout(shell(), context.signal)).toBeNull();
  const keep = { units: ["decode-0"], rollout };
  expect(await changeUnits(shell(), { keep }, () => "", context)).toBe(true);
  expect(await keptRollout(shell(), context.signal)).toEqual(rollout);
  writeFileSync(join(node.directory, "run", "decode-0.generation.json"), JSON.stringify("former"));
  expect(await pendingChange(shell(), "decode-0", [], context.signal)).toEqual({
    changed: ["decode-0"],
    generation: "former",
  });
  await remove();
  const { generation } = await pendingChange(shell(), "decode-0", [], context.signal);
  expect(generation).toBeNull();
  expect(await keptRollout(shell(), context.signal)).toEqual(rollout);
}, 60_000);

test("a node asks for others, with its own addresses", async () => {
  writeFileSync(join(node.directory, "run", "addresses.json"), JSON.stringify({ NODE_IP: "127.0.0.1" }));
  const server = createServer(async (request, response) => {
    response.statusCode = request.method === "POST" ? 400 : 200;
    response.end(`${request.url} ${await text(request)}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const asked = (body: string | undefined) =>
    callFromNode(shell(), `http://{{NODE_IP}}:${port}/live`, body, 20, context.signal);
  try {
    expect(await asked(undefined)).toEqual({ status: 200, text: "/live " });
    expect(await asked('{"a":1}')).toEqual({ status: 400, text: '/live {"a":1}' });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  expect(await asked(undefined)).toEqual({ error: expect.stringContaining("refused") });
}, 60_000);

test("a unit is forgotten only when its programs are stopped, so that a removal can be repeated", async () => {
  await node.listen();
  node.refusal = 30;
  await expect(remove()).rejects.toThrow("BECAUSE: x");
  expect(existsSync(unit())).toBe(true);
  node.refusal = undefined;
  node.calls = [];
  expect(await remove()).toBe(true);
  expect(node.calls).toEqual(["stopProcessGroup", "removeProcessGroup", "reloadConfig"]);
  expect(existsSync(unit())).toBe(false);
});

test("a program that supervisor does not know is stopped already", async () => {
  await node.listen();
  node.refusal = BAD_NAME;
  expect(await remove()).toBe(true);
  expect(existsSync(unit())).toBe(false);
});

test("the programs of a role that others need stay, and how long they may take is told", async () => {
  await node.listen();
  expect(await stopUnits(shell(), ["decode"], context.signal)).toBe(3);
  expect(node.calls).toEqual([]);
  await stopUnits(shell(), ["etcd"], context.signal);
  expect(node.calls).toEqual(["stopProcessGroup", "removeProcessGroup"]);
});

test("weights are fetched before a unit is changed, once a node, and why they cannot be is said", async () => {
  await node.listen();
  const script = join(node.directory, "fetch_model.py");
  const calls = join(node.directory, "calls");
  const apply = (...models: readonly string[]) => {
    const weights = { models, seconds: 60 };
    const programs: readonly object[] = [];
    return changeUnits(
      shell(),
      { apply: { unit: "none", programs, timeoutSeconds: 60, weights } },
      () => "",
      context,
    );
  };
  writeFileSync(script, `import sys\nprint(*sys.argv[2:], file=open(${JSON.stringify(calls)}, "a"))\n`);
  await apply("a/b", "c/d@main");
  await Promise.all([apply("a/b"), apply("a/b", "e/f"), apply("e/f")]);
  expect(readFileSync(calls, "utf8")).toBe("a/b c/d@main\ne/f\n");
  writeFileSync(script, 'raise SystemExit("GatedRepoError: no access to g/h")\n');
  const wanted = { unit: "decode-0", programs: [PROGRAM], timeoutSeconds: 60 };
  node.calls = [];
  const gated = { ...wanted, weights: { models: ["g/h"], seconds: 60 } };
  await expect(changeUnits(shell(), { apply: gated }, () => "its log", context)).rejects.toThrow(
    /GatedRepoError: no access to g\/h[\s\S]*waited for the weights of its model/,
  );
  // What ran runs on.
  expect(node.calls).toEqual([]);
});

test("an interpreter that is gone is said", async () => {
  const gone = { ...shell(), command: join(node.directory, "python") };
  await expect(unitsState(gone, 0, context.signal)).rejects.toThrow(/ENOENT/);
});
