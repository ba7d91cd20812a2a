/** The stack runner on the real engine, with a tiny program and its own state. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { initStack } from "../../cli/pulumi/cli";
import { eventsIn, observedIn } from "../../cli/pulumi/events";
import { OperationFailed, openStack, UsageProblem } from "../../cli/pulumi/openStack";
import { readProject } from "../../cli/pulumi/project";
import { enginePath, locateTools, packageRoot } from "../../toolchain/index";
import { stackCommand } from "../tools";

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), "stack-test-"));
const project = join(scratch, "project");
const state = join(scratch, "state");
const stackFile = join(project, "Pulumi.dev.yaml");
const fixture = join(root, "test", "engine", "fixtures", "stack-program");
/** Removes the user's own settings. */
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PULUMI_")));

const pulumiCommand = locateTools().pulumi?.path ?? "pulumi";

/** Runs `npm run stack -- …` like its script. */
function stack(verb: string, ...args: string[]) {
  return stackWith({}, verb, ...args);
}

/** The same, with further variables. */
function stackWith(variables: Readonly<Record<string, string>>, verb: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    "node",
    [join(root, "toolchain", "bootstrap.mjs"), ...stackCommand(verb), ...args, "--cwd", project],
    {
      encoding: "utf8",
      env: { ...clean, DYNAMO_SKY_STATE: state, PULUMI_HOME: join(scratch, "home"), ...variables },
    },
  );
  return { status, stdout, stderr };
}

function configure(word: string): string {
  const text = `# A comment, which has to survive every operation.\nconfig:\n  stack-fixture:word: ${word}\n`;
  writeFileSync(stackFile, text);
  return text;
}

