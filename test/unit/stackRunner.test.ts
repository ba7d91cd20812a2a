import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { DiffKind, type EngineEvent, type StepEventMetadata } from "@pulumi/pulumi/automation";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backendDirectory, resolveBackend, usesPassphrase } from "../../cli/pulumi/backend";
import { cliProblem } from "../../cli/pulumi/cli";
import { eventsIn, observedIn, plain } from "../../cli/pulumi/events";
import { withoutNotices } from "../../cli/pulumi/notices";
import { wrongPassphrase } from "../../cli/pulumi/passphrase";
import {
  checkStackName,
  hasEncryptionSettings,
  isWherePulumiLooks,
  readProject,
  stackFile,
  stacksWithFiles,
} from "../../cli/pulumi/project";
import { removeStaleLocks } from "../../cli/pulumi/staleLocks";
import { masked } from "../../cli/pulumi/steps";

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "runner-test-"));
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A project whose Pulumi.yaml sets no backend. */
const nowhere = { directory: "/project", backendUrl: undefined };

describe("the backend", () => {
  it("is this machine's own when nobody chose one, with a passphrase that is made once and private", async () => {
    const env = { PULUMI_HOME: scratch };
    const backend = await resolveBackend(env, scratch, nowhere);
    expect(backend).toEqual({
      url: `file://${scratch}/pulumi`,
      isOwn: true,
      env: {
        PULUMI_BACKEND_URL: `file://${scratch}/pulumi`,
        PULUMI_CONFIG_PASSPHRASE_FILE: join(scratch, "passphrase"),
      },
    });
    const passphrase = readFileSync(join(scratch, "passphrase"), "utf8");
    expect(passphrase).toMatch(/^[\w-]{43}$/);
    expect(statSync(join(scratch, "passphrase")).mode & 0o777).toBe(0o600);
    await resolveBackend(env, scratch, nowhere);
    expect(readFileSync(join(scratch, "passphrase"), "utf8")).toBe(passphrase);
  });

  it("leaves a passphrase that the user set", async () => {
    const env = { PULUMI_HOME: scratch, PULUMI_CONFIG_PASSPHRASE: "" };
    expect((await resolveBackend(env, scratch, nowhere)).env).toEqual({
      PULUMI_BACKEND_URL: `file://${scratch}/pulumi`,
    });
  });

  it.each([
    ["PULUMI_BACKEND_URL", { PULUMI_BACKEND_URL: "s3://bucket" }, undefined, "s3://bucket"],
    ["Pulumi.yaml", {}, "gs://bucket", "gs://bucket"],
    ["an access token", { PULUMI_ACCESS_TOKEN: "x" }, undefined, undefined],
  ])("is the user's, chosen by %s", async (_, env, backendUrl, url) => {
    expect(
      await resolveBackend({ PULUMI_HOME: scratch, ...env }, scratch, { ...nowhere, backendUrl }),
    ).toEqual({
      url,
      isOwn: false,
      env: {},
    });
  });

  it("is below the project's directory when its address is relative, wherever the CLI is started", async () => {
    const env = { PULUMI_HOME: scratch, PULUMI_BACKEND_URL: "file://./state?metadata=skip" };
    const url = "file:///project/state?metadata=skip";
    const backend = { url, isOwn: false, env: { PULUMI_BACKEND_URL: url } };
    expect(await resolveBackend(env, scratch, nowhere)).toEqual(backend);
  });

  it("is the one of `pulumi login`", async () => {
    writeFileSync(join(scratch, "credentials.json"), '{"current": "https://api.pulumi.com"}');
    expect((await resolveBackend({ PULUMI_HOME: scratch }, scratch, nowhere)).url).toBe(
      "https://api.pulumi.com",
    );
  });

  it("can be looked into when it is a directory, and needs a passphrase unless it is the service", () => {
    const at = (url: string | undefined) => ({ url, isOwn: false, env: {} });
    expect(backendDirectory(at("file:///var/state?metadata=skip"), {})).toBe("/var/state");
    expect(backendDirectory(at("file://~/state"), { HOME: "/home/u" })).toBe("/home/u/state");
    expect(backendDirectory(at("s3://bucket"), {})).toBeUndefined();
    expect(
      ["file:///x", "s3://b", "https://api.pulumi.com", undefined].map((url) => usesPassphrase(at(url))),
    ).toEqual([true, true, false, false]);
  });
});

