/** What the stack's runner reads in the events of an operation, and prints of the CLI's output. */
import { DiffKind, type EngineEvent, type StepEventMetadata } from "@pulumi/pulumi/automation";
import { describe, expect, it } from "vitest";
import { eventsIn, observedIn, plain } from "../../cli/pulumi/events";
import { withoutNotices } from "../../cli/pulumi/notices";
import { masked } from "../../cli/pulumi/secrets";

const urn = "urn:pulumi:dev::p::dynamo:index:Workers$command:local:Command::dynamo-decode-1";

function metadata(op: StepEventMetadata["op"], more: Partial<StepEventMetadata> = {}): StepEventMetadata {
  const state = { type: "command:local:Command", urn, custom: true, id: "1", parent: "", provider: "" };
  const inputs = { environment: { A: "old" }, stdin: "x".repeat(500) };
  return {
    op,
    urn,
    type: "command:local:Command",
    provider: "",
    old: { ...state, inputs, outputs: {} },
    new: { ...state, inputs: { environment: { A: "new" }, stdin: "y".repeat(500) }, outputs: {} },
    ...more,
  };
}

function observed(planning: boolean, events: Partial<EngineEvent>[]) {
  return observedIn(
    events.map((event) => ({ sequence: 0, timestamp: 0, ...event })),
    planning,
  );
}

function diagnostic(severity: string, message: string, of: string | undefined = urn): Partial<EngineEvent> {
  const event = { severity: severity as "info", message, color: "never" };
  return { diagnosticEvent: of === undefined ? event : { ...event, urn: of } };
}

describe("the events of an operation", () => {
  const update = metadata("update", {
    detailedDiff: {
      "environment.A": { diffKind: DiffKind.update, inputDiff: true },
      stdin: { diffKind: DiffKind.update, inputDiff: true },
    },
  });
  const step = {
    urn,
    name: "dynamo-decode-1",
    type: "command:local:Command",
    op: "update",
    changes: ["environment.A: old → new", "stdin"],
  };

  it("tell what a preview would change, with short values only", () => {
    const { steps } = observed(true, [
      { resourcePreEvent: { metadata: update } },
      { resOutputsEvent: { metadata: update } },
    ]);
    expect(steps).toEqual([step]);
  });

  it("tell what was done to its end, and not what was begun", () => {
    const begun = [{ resourcePreEvent: { metadata: update } }];
    expect(observed(false, begun).steps).toEqual([]);
    expect(observed(false, [...begun, { resOutputsEvent: { metadata: update } }]).steps).toEqual([step]);
  });

  it("say nothing of what stays the same, of components and of providers", () => {
    const component = metadata("create");
    const { steps } = observed(true, [
      { resourcePreEvent: { metadata: metadata("same") } },
      { resourcePreEvent: { metadata: metadata("create", { type: "pulumi:providers:command" }) } },
      { resourcePreEvent: { metadata: { ...component, new: { ...component.new, custom: false } as never } } },
    ]);
    expect(steps).toEqual([]);
  });

  it("keep the failure of a resource, its first line and its last ones", () => {
    const text = Array.from({ length: 100 }, (_, i) => `line ${i}`).join("\n");
    const { failures, mistake } = observed(false, [
      { resOpFailedEvent: { metadata: metadata("create"), status: 0, steps: 0 } },
      diagnostic("error", text),
      diagnostic("error", "update failed", undefined),
    ]);
    expect(failures).toHaveLength(1);
    const failure = failures[0]?.split("\n") ?? [];
    expect([failure[0], failure[1], failure.at(-1)]).toEqual([
      "dynamo-decode-1: line 0",
      "(70 lines left out)",
      "line 99",
    ]);
    expect(mistake).toBeUndefined();
  });

  it("leave out the command of one that failed, where that says why itself", () => {
    const command = 'exit status 1: running "a/bin/dynamo-sky ready":';
    const failed = [{ resOpFailedEvent: { metadata: metadata("create"), status: 0, steps: 0 } }];
    const failuresOf = (text: string) => observed(false, [...failed, diagnostic("error", text)]).failures;
    expect(failuresOf(`${command}\nIt has no task.\nNext: up`)).toEqual([
      "dynamo-decode-1: It has no task.\nNext: up",
    ]);
    expect(failuresOf(command)).toEqual([`dynamo-decode-1: ${command}`]);
  });

  it("tell a mistake of the user's from a fault of the program", () => {
    const stack = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev";
    expect(observed(true, [diagnostic("error", "word: is wrong\n", stack)])).toMatchObject({
      ...{ mistake: "word: is wrong", failures: ["word: is wrong"] },
    });
    const fault = "Running program 'x' failed with an unhandled exception:\nError: y";
    expect(observed(true, [diagnostic("error", fault, stack)])).toMatchObject({
      ...{ mistake: undefined, failures: [fault] },
    });
    expect(observed(true, []).mistake).toBeUndefined();
  });

  it("tell what policies found, and which of it is a failure", () => {
    const policy = (level: string): Partial<EngineEvent> => ({
      policyEvent: {
        ...{ resourceUrn: urn, policyName: "gpu-ceiling", policyPackName: "p" },
        // The SDK's types lack advisory ones.
        enforcementLevel: level as "mandatory",
        ...{ policyPackVersion: "1", policyPackVersionTag: "1", color: "never" },
        message: "What it is about.\n<{%fg 1%}>40 GPUs<{%reset%}>\n",
      },
    });
    const { violations, failures } = observed(true, [policy("mandatory"), policy("advisory")]);
    expect(violations.map(({ level, message }) => `${level} ${message}`)).toEqual([
      "mandatory 40 GPUs",
      "advisory 40 GPUs",
    ]);
    expect(failures).toEqual(["policy gpu-ceiling (mandatory): 40 GPUs"]);
  });

  it("never show a secret", () => {
    const secret = {
      "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
      ciphertext: "v1:abc",
    };
    expect(masked({ a: [secret], b: 1 })).toEqual({ a: ["[secret]"], b: 1 });
    const stack = metadata("create", { type: "pulumi:pulumi:Stack" });
    const outputs = { apiKey: secret, model: "m" };
    const { outputs: shown } = observed(false, [
      { resOutputsEvent: { metadata: { ...stack, new: { ...stack.new, outputs } as never } } },
    ]);
    expect(shown).toEqual({ apiKey: "[secret]", model: "m" });
  });

  it("are read from a log, of which the last line may be half written", () => {
    expect(eventsIn('{"sequence":1}\n\n{"sequence":2}\n{"seq')).toEqual([{ sequence: 1 }, { sequence: 2 }]);
  });

  it("lose the engine's colour marks", () => {
    expect(plain("<{%fg 1%}>error: <{%reset%}>bad\n")).toBe("error: bad");
  });
});