beforeAll(() => {
  cpSync(fixture, project, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

describe("the life of a stack", () => {
  it("previews without making anything", () => {
    const text = configure("plain");
    const { status, stdout, stderr } = stack("preview", "--stack", "dev");
    expect(stdout, stderr).toMatch(/\+ +command:local:Command hello create/);
    expect(stdout).toContain("+ 2 to create");
    expect(status).toBe(0);
    expect(readFileSync(stackFile, "utf8")).toBe(text);
  });

  it("is made in a directory of the user's choice, named from the project", () => {
    configure("plain");
    mkdirSync(join(project, "shared"));
    const team = { PULUMI_BACKEND_URL: "file://./shared", PULUMI_CONFIG_PASSPHRASE: "of a team" };
    const { status, stdout } = stackWith(team, "preview", "--stack", "dev");
    expect(stdout).toContain("+ 2 to create");
    expect(status).toBe(0);
    expect(existsSync(join(project, "shared", ".pulumi", "stacks", "stack-fixture", "dev.json"))).toBe(true);
  });

  it("is made without a change of its file, also where a bucket is found not to have it", async () => {
    const text = configure("plain");
    const bucket = join(scratch, "bucket");
    mkdirSync(bucket);
    const env = {
      PULUMI_BACKEND_URL: `file://${bucket}`,
      PULUMI_CONFIG_PASSPHRASE: "of a team",
      PULUMI_HOME: join(scratch, "home"),
    };
    const cli = { command: pulumiCommand, project: readProject(project), stack: "dev", env };
    await initStack(cli, true);
    expect(readFileSync(stackFile, "utf8")).toBe(text);
    const state = readFileSync(join(bucket, ".pulumi", "stacks", "stack-fixture", "dev.json"), "utf8");
    expect(JSON.parse(state).checkpoint.latest.secrets_providers.type).toBe("passphrase");
  });

  it("goes up with progress by resource, the lines of its command, and masked outputs", () => {
    const text = configure("plain");
    const { status, stdout, stderr } = stack("up", "--stack", "dev");
    expect(stdout, stderr).toMatch(/\+ +command:local:Command hello creating \(\d+s\) one$/m);
    expect(stdout).toMatch(/\+ +command:local:Command hello created \(\d+\.\d+s\)/);
    expect(stdout).toMatch(/answer: \[secret\]/);
    expect(stdout + stderr).not.toContain("hush-hush");
    // Of the stand-ins for plugins.
    expect(stdout + stderr).not.toContain("from $PATH");
    expect(status).toBe(0);
    expect(readFileSync(stackFile, "utf8")).toBe(text);
  });

  it("keeps state and passphrase private, and no secret readable in them", () => {
    expect(statSync(join(state, "passphrase")).mode & 0o777).toBe(0o600);
    expect(statSync(join(state, "pulumi")).mode & 0o777).toBe(0o700);
    const { status, stdout } = spawnSync("grep", ["-r", "hush-hush", state], { encoding: "utf8" });
    expect(stdout).toBe("");
    expect(status).toBe(1);
  });

  it("changes nothing the second time", () => {
    const { status, stdout } = stack("up", "--skip-preview", "--stack", "dev", "--json");
    expect(stdout).not.toContain("hush-hush");
    // With --json the CLI prints the events of the operation, one per line.
    expect(observedIn(eventsIn(stdout), false).changes).toEqual({ same: 2 });
    expect(status).toBe(0);
  });

  it("gives one output bare, a secret only when asked", () => {
    expect(stack("output", "word", "--stack", "dev")).toMatchObject({ status: 0, stdout: "plain\n" });
    expect(stack("output", "answer", "--stack", "dev").stdout).toBe("[secret]\n");
    expect(stack("output", "answer", "--stack", "dev", "--show-secrets").stdout).toBe("hush-hush\n");
    expect(JSON.parse(stack("output", "--json", "--stack", "dev").stdout)).toMatchObject({ list: [1, 2] });
    expect(stack("output", "nothing", "--stack", "dev").stderr).toContain(
      "current stack does not have output property 'nothing'",
    );
    expect(stack("stack", "output", "word", "--stack", "dev").stdout).toBe("plain\n");
  });

  it("says what an update changes", () => {
    configure("other");
    const { status, stdout } = stack("up", "--stack", "dev", "--diff");
    expect(stdout).toMatch(/WORD: "plain" => "other"/);
    expect(stdout).toContain("~ 1 updated");
    expect(status).toBe(0);
  });

  it("prints what the plain CLI needs for the same state, and the CLI works with it", () => {
    const { stdout } = stack("env", "--stack", "dev");
    expect(stdout.replaceAll("'", "")).toContain(`export PULUMI_BACKEND_URL=file://${state}/pulumi\n`);
    const pulumi = `eval "$1"; "$2" stack output --stack dev --show-secrets answer`;
    const command = ["-c", pulumi, "sh", stdout, pulumiCommand];
    const answer = spawnSync("sh", command, {
      cwd: project,
      env: { ...clean, PULUMI_HOME: join(scratch, "home") },
      encoding: "utf8",
    });
    expect(answer.stdout.trim()).toBe("hush-hush");
  });

  it("takes over the lock of a dead process, and respects that of a live one", () => {
    const locks = join(state, "pulumi", ".pulumi", "locks", "organization", "stack-fixture", "dev");
    mkdirSync(locks, { recursive: true });
    const dead = spawnSync("true").pid;
    const lock = (pid: number, host: string) =>
      writeFileSync(
        join(locks, "lock.json"),
        JSON.stringify({ pid, hostname: host, username: "someone", timestamp: "2026-01-01T00:00:00Z" }),
      );
    lock(dead, hostname());
    const after = stack("preview", "--stack", "dev");
    expect(after.stderr).toContain(`Removing the lock of process ${dead} of someone`);
    expect(after.status).toBe(0);
    lock(1, "another-host");
    const refused = stack("up", "--stack", "dev");
    expect(refused.stdout + refused.stderr).toMatch(/currently locked by 1 lock[\s\S]*pulumi cancel/);
    expect(refused.status).not.toBe(0);
    expect(stack("cancel", "--stack", "dev").status).toBe(0);
  });

  it("is destroyed and forgotten", () => {
    const { status, stdout } = stack("destroy", "--stack", "dev", "--remove");
    // It would delete the stack's file, which may be a committed one.
    expect(stdout).not.toContain("stack rm");
    expect(stdout).toMatch(/- +command:local:Command hello deleted/m);
    expect(status).toBe(0);
    expect(stack("output", "--stack", "dev").stderr).toContain("no stack named 'dev' found");
    expect(existsSync(stackFile)).toBe(true);
  });
});

describe("a stack that the project brings in examples/stacks", () => {
  const examples = join(project, "examples", "stacks");
  const text = "# A comment.\nconfig:\n  stack-fixture:word: brought\n";
  const file = join(examples, "Pulumi.brought.yaml");
  const team = {
    PULUMI_BACKEND_URL: `file://${join(scratch, "team")}`,
    PULUMI_CONFIG_PASSPHRASE: "of a team",
  };

  beforeAll(() => {
    mkdirSync(examples, { recursive: true });
    mkdirSync(join(scratch, "team"));
    writeFileSync(file, text);
  });
  afterAll(() => rmSync(examples, { recursive: true }));

  it.each([
    ["state of this machine", {}],
    ["a backend of the user's", team],
  ])("goes up and down by its name, with its file as it was: %s", (_, variables) => {
    const up = stackWith(variables, "up", "--stack", "brought");
    expect(up.stdout, up.stderr).toMatch(/word *: "brought"/);
    expect(up.status).toBe(0);
    const shown = stackWith(variables, "config", "get", "word", "--stack", "brought");
    expect(shown).toMatchObject({ status: 0, stdout: "brought\n" });
    expect(readFileSync(file, "utf8")).toBe(text);
    expect(existsSync(join(project, "Pulumi.brought.yaml"))).toBe(false);
    expect(stackWith(variables, "destroy", "--stack", "brought", "--remove").status).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("and a copy of it beside Pulumi.yaml is the plain CLI's, with a secret of its own", () => {
    const copy = join(project, "Pulumi.mine.yaml");
    cpSync(file, copy);
    const env = {
      ...clean,
      ...team,
      PULUMI_HOME: join(scratch, "home"),
      PATH: enginePath(locateTools()),
    };
    const pulumi = (...args: string[]) =>
      spawnSync(pulumiCommand, [...args, "--stack", "mine", "--non-interactive"], {
        cwd: project,
        env,
        encoding: "utf8",
      });
    expect(pulumi("stack", "init").status).toBe(0);
    expect(pulumi("config", "set", "--secret", "token", "hush-hush").status).toBe(0);
    const { stdout, stderr, status } = pulumi("preview");
    expect(stdout, stderr).toContain("+ 2 to create");
    expect(status).toBe(0);
    expect(readFileSync(copy, "utf8")).not.toContain("hush-hush");
    expect(readFileSync(file, "utf8")).toBe(text);
    rmSync(copy);
  });
});

describe("mistakes", () => {
  it.each([
    ["wrong", "The configuration is wrong:\n      word: wrong is not allowed\n      word: use another one"],
    ["stop", "error: word: stop ends the program"],
  ])("tells a mistake in the configuration without a stack trace: %s", (word, message) => {
    configure(word);
    const { status, stdout } = stack("preview", "--stack", "dev");
    expect(stdout).toContain(message);
    expect(stdout).not.toMatch(/^ +at /m);
    expect(status).not.toBe(0);
  });

  it("tells a fault of the program with its place", () => {
    configure("fault");
    const { status, stdout } = stack("preview", "--stack", "dev");
    expect(stdout).toMatch(/Error: a fault of the program\n +at program \(.*index\.ts:\d+/m);
    expect(status).not.toBe(0);
  });

  it("tells which resource failed, and its last lines", () => {
    configure("failing");
    const { status, stdout } = stack("up", "--stack", "dev");
    expect(stdout).toMatch(/command:local:Command hello \*\*creating failed\*\*/);
    expect(stdout).toMatch(/error: exit status 1: running .*:\n +one\n +two\n/);
    expect(status).not.toBe(0);
    stack("destroy", "--stack", "dev", "--remove");
  });

  it("names the stacks that there are", () => {
    expect(stack("up", "--stack", "prod")).toMatchObject({
      status: 2,
      stderr: `Stack prod has no file Pulumi.prod.yaml in ${project}. Stacks that have one: dev\n`,
    });
  });

  it.each([
    [["prview"], 'unknown command "prview" for "pulumi"', undefined],
    [["up"], "no stack selected", undefined],
    [["drift"], "--stack NAME is missing. Stacks in ", 1],
    [["env"], "--stack NAME is missing. Stacks in ", 2],
    [["up", "--stack", "a b"], "is not a stack's name", 2],
    [["up", "--stack", "dev", "--what"], "unknown flag: --what", undefined],
  ])("refuses %j", (args, message, code) => {
    configure("plain");
    const [verb = "", ...rest] = args;
    const { status, stdout, stderr } = stack(verb, ...rest);
    expect(stdout + stderr).toContain(message);
    // Pulumi's own commands have Pulumi's exit codes.
    if (code === undefined) expect(status).not.toBe(0);
    else expect(status).toBe(code);
  });
});

describe("as a library", () => {
  const env = { DYNAMO_SKY_STATE: join(scratch, "library"), PULUMI_HOME: join(scratch, "home") };
  const lines: string[] = [];
  const open = () =>
    openStack({ projectDir: project, stack: "dev", env, onProgress: (line) => lines.push(line) });

  it("tells what was done, and what the CLI said meanwhile", async () => {
    configure("plain");
    const { changes, outputs, steps } = await (await open()).up();
    expect(changes).toEqual({ create: 2 });
    expect(outputs).toEqual({ answer: "[secret]", list: [1, 2], said: "one", word: "plain" });
    expect(steps.map(({ op, name }) => `${op} ${name}`)).toEqual(["create hello"]);
    expect(lines.join("\n")).toContain("hello created");
    expect(lines.join("\n")).not.toContain("hush-hush");
    await (await open()).destroy();
    await (await open()).remove();
    // What belongs to all stacks.
    const kept = readdirSync(env.DYNAMO_SKY_STATE, { recursive: true, withFileTypes: true });
    const files = kept.filter((entry) => entry.isFile()).map(({ name }) => name);
    expect(files.toSorted()).toEqual(["meta.yaml", "meta.yaml.attrs", "passphrase"]);
  });

  it.each(["wrong", "stop"])("throws a UsageProblem for a mistake of the user's: %s", async (word) => {
    configure(word);
    await expect((await open()).preview()).rejects.toThrow(UsageProblem);
  });

  it.each([
    ["fault", "Error: a fault of the program"],
    ["failing", "hello: one\ntwo"],
  ])("throws another error for the rest: %s", async (word, message) => {
    configure(word);
    const error: unknown = await (await open()).up().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OperationFailed);
    expect(String(error)).toContain(message);
  });
});
