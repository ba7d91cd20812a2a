/** The stack runner on the real engine, with a tiny program and a state of its own. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { initStack } from "../../cli/pulumi/cli";
import { openStack, UsageProblem } from "../../cli/pulumi/openStack";
import { readProject } from "../../cli/pulumi/project";
import { locateTools, packageRoot } from "../../toolchain/index";

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), "stack-test-"));
const project = join(scratch, "project");
const state = join(scratch, "state");
const stackFile = join(project, "Pulumi.dev.yaml");
const fixture = join(root, "test", "engine", "fixtures", "stack-program");
/** The user's own settings must not reach the tests. */
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PULUMI_")));

const pulumiCommand = locateTools().pulumi?.path ?? "pulumi";

/** Runs `npm run stack -- …` as its script does. */
function stack(...args: string[]) {
  return stackWith({}, ...args);
}

/** The same, with further variables. */
function stackWith(variables: Readonly<Record<string, string>>, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    "node",
    [join(root, "toolchain", "bootstrap.mjs"), "stack", ...args, "--cwd", project],
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
    const { status, stderr } = stack("preview", "--stack", "dev");
    expect(stderr).toContain("+ hello create");
    expect(stderr).toContain("preview: 2 to create");
    expect(status).toBe(0);
    expect(readFileSync(stackFile, "utf8")).toBe(text);
  });

  it("is made in a directory of the user's choice, named from the project", () => {
    configure("plain");
    mkdirSync(join(project, "shared"));
    const team = { PULUMI_BACKEND_URL: "file://./shared", PULUMI_CONFIG_PASSPHRASE: "of a team" };
    const { status, stderr } = stackWith(team, "preview", "--stack", "dev");
    expect(stderr).toContain("preview: 2 to create");
    expect(status).toBe(0);
    expect(existsSync(join(project, "shared", ".pulumi", "stacks", "stack-fixture", "dev.json"))).toBe(true);
  });

  it("keeps its configuration when it is made late, as where a bucket is found not to have it", async () => {
    const privateFile = join(scratch, "Pulumi.late.yaml");
    writeFileSync(privateFile, "config:\n  stack-fixture:word: plain\n");
    const bucket = join(scratch, "bucket");
    mkdirSync(bucket);
    const env = {
      PULUMI_BACKEND_URL: `file://${bucket}`,
      PULUMI_CONFIG_PASSPHRASE: "of a team",
      PULUMI_HOME: join(scratch, "home"),
    };
    await initStack(
      { command: pulumiCommand, project: readProject(project), stack: "late", env },
      privateFile,
    );
    expect(parse(readFileSync(privateFile, "utf8"))).toEqual({
      config: { "stack-fixture:word": "plain" },
      encryptionsalt: expect.stringMatching(/^v1:/),
    });
  });

  it("goes up with progress by resource, the lines of its command, and masked outputs", () => {
    const text = configure("plain");
    const { status, stdout, stderr } = stack("up", "--stack", "dev");
    expect(stderr).toMatch(/^\+ hello creating…\n {4}hello \d+\.\d s │ one$/m);
    expect(stderr).toMatch(/^\+ hello created \(\d+\.\d s\)$/m);
    expect(stdout).toContain("answer  [secret]");
    expect(stdout + stderr).not.toContain("hush-hush");
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
    const { status, stdout } = stack("up", "--stack", "dev", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      changes: { same: 2 },
      steps: [],
      outputs: { answer: "[secret]" },
    });
    expect(status).toBe(0);
  });

  it("gives one output bare, a secret only when asked", () => {
    expect(stack("output", "word", "--stack", "dev")).toMatchObject({ status: 0, stdout: "plain\n" });
    expect(stack("output", "answer", "--stack", "dev").stdout).toBe("[secret]\n");
    expect(stack("output", "answer", "--stack", "dev", "--show-secrets").stdout).toBe("hush-hush\n");
    expect(JSON.parse(stack("output", "--json", "--stack", "dev").stdout)).toMatchObject({ list: [1, 2] });
    expect(stack("output", "nothing", "--stack", "dev")).toMatchObject({
      status: 2,
      stderr: "Stack dev has no output nothing. It has answer, list, said, word\n",
    });
  });

  it("says what an update changes", () => {
    configure("other");
    const { status, stderr } = stack("up", "--stack", "dev");
    expect(stderr).toContain("~ hello updating…\n    environment.WORD: plain → other\n");
    expect(status).toBe(0);
  });

  it("prints what the plain CLI needs for the same state, and the CLI works with it", () => {
    const { stdout } = stack("env", "--stack", "dev");
    expect(stdout).toContain(`export PULUMI_BACKEND_URL='file://${state}/pulumi'`);
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
    expect(refused.stderr).toBe(
      "Stack dev is being changed by process 1 of someone on another-host, since 2026-01-01T00:00:00Z. Wait until it ends. If it is dead: npm run stack -- cancel --stack dev\n",
    );
    expect(refused.status).toBe(1);
    expect(stack("cancel", "--stack", "dev").status).toBe(0);
  });

  it("is destroyed and forgotten", () => {
    const { status, stderr } = stack("destroy", "--stack", "dev", "--remove");
    expect(stderr).toMatch(/^- hello deleted/m);
    expect(status).toBe(0);
    expect(stack("output", "--stack", "dev")).toMatchObject({ status: 1 });
  });
});