describe("what the CLI prints", () => {
  const notice = "warning: using pulumi-resource-random from $PATH at /bin/pulumi-resource-random";
  const printed = (lines: readonly string[], options = {}): string[] => {
    const kept: string[] = [];
    const print = withoutNotices((line) => kept.push(line), options);
    for (const line of lines) print(line);
    return kept;
  };

  it("has no notices about plugins, no titles above nothing, and no count of them", () => {
    const stack = "    pulumi:pulumi:Stack dynamo-sky-dev";
    const notices = [
      `${stack}  ${notice}`,
      `${stack}  5 warnings`,
      "Diagnostics:",
      "  pulumi:pulumi:Stack (dynamo-sky-dev):",
      `    ${notice}`,
      "",
      "Resources:",
    ];
    expect(printed(notices)).toEqual([stack, "Resources:"]);
  });

  it("keeps one empty line between its parts where that is asked for", () => {
    const lines = ["", "Diagnostics:", `    ${notice}`, "", "Resources:", "    15 unchanged", ""];
    expect(printed(lines, { keepBlank: true })).toEqual(["", "Resources:", "    15 unchanged"]);
  });

  it("does not advise to remove the stack with its file", () => {
    const done = ["Resources:", "    - 15 deleted"];
    const advice = [
      "The resources in the stack have been deleted, but the history and configuration associated with the stack are still maintained. ",
      "If you want to remove the stack completely, run `pulumi stack rm dev`.",
    ];
    expect(printed([...done, ...advice])).toEqual(done);
  });

  it("has every other message below its resource", () => {
    const title = "Diagnostics:";
    const lease = "  command:local:Command (dynamo-main-lease):";
    const check = "  command:local:Command (dynamo-ready-check):";
    const stack = "  pulumi:pulumi:Stack (dynamo-sky-dev):";
    const lines = [
      title,
      lease,
      "    error: one",
      "    and more",
      check,
      `    ${notice}`,
      stack,
      `    ${notice}`,
      "    warning: two",
    ];
    expect(printed(lines)).toEqual([
      title,
      lease,
      "    error: one",
      "    and more",
      stack,
      "    warning: two",
    ]);
  });
});
