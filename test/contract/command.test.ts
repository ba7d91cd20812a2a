/**
 * What `command:local:Command` promises, one stack's life told in order: preview, create, nothing, change,
 * refresh, destroy. Each test looks at what one of these runs of the engine left.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandProgram } from "./commandProgram";
import {
  logOf,
  operationsOn,
  type RunResult,
  type StateResource,
  secretInState,
  stepOf,
  TestStack,
  UNKNOWN,
} from "./testStack";

let stack: TestStack;

beforeAll(async () => {
  stack = await TestStack.create();
});

afterAll(() => {
  stack?.remove();
});

const first: PulumiFn = () => commandProgram(stack.directory, "first")();
const second: PulumiFn = () => commandProgram(stack.directory, "second")();

function outputsIn(state: Map<string, StateResource>, name: string): Record<string, unknown> {
  const outputs = state.get(name)?.outputs;
  if (outputs === undefined) throw new Error(`'${name}' is not in the state`);
  return outputs;
}

describe("a preview of new resources", () => {
  let result: RunResult;
  beforeAll(async () => {
    result = await stack.preview(first);
  });

  it("succeeds and runs no command", () => {
    expect(result.failure).toBeUndefined();
    expect(new Set(result.steps.map(({ op }) => op))).toEqual(new Set(["create"]));
    expect(existsSync(join(stack.directory, "log"))).toBe(false);
  });

  it("shows the inputs, and the outputs as not known yet", () => {
    expect(stepOf(result, "create", "environment").outputs).toEqual({
      create: 'echo "$OWN $CONTRACT_INHERITED"',
      environment: { OWN: "own" },
      stdout: UNKNOWN,
      stderr: UNKNOWN,
    });
  });

  it("keeps known and unknown inputs apart", () => {
    expect(stepOf(result, "create", "chainSecond").outputs).toMatchObject({
      create: UNKNOWN,
      environment: { FROM: UNKNOWN, KNOWN: "known" },
      stdin: UNKNOWN,
      stdout: UNKNOWN,
    });
  });
});

describe("creating resources", () => {
  let result: RunResult;
  let state: Map<string, StateResource>;
  beforeAll(async () => {
    result = await stack.up(first);
    state = await stack.state();
  });

  it("succeeds, with ids that begin with the resources' names", () => {
    expect(result.failure).toBeUndefined();
    expect(state.get("trimmed")?.id).toMatch(/^trimmed[0-9a-f]{8}$/);
    expect(state.get("a::b $x/é")?.id).toMatch(/^a::b \$x\/é[0-9a-f]{8}$/);
  });

  it.each([
    ["trimmed", "a\n", "no end"],
    ["stdin", "from stdin", ""],
    ["stdinByName", "by name", ""],
    ["unread", "", ""],
    ["noStdin", "0", ""],
    ["devices", "one\ntwo", "two"],
    ["nothing", "", ""],
    ["pipefail", "", ""],
    ["chainSecond", "got first", ""],
  ])("%s: stdout and stderr without one last newline", (name, stdout, stderr) => {
    expect(outputsIn(state, name)).toMatchObject({ stdout, stderr });
  });

  it("adds to the inherited environment", () => {
    expect(outputsIn(state, "environment")["stdout"]).toBe("own inherited");
  });

  it("keeps the inputs in the state as they were given", () => {
    expect(state.get("environment")?.inputs).toEqual({
      create: 'echo "$OWN $CONTRACT_INHERITED"',
      environment: { OWN: "own" },
    });
  });

  it.each([
    ["logs-stdout", ["out"]],
    ["logs-stderr", ["err"]],
    ["logs-stdoutAndStderr", ["err", "out"]],
    ["logs-none", []],
    ["trimmed", ["a", "", "no end"].toSorted()],
  ])("%s: logs the streams that were asked for", (name, lines) => {
    expect(logOf(result, name).toSorted()).toEqual(lines.toSorted());
  });

  it("logs line by line against the resource, and only for as long as it runs", () => {
    expect(logOf(result, "lines")).toEqual(["a", "b\rc", "", "d"]);
    expect(logOf(result, "a::b $x/é")).toEqual(["named"]);
    expect(result.logs.filter(({ name, ephemeral }) => name === "lines" && !ephemeral)).toEqual([]);
    expect(outputsIn(state, "logs-none")).toMatchObject({ stdout: "out", stderr: "err" });
  });

  it("keeps secret inputs secret, one by one, and does not make outputs secret by itself", () => {
    expect(outputsIn(state, "secretEntry")).toEqual({
      create: "echo $S | wc -c",
      environment: { S: secretInState("s3cret-one"), OPEN: "open" },
      stdout: "11",
      stderr: "",
    });
    expect(outputsIn(state, "secretMap")).toMatchObject({
      environment: secretInState({ S: "shown by the command" }),
      stdout: "shown by the command",
    });
    expect(outputsIn(state, "secretCreate")["create"]).toEqual(secretInState("true s3cret-one"));
    expect(outputsIn(state, "secretStdin")).toMatchObject({
      stdin: secretInState("s3cret-one"),
      stdout: secretInState("s3cret-one"),
      stderr: "",
    });
    expect(stack.rawState()).not.toContain("s3cret");
  });
});

describe("updating without a change", () => {
  it("runs no command", async () => {
    const before = stack.lines("log");
    const result = await stack.up(first);
    expect(result.failure).toBeUndefined();
    expect(new Set(result.steps.map(({ op }) => op))).toEqual(new Set(["same"]));
    expect(stack.lines("log")).toEqual(before);
    expect(stack.lines("replaced").filter((line) => !line.startsWith("create"))).toEqual([]);
  });
});

describe("a preview of changes", () => {
  let result: RunResult;
  let before: string[];
  beforeAll(async () => {
    before = stack.lines("log");
    result = await stack.preview(second);
  });

  it.each([
    ["update", ["environment.A: update"]],
    ["createAgain", ["environment.A: update"]],
    ["deleteOnly", ["delete: update"]],
    ["ignoredOther", ["environment.B: update"]],
    ["added", ["stdin: add"]],
    ["secretEntry", ["environment.S: update"]],
    ["chainFirst", ["create: update"]],
    ["chainSecond", ["create: update", "environment.FROM: update", "stdin: update"]],
  ])("%s: any other changed input is an update", (name, changes) => {
    expect(operationsOn(result, name)).toEqual(["update"]);
    expect(stepOf(result, "update", name).changes).toEqual(changes);
  });

  it.each([
    ["trigger", ["triggers[0]: update-replace"]],
    ["deepTrigger", ["triggers[1].deep[0]: update-replace"]],
    ["triggerGone", ["delete: update", "triggers: delete-replace"]],
    ["triggerCame", ["delete: update", "triggers: add-replace"]],
  ])("%s: changed triggers are a replacement", (name, changes) => {
    expect(operationsOn(result, name).toSorted()).toEqual([
      "create-replacement",
      "delete-replaced",
      "replace",
    ]);
    expect(stepOf(result, "replace", name).changes).toEqual(expect.arrayContaining(changes));
  });

  it("leaves ignored changes alone", () => {
    expect(operationsOn(result, "ignored")).toEqual(["same"]);
  });

  it("knows no output of what will change, and runs nothing", () => {
    expect(stepOf(result, "update", "update").outputs).toMatchObject({
      environment: { A: "2", B: "b" },
      stdout: UNKNOWN,
      stderr: UNKNOWN,
    });
    // A new output counts as unchanged: the preview shows the old ones.
    expect(stepOf(result, "update", "added").outputs).toMatchObject({ stdin: "new", stdout: "", stderr: "" });
    expect(stepOf(result, "update", "chainSecond").outputs).toMatchObject({
      create: UNKNOWN,
      environment: { FROM: UNKNOWN, KNOWN: "known" },
      stdout: UNKNOWN,
    });
    expect(stack.lines("log")).toEqual(before);
  });
});

describe("changing resources", () => {
  let result: RunResult;
  let state: Map<string, StateResource>;
  beforeAll(async () => {
    result = await stack.up(second);
    state = await stack.state();
  });

  it("runs `create` again, with what was printed before in its environment", () => {
    expect(result.failure).toBeUndefined();
    expect(stack.lines("log")).toContain("update of 2");
    expect(outputsIn(state, "update")).toMatchObject({ stdout: "made|err", stderr: "" });
  });

  it("runs it once for one change", () => {
    expect(stack.lines("log").filter((line) => line.startsWith("createAgain"))).toEqual([
      "createAgain 1",
      "createAgain 2",
    ]);
    expect(outputsIn(state, "createAgain")["stdout"]).toBe("||");
  });

  it("does not pass on what was printed when told not to", () => {
    expect(outputsIn(state, "noPrevious")["stdout"]).toBe("|");
  });

  it("runs `create` although only `delete` has changed", () => {
    expect(stack.lines("log").filter((line) => line === "deleteOnly ran")).toHaveLength(2);
  });

  it("ignores changes of one entry of the environment, and no other", () => {
    expect(stack.lines("log").filter((line) => line === "ignored ran")).toHaveLength(1);
    expect(outputsIn(state, "ignored")["environment"]).toEqual({ A: "1", B: "b" });
    expect(outputsIn(state, "ignoredOther")).toMatchObject({ stdout: "1second" });
  });

  it("replaces by creating first, or by deleting first when told to", () => {
    const linesOf = (name: string) => stack.lines("replaced").filter((line) => line.split(" ")[1] === name);
    for (const name of ["trigger", "triggerGone", "triggerCame"]) {
      expect(linesOf(name)).toEqual([`create ${name}`, `create ${name}`, `delete ${name} made by first`]);
    }
    expect(linesOf("deepTrigger")).toEqual([
      "create deepTrigger",
      "delete deepTrigger made by first",
      "create deepTrigger",
    ]);
  });

  it("keeps changed secrets secret", () => {
    expect(outputsIn(state, "secretEntry")["environment"]).toEqual({
      S: secretInState("s3cret-two"),
      OPEN: "open",
    });
    expect(stack.rawState()).not.toContain("s3cret");
  });

  it("passes new outputs on", () => {
    expect(outputsIn(state, "chainSecond")["stdout"]).toBe("got second");
    expect(result.outputs["chained"]?.value).toBe("got second");
  });
});

describe("refreshing", () => {
  it("finds nothing changed and runs nothing", async () => {
    const before = stack.lines("log");
    const result = await stack.refresh();
    expect(result.failure).toBeUndefined();
    expect(new Set(result.steps.map(({ op }) => op))).toEqual(new Set(["refresh"]));
    expect(outputsIn(await stack.state(), "update")).toMatchObject({ stdout: "made|err", stderr: "" });
    expect(stack.lines("log")).toEqual(before);
  });
});

describe("destroying", () => {
  it("runs `delete` as the state has it, with the last output in its environment", async () => {
    const before = stack.lines("log").length;
    const result = await stack.destroy();
    expect(result.failure).toBeUndefined();
    expect(stack.lines("log").slice(before).toSorted()).toEqual([
      "delete of update: made|err 2",
      "new delete",
      "nothing deleted",
    ]);
    expect(await stack.state()).toEqual(new Map());
  });
});