describe("mistakes", () => {
  it.each([
    ["wrong", "The configuration is wrong:\n  word: wrong is not allowed\n  word: use another one\n"],
    ["stop", "word: stop ends the program\n"],
  ])("tells a mistake in the configuration without a stack trace: %s", (word, message) => {
    configure(word);
    const { status, stderr } = stack("preview", "--stack", "dev");
    expect(stderr).toBe(message);
    expect(status).toBe(2);
  });

  it("tells a fault of the program with its place", () => {
    configure("fault");
    const { status, stderr } = stack("preview", "--stack", "dev");
    expect(stderr).toMatch(/^Error: a fault of the program\n {4}at program \(.*index\.ts:\d+/m);
    expect(status).toBe(1);
  });

  it("tells which resource failed, and its last lines", () => {
    configure("failing");
    const { status, stderr } = stack("up", "--stack", "dev");
    expect(stderr).toMatch(/^✗ hello failed \(creating, after \d+\.\d s\)$/m);
    expect(stderr).toMatch(/hello: exit status 1: running .*:\none\ntwo\n$/);
    expect(status).toBe(1);
    stack("destroy", "--stack", "dev", "--remove");
  });

  it("names the stacks that there are", () => {
    expect(stack("up", "--stack", "prod")).toMatchObject({
      status: 2,
      stderr: `Stack prod has no file Pulumi.prod.yaml in ${project}. Stacks that have one: dev\n`,
    });
  });

  it.each([
    [["prview", "--stack", "dev"], "There is no verb prview"],
    [["up"], "--stack is missing"],
    [["up", "--stack", "a b"], "is not a stack's name"],
    [["up", "--stack", "dev", "more"], "Too many words after up: more"],
    [["up", "--stack", "dev", "--what"], "Unknown option '--what'"],
  ])("refuses %j", (args, message) => {
    const { status, stderr } = stack(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});

describe("as a library", () => {
  it("runs an inline program, and throws a UsageProblem for its mistakes", async () => {
    configure("plain");
    const lines: string[] = [];
    const opened = await openStack({
      projectDir: project,
      stack: "dev",
      env: { DYNAMO_SKY_STATE: join(scratch, "library"), PULUMI_HOME: join(scratch, "home") },
      program: async () => ({ one: 1 }),
      onProgress: (line) => lines.push(line),
    });
    const { changes, outputs } = await opened.up();
    expect({ changes, outputs }).toEqual({ changes: { create: 1 }, outputs: { one: 1 } });
    await opened.destroy();
    await opened.remove();
    expect(lines).toEqual([]);
  });

  it("loads the project's own module", async () => {
    configure("wrong");
    const env = { DYNAMO_SKY_STATE: join(scratch, "library"), PULUMI_HOME: join(scratch, "home") };
    const opened = await openStack({ projectDir: project, stack: "dev", env, onProgress: () => undefined });
    await expect(opened.preview()).rejects.toThrow(UsageProblem);
  });
});
