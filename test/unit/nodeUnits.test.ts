/**
 * Units of a node, changed by its agent, with a stand-in for supervisor: what cannot be done is said, and can
 * be repeated.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { beginUnit, changeUnits, finishUnit, stopUnits, unitsState } from "../../lib/nodeUnits";
import { Progress } from "../../lib/progress";
import { runtimeFiles } from "../../lib/runtimeFiles";
import type { VerbContext } from "../../lib/verb";

const PROGRAM = { name: "decode-0", role: "decode", stopSeconds: 3 };
const BAD_NAME = 10;
const fault = (code: number) => `<methodResponse><fault><value><struct>
<member><name>faultCode</name><value><int>${code}</int></value></member>
<member><name>faultString</name><value><string>BECAUSE: x</string></value></member></struct></value></fault></methodResponse>`;
const answer = (value: string) =>
  `<methodResponse><params><param><value>${value}</value></param></params></methodResponse>`;
const list = (...values: readonly string[]) =>
  `<array><data>${values.map((value) => `<value>${value}</value>`).join("")}</data></array>`;

const context: VerbContext = {
  progress: new Progress(() => undefined),
  signal: new AbortController().signal,
  result: () => undefined,
};
let directory: string;
let supervisor: Server | undefined;
let calls: string[];
/** What stopping a program is answered with. */
let refusal: number | undefined;

const shell = () => ({ command: "python3", args: (words: readonly string[]) => words, directory });
const remove = () => changeUnits(shell(), { remove: { unit: "decode-0" } }, () => "", context);
const unit = () => join(directory, "units", "decode-0");

function reply(method: string): string {
  if (method === "getState") return answer("<int>1</int>");
  if (method === "getAllProcessInfo") return answer(list());
  if (method === "reloadConfig") return answer(list(list(list(), list(), list("decode-0"))));
  return refusal === undefined ? answer(list()) : fault(refusal);
}

async function supervise(): Promise<void> {
  supervisor = createServer(async (request, response) => {
    const method = /supervisor\.(\w+)</.exec(await text(request))?.[1] ?? "";
    if (!method.startsWith("get")) calls.push(method);
    response.end(reply(method));
  });
  await new Promise<void>((resolve) => supervisor?.listen(join(directory, "supervisor.sock"), resolve));
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dsky-units-"));
  [calls, refusal] = [[], undefined];
  for (const [name, content] of Object.entries(runtimeFiles())) writeFileSync(join(directory, name), content);
  mkdirSync(unit(), { recursive: true });
  mkdirSync(join(directory, "run"));
  writeFileSync(join(unit(), "decode-0.json"), JSON.stringify(PROGRAM));
  writeFileSync(join(unit(), "decode-0.conf"), "");
});
afterEach(() => {
  supervisor?.close();
  supervisor = undefined;
  rmSync(directory, { recursive: true, force: true });
});

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
  writeFileSync(join(directory, "run", "decode-0.unfinished"), "");
  expect(await told()).toEqual([{ unfinished: true, by: null }]);
  await finishUnit(shell(), "decode-0", context.signal);
  await finishUnit(shell(), "decode-0", context.signal);
});

test("a unit is forgotten only when its programs are stopped, so that a removal can be repeated", async () => {
  await supervise();
  refusal = 30;
  await expect(remove()).rejects.toThrow("BECAUSE: x");
  expect(existsSync(unit())).toBe(true);
  refusal = undefined;
  calls = [];
  expect(await remove()).toBe(true);
  expect(calls).toEqual(["stopProcessGroup", "removeProcessGroup", "reloadConfig"]);
  expect(existsSync(unit())).toBe(false);
});

test("a program that supervisor does not know is stopped already", async () => {
  await supervise();
  refusal = BAD_NAME;
  expect(await remove()).toBe(true);
  expect(existsSync(unit())).toBe(false);
});

test("the programs of a role that others need stay, and how long they may take is told", async () => {
  await supervise();
  expect(await stopUnits(shell(), ["decode"], context.signal)).toBe(3);
  expect(calls).toEqual([]);
  await stopUnits(shell(), ["etcd"], context.signal);
  expect(calls).toEqual(["stopProcessGroup", "removeProcessGroup"]);
});

test("an interpreter that is gone is said", async () => {
  const gone = { ...shell(), command: join(directory, "python") };
  await expect(unitsState(gone, 0, context.signal)).rejects.toThrow(/ENOENT/);
});