describe("a passphrase", () => {
  // Made by the CLI with the passphrase "one".
  const salt = "v1:jWKMvEyhq5I=:v1:b/Lq0JbnLH1GpdG8:bUgh5fdZwzyzzEdbeu1RC5uecttzkQ==";
  const state = JSON.stringify({ checkpoint: { latest: { secrets_providers: { state: { salt } } } } });

  it.each([
    ["the stack's file", [`encryptionsalt: ${salt}\nconfig: {}\n`]],
    ["its state, where the file has none", ["config: {}\n", state]],
  ])("that is wrong is told with what to do, by %s", (_, texts) => {
    expect(wrongPassphrase("s", texts, { PULUMI_CONFIG_PASSPHRASE: "two" })).toMatch(
      /^PULUMI_CONFIG_PASSPHRASE is not the passphrase that stack s was made with, .*unset it/,
    );
    expect(wrongPassphrase("s", texts, { PULUMI_CONFIG_PASSPHRASE: "one" })).toBeUndefined();
  });

  it("in a file is told by its variable, and one that cannot be tried is not told of", () => {
    const file = join(scratch, "passphrase");
    writeFileSync(file, "two\n");
    const texts = [state];
    expect(wrongPassphrase("s", texts, { PULUMI_CONFIG_PASSPHRASE_FILE: file })).toMatch(
      /^PULUMI_CONFIG_PASSPHRASE_FILE is not/,
    );
    for (const unknown of [{}, { PULUMI_CONFIG_PASSPHRASE_FILE: join(scratch, "none") }])
      expect(wrongPassphrase("s", texts, unknown)).toBeUndefined();
    for (const broken of [[], ["{"], ["encryptionsalt: what\n"]])
      expect(wrongPassphrase("s", broken, { PULUMI_CONFIG_PASSPHRASE: "two" })).toBeUndefined();
  });
});

describe("locks of a file backend", () => {
  it("go with their attributes, those of the dead alone", () => {
    const locks = join(scratch, ".pulumi", "locks", "organization", "p", "s");
    mkdirSync(locks, { recursive: true });
    const lock = (name: string, pid: number) => {
      writeFileSync(join(locks, name), JSON.stringify({ pid, hostname: hostname(), username: "u" }));
      writeFileSync(join(locks, `${name}.attrs`), "{}");
    };
    lock("dead.json", 2 ** 30);
    lock("alive.json", 1);
    writeFileSync(join(locks, "gone.json.attrs"), "{}");
    // Process 1 is no pulumi; another machine's cannot be looked at.
    writeFileSync(join(locks, "alive.json"), JSON.stringify({ pid: 1, hostname: "another" }));
    const told: string[] = [];
    removeStaleLocks(scratch, "p", "s", (line) => told.push(line));
    expect(readdirSync(locks).toSorted()).toEqual(["alive.json", "alive.json.attrs"]);
    expect(told).toHaveLength(1);
  });
});

describe("the project", () => {
  it("is read from Pulumi.yaml", () => {
    writeFileSync(join(scratch, "Pulumi.yaml"), "name: one\nruntime: nodejs\nmain: src/main.ts\n");
    for (const stack of ["dev", "b.c", "a"]) writeFileSync(join(scratch, `Pulumi.${stack}.yaml`), "");
    expect(readProject(scratch)).toMatchObject({
      name: "one",
      backendUrl: undefined,
    });
    expect(stacksWithFiles(readProject(scratch))).toEqual(["a", "b.c", "dev"]);
  });

  it("has the user's stacks beside Pulumi.yaml, and those that it brings in examples/stacks", () => {
    const directory = join(scratch, "brought");
    const examples = join(directory, "examples/stacks");
    mkdirSync(examples, { recursive: true });
    writeFileSync(join(directory, "Pulumi.yaml"), "name: one\nruntime: nodejs\n");
    for (const stack of ["dev", "both"]) writeFileSync(join(directory, `Pulumi.${stack}.yaml`), "");
    for (const stack of ["both", "tp2"]) writeFileSync(join(examples, `Pulumi.${stack}.yaml`), "");
    const project = readProject(directory);
    expect(stacksWithFiles(project)).toEqual(["both", "dev", "tp2"]);
    const files = ["dev", "both", "org/one/tp2", "none"].map((stack) => stackFile(project, stack));
    expect(files).toEqual([
      join(directory, "Pulumi.dev.yaml"),
      join(directory, "Pulumi.both.yaml"),
      join(examples, "Pulumi.tp2.yaml"),
      undefined,
    ]);
    expect(files.map((file) => file && isWherePulumiLooks(project, file))).toEqual([
      true,
      true,
      false,
      undefined,
    ]);
  });

  it("must be there", () => {
    mkdirSync(join(scratch, "empty"));
    expect(() => readProject(join(scratch, "empty"))).toThrow(
      "has no Pulumi.yaml: name the project's directory with --cwd",
    );
  });

  it("names stacks as Pulumi does", () => {
    for (const name of ["dev", "organization/project/dev", "a_b-c.1"]) checkStackName(name);
    for (const name of ["", "a b", "../dev", "a/b/c/d", "x".repeat(101)]) {
      expect(() => checkStackName(name)).toThrow("is not a stack's name");
    }
  });
});

it("a stack's file says how secrets are encrypted, or it does not", () => {
  expect(["", "config: {}\n"].map(hasEncryptionSettings)).toEqual([false, false]);
  const saying = ["encryptionsalt: v1:x\n", "secretsprovider: awskms://x\n", "encryptedkey: x\n"];
  expect(saying.map(hasEncryptionSettings)).toEqual([true, true, true]);
});

describe("errors", () => {
  it("of the CLI lose their marks", () => {
    expect(cliProblem("code: 255\n stdout: \n stderr: error: incorrect passphrase\n")).toContain(
      "incorrect passphrase",
    );
    expect(cliProblem("noise\nerror: no stack named 'x' found\n")).toBe("no stack named 'x' found");
  });
});

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
  const printed = (lines: readonly string[]): string[] => {
    const kept: string[] = [];
    const print = withoutNotices((line) => kept.push(line));
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
