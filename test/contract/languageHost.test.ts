/**
 * Contract of a language host for Node: its protocol, and under the real engine. Runs against the host that
 * the engine would use here: the official one next to the CLI or on PATH, else this repository's stand-in.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { version as commandVersion } from "@pulumi/command/package.json";
import { version as sdkVersion } from "@pulumi/pulumi/package.json";
import { LanguageRuntimeClient } from "@pulumi/pulumi/proto/language_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/language_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { ensureToolchain, packageRoot } from "../../toolchain";
import { languageHostDirectory, languageHostOnPath } from "../../toolchain/languageHost";
import { eventually } from "../eventually";
import { commandOf, processesWith } from "../processes";
import { enginePath } from "./installedPlugins";

const root = mkdtempSync(join(tmpdir(), "language-host-"));
const project = join(root, "project");
/** Marks all processes of these tests. */
const MARK = { name: "LANGUAGE_HOST_TEST", value: root };

let pulumi = "";
let path = "";
let host = "";
let isStandIn = false;

beforeAll(async () => {
  pulumi = (await ensureToolchain({ need: ["pulumi"] })).pulumi?.path ?? "pulumi";
  const directory = languageHostOnPath(pulumi, process.env["PATH"] ?? "");
  isStandIn = directory !== undefined;
  path = [directory ?? [], dirname(pulumi), enginePath()].flat().join(delimiter);
  const places = path.split(delimiter).map((place) => join(place, "pulumi-language-nodejs"));
  host = places.find((file) => existsSync(file)) ?? "";
  process.stdout.write(`Contract of the language host: ${isStandIn ? "stand-in" : "official"}, ${host}\n`);
  for (const name of ["project", "state", "home"]) mkdirSync(join(root, name));
  symlinkSync(join(packageRoot(), "node_modules"), join(project, "node_modules"));
  const dependencies = { "@pulumi/pulumi": "*", "@pulumi/command": "*" };
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "of-a-test", dependencies }));
});

