/** Failing commands on the real engine: messages, remaining state, and repair. */
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { operationsOn, type RunResult, TestStack } from "./testStack";

let stack: TestStack;

beforeAll(async () => {
  stack = await TestStack.create();
});

afterAll(() => {
  stack?.remove();
});

const note = (text: string) => `echo "${text}" >> '${stack.directory}/log'`;

function errorsOf(result: RunResult, name: string): string[] {
  return result.logs
    .filter((line) => line.name === name && line.severity === "error")
    .map(({ text }) => text);
}

const failingToCreate = async () => {
  new local.Command("printing", {
    create: 'echo out; echo "e\'rr" >&2\n\texit 3',
    delete: note("deleted what was never made"),
  });
  new local.Command("silent", { create: "echo not logged; exit 4", logging: "none" });
  new local.Command("quoted", { create: "exit 1 # é\u0001\u2028😀\\ \u00a0" });
  new local.Command("killed", { create: "kill -9 $$" });
  new local.Command("longEnvironment", { create: "true", environment: { A: "x".repeat(200_000) } });
  new local.Command("nul", { create: "true", environment: { SECRET: pulumi.secret("s3cret\0") } });
  const line = "y".repeat(99);
  new local.Command("much", {
    create: `i=0; while [ $i -lt 5000 ]; do echo ${line}; i=$((i+1)); done; exit 1`,
    logging: "none",
  });
  const good = new local.Command("good", { create: "echo good", delete: note("good deleted") });
  const bad = new local.Command("bad", { create: "exit 1" });
  new local.Command("afterGood", { create: note("afterGood made") }, { dependsOn: good });
  new local.Command("afterBad", { create: note("afterBad made") }, { dependsOn: bad });
};

describe("a command that fails to create", () => {
  let result: RunResult;
  beforeAll(async () => {
    result = await stack.up(failingToCreate, { continueOnError: true });
  });

  it.each([
    ["printing", 'exit status 3: running "echo out; echo \\"e\'rr\\" >&2\\n\\texit 3":\n'],
    ["silent", 'exit status 4: running "echo not logged; exit 4":\nnot logged\n'],
    ["quoted", 'exit status 1: running "exit 1 # é\\x01\\u2028😀\\\\ \\u00a0":\n'],
    ["killed", 'signal: killed: running "kill -9 $$":\n'],
    ["longEnvironment", 'fork/exec /bin/sh: argument list too long: running "true":\n'],
    ["nul", 'exec: environment variable contains NUL: running "true":\n'],
  ])("%s: tells why, the command's text and all that it printed", (name, message) => {
    const [error, ...more] = errorsOf(result, name);
    expect(more).toEqual([]);
    expect(error?.startsWith(message)).toBe(true);
  });

  it("prints both streams, however long", () => {
    const [printed = ""] = errorsOf(result, "printing");
    expect(printed.split("\n").slice(1).filter(Boolean).toSorted()).toEqual(["e'rr", "out"]);
    const [much = ""] = errorsOf(result, "much");
    expect(much.match(/y{99}/g)).toHaveLength(5_001);
  });

  it("leaves no state of it, and does what does not depend on it", async () => {
    expect(result.failure).toBeDefined();
    expect([...(await stack.state()).keys()].toSorted()).toEqual(["afterGood", "good"]);
    expect(stack.lines("log")).toEqual(["afterGood made"]);
  });
});

describe("a command that fails to change", () => {
  it("keeps the state from before, so that the next update tries again", async () => {
    const version = (create: string) => async () => {
      new local.Command("changing", { create });
    };
    expect((await stack.up(version("echo first"))).failure).toBeUndefined();
    const before = (await stack.state()).get("changing");
    const failed = await stack.up(version("echo half; exit 5"));
    expect(errorsOf(failed, "changing").join()).toContain("exit status 5");
    expect(await stack.state().then((state) => state.get("changing"))).toMatchObject({
      id: before?.id,
      inputs: before?.inputs,
      outputs: before?.outputs,
    });
    const repaired = await stack.up(version("echo $PULUMI_COMMAND_STDOUT again"));
    expect(operationsOn(repaired, "changing")).toEqual(["update"]);
    expect((await stack.state()).get("changing")?.outputs).toMatchObject({ stdout: "first again" });
  });

  it("never deleted what was never made", () => {
    expect(stack.lines("log")).toEqual(["afterGood made", "good deleted"]);
  });
});

describe("a command that fails to delete", () => {
  it("stays in the state until its delete succeeds", async () => {
    const made = await stack.up(async () => {
      // Succeeds the second time.
      new local.Command("stubborn", {
        create: "true",
        delete: `echo trying; if mkdir '${stack.directory}/tried'; then exit 6; fi`,
      });
      new local.Command("other", { create: "true" });
    });
    expect(made.failure).toBeUndefined();
    const first = await stack.destroy({ continueOnError: true });
    expect(errorsOf(first, "stubborn").join()).toContain('exit status 6: running "echo trying; if mkdir ');
    expect([...(await stack.state()).keys()]).toEqual(["stubborn"]);
    expect((await stack.destroy()).failure).toBeUndefined();
    expect(await stack.state()).toEqual(new Map());
  });
});