afterAll(() => {
  for (const pid of started()) process.kill(pid, "SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

const started = () => processesWith(MARK.name, MARK.value);
/** Processes that run Node or a plugin: possible leftovers of an operation. */
const leftRunning = () => started().map(commandOf).filter(Boolean);

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

function environment(): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PULUMI_"))),
    PATH: path,
    PULUMI_HOME: join(root, "home"),
    PULUMI_BACKEND_URL: `file://${join(root, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "of the host",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    [MARK.name]: MARK.value,
  };
}

function start(...args: string[]): ChildProcess {
  const child = spawn(pulumi, [...args, "--stack", "test", "--non-interactive", "--color", "never"], {
    cwd: project,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  return child;
}

async function ended(child: ChildProcess): Promise<Ran> {
  const status = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all(
    [child.stdout, child.stderr].map((stream) => (stream === null ? "" : text(stream))),
  );
  // Node colours error locations regardless of the CLI's options.
  return { status: await status, output: stripVTControlCharacters(`${stdout}${stderr}`) };
}

const run = (...args: string[]) => ended(start(...args));

/** Writes the project's program, in JavaScript unless its file name differs. */
async function program(source: string, options: object = { typescript: false }, main = "index.js") {
  const runtime = { name: "nodejs", options };
  writeFileSync(join(project, "Pulumi.yaml"), stringify({ name: "hosted", runtime, main }));
  writeFileSync(join(project, main), source);
  const { output } = await run("stack", "init", "--no-select");
  if (!/Created stack|already exists/.test(output)) throw new Error(output);
}

const pulumiSdk = 'const pulumi = require("@pulumi/pulumi");';
const commandSdk = 'const { local } = require("@pulumi/command");';

describe("its protocol", () => {
  let child: ChildProcess;
  let client: LanguageRuntimeClient;
  const info = () =>
    new pb.ProgramInfo().setRootDirectory(project).setProgramDirectory(project).setEntryPoint(".");
  const ask = <Answer>(
    call: (done: (error: grpc.ServiceError | null, answer: Answer) => void) => unknown,
  ): Promise<Answer> =>
    new Promise((resolve, reject) => call((error, answer) => (error ? reject(error) : resolve(answer))));

  beforeAll(async () => {
    child = spawn(host, ["127.0.0.1:1"], { env: environment(), stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise<string>((resolve) =>
      child.stdout?.once("data", (line) => resolve(`${line}`)),
    );
    expect(port).toMatch(/^\d+\n$/);
    client = new LanguageRuntimeClient(`127.0.0.1:${port.trim()}`, grpc.credentials.createInsecure());
  });

  afterAll(() => {
    client.close();
    child.kill("SIGKILL");
  });

  it("shakes hands, and has the version of the SDK", async () => {
    const request = new pb.LanguageHandshakeRequest().setEngineAddress("127.0.0.1:1");
    await ask<pb.LanguageHandshakeResponse>((done) => client.handshake(request, done));
    const plugin = await ask<{ getVersion(): string }>((done) => client.getPluginInfo(new Empty(), done));
    expect(plugin.getVersion()).toBe(sdkVersion);
  });

  it("names the plugins that the program's packages need", async () => {
    const request = new pb.GetRequiredPackagesRequest().setInfo(info());
    const answer = await ask<pb.GetRequiredPackagesResponse>((done) =>
      client.getRequiredPackages(request, done),
    );
    const packages = answer
      .getPackagesList()
      .map((one) => `${one.getKind()} ${one.getName()} ${one.getVersion()}`);
    expect(packages).toContain(`resource command v${commandVersion}`);
    expect(packages.join("\n")).not.toContain("resource pulumi ");
  });

  it("lists the program's dependencies", async () => {
    const request = new pb.GetProgramDependenciesRequest().setInfo(info());
    const answer = await ask<pb.GetProgramDependenciesResponse>((done) =>
      client.getProgramDependencies(request, done),
    );
    const found = answer.getDependenciesList().map((one) => `${one.getName()} ${one.getVersion()}`);
    expect(found.toSorted()).toEqual([`@pulumi/command ${commandVersion}`, `@pulumi/pulumi ${sdkVersion}`]);
  });

  it("tells which Node it is, and that it is a stand-in if it is one", async () => {
    const answer = await ask<pb.AboutResponse>((done) =>
      client.about(new pb.AboutRequest().setInfo(info()), done),
    );
    expect(answer.getVersion()).toMatch(/^v\d+\./);
    expect(answer.getMetadataMap().get("languageHost")?.includes("stand-in") ?? false).toBe(isStandIn);
    const { output } = await ended(spawn(host, ["-version"], { env: environment() }));
    expect(output).toContain(sdkVersion);
    expect(output.includes("stand-in")).toBe(isStandIn);
  });

  it("refuses options that are none", async () => {
    const options = Struct.fromJavaScript({ typescript: "no" });
    const request = new pb.RunRequest().setInfo(info().setOptions(options));
    const answer = await ask<pb.RunResponse>((done) => client.run(request, done));
    expect(answer.getError()).toContain("typescript");
  });
});

describe("a program", { timeout: 120_000 }, () => {
  afterEach(async () => {
    // No process of an operation outlives it.
    await eventually(() => leftRunning().length === 0);
  });

  it("gets its configuration, and knows what of it is secret", async () => {
    await program(`${pulumiSdk}
      const config = new pulumi.Config();
      console.log("printed to standard output");
      console.error("printed to standard error");
      module.exports = { plain: config.require("plain"), hidden: config.requireSecret("hidden"),
        isSecret: pulumi.runtime.isConfigSecret("hosted:hidden"), stack: pulumi.getStack(),
        project: pulumi.getProject(), directory: process.cwd(), dryRun: pulumi.runtime.isDryRun() };`);
    await run("config", "set", "plain", "with: colons");
    await run("config", "set", "--secret", "hidden", "hush-hush");
    const { status, output } = await run("up", "--yes", "--skip-preview");
    expect(output).toContain("printed to standard output");
    expect(output).toContain("printed to standard error");
    expect(output).toMatch(/hidden +: \[secret\]/);
    expect(output).not.toContain("hush-hush");
    expect(status).toBe(0);
    const shown = await run("stack", "output", "--json", "--show-secrets");
    expect(JSON.parse(shown.output.slice(shown.output.indexOf("{")))).toEqual({
      ...{ plain: "with: colons", hidden: "hush-hush", isSecret: true },
      ...{ stack: "test", project: "hosted", directory: project, dryRun: false },
    });
  });

  it("is run with the arguments for Node that Pulumi.yaml names", async () => {
    const nodeargs = "--require ./before.js --max-old-space-size=300";
    writeFileSync(join(project, "before.js"), "globalThis.before = 'has run';");
    await program("module.exports = { before: globalThis.before, arguments: process.execArgv };", {
      ...{ typescript: false, nodeargs },
    });
    const { output } = await run("preview");
    expect(output).toMatch(/before +: "has run"/);
    expect(output).toContain("--max-old-space-size=300");
  });

  it("that ends with a mistake of the user's is told by its message alone", async () => {
    await program(`${pulumiSdk} throw new pulumi.RunError("word: is not allowed");`);
    const { status, output } = await run("preview");
    expect(output).toContain("error: word: is not allowed");
    expect(output).not.toMatch(/^ +at /m);
    expect(output).not.toContain("non-zero exit code");
    expect(status).not.toBe(0);
  });

  it("that is at fault is told with its place, and not with that of the host", async () => {
    await program('module.exports = async () => { throw new Error("a fault of the program"); };');
    const { status, output } = await run("preview");
    expect(output).toMatch(/Error: a fault of the program\n +at .*project\/index\.js:1/);
    expect(output).not.toContain("plugins/language");
    expect(output).not.toContain("non-zero exit code");
    expect(status).not.toBe(0);
  });

  it("that ends by itself, or crashes, is told by its exit code, and its resources stay", async () => {
    await program("process.exit(7);");
    expect((await run("preview")).output).toContain("Program exited with non-zero exit code: 7");
    await program('process.kill(process.pid, "SIGKILL"); setInterval(() => undefined, 1000);');
    const { status, output } = await run("up", "--yes", "--skip-preview");
    expect(output).toContain("Program exited with non-zero exit code: ");
    expect(status).not.toBe(0);
    const { output: state } = await run("stack", "export");
    expect(state).toContain("pulumi:pulumi:Stack");
  });

  it("with mistakes of types is told what they are, without a stack of the host's or the compiler's", async () => {
    await program('export const one: number = "two";\n', {}, "index.ts");
    const { status, output } = await run("preview");
    expect(output).toMatch(/index\.ts\(?:?1[,:]14.*\n?.*TS2322/);
    expect(output).toContain("Type 'string' is not assignable to type 'number'");
    expect(output).not.toMatch(/^ +at /m);
    expect(status).not.toBe(0);
    rmSync(join(project, "index.ts"));
  });

  it("that cannot find Pulumi's SDK is told what to run", async () => {
    const bare = mkdtempSync(join(root, "bare-"));
    writeFileSync(join(bare, "Pulumi.yaml"), stringify({ name: "bare", runtime: "nodejs" }));
    writeFileSync(join(bare, "index.js"), "");
    await run("stack", "init", "--no-select", "--cwd", bare);
    const { status, output } = await run("preview", "--cwd", bare);
    expect(output).toContain("It looks like the Pulumi SDK has not been installed");
    expect(output).toContain("pulumi install");
    expect(status).not.toBe(0);
  });
});

describe("an update that is interrupted", { timeout: 120_000 }, () => {
  const flag = join(root, "started");
  const slow = `${pulumiSdk} ${commandSdk}
    const first = new local.Command("first", { create: "true" });
    new local.Command("second", { create: "touch ${flag}; exec sleep 60", delete: "true" }, { dependsOn: first });`;

  it("by Ctrl-C ends in order: what was made is in the state, nothing runs on, no lock is left", async () => {
    await program(slow);
    const up = start("up", "--yes", "--skip-preview");
    const result = ended(up);
    await eventually(() => existsSync(flag), 60);
    up.kill("SIGINT");
    expect((await result).status).not.toBe(0);
    await eventually(() => leftRunning().filter((line) => !line.startsWith("sleep")).length === 0);
    expect((await run("stack", "export")).output).toContain("::first");
    rmSync(flag);
    await program(`${pulumiSdk} ${commandSdk} new local.Command("first", { create: "true" });`);
    const again = await run("up", "--yes", "--skip-preview");
    expect(again.output).not.toContain("locked");
    expect(again.status).toBe(0);
  });

  it("by the death of the engine leaves neither host nor program", async () => {
    await program(slow);
    const up = start("up", "--yes", "--skip-preview");
    const result = ended(up);
    await eventually(() => existsSync(flag), 60);
    expect(leftRunning().some((line) => line.includes("cmd/run"))).toBe(true);
    up.kill("SIGKILL");
    await result;
    await eventually(() => leftRunning().filter((line) => /node|pulumi/.test(line)).length === 0, 60);
  });
});

it("is in the repository as an executable", () => {
  const file = join(languageHostDirectory(), "pulumi-language-nodejs");
  expect(readFileSync(file, "utf8")).toMatch(/^#!\/bin\/sh\n/);
});
