/** Uses of this package by others: imported in their own program, and loaded with plain `pulumi up`. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePorts } from "../../dev/freePorts";
import { processesOf } from "../../lib/processes";
import { ask, REPOSITORY, type TestProject, testProject } from "./programHarness";

const EXAMPLE = join(REPOSITORY, "examples", "chat-service");
const TSC = join(REPOSITORY, "node_modules", "typescript", "bin", "tsc");

describe("the example that imports the package by name", { timeout: 120_000 }, () => {
  let project: TestProject;

  beforeAll(() => {
    execFileSync(process.execPath, [TSC, "-p", join(REPOSITORY, "tsconfig.build.json")], { cwd: REPOSITORY });
    project = testProject("chat-service");
    // The result of `npm install` for `"dynamo-sky": "file:../.."` and the example's other packages.
    const modules = join(project.directory, "node_modules");
    rmSync(modules);
    mkdirSync(modules);
    symlinkSync(REPOSITORY, join(modules, "dynamo-sky"));
    for (const name of ["@pulumi", "@types", "typescript"]) {
      symlinkSync(join(REPOSITORY, "node_modules", name), join(modules, name));
    }
    for (const file of ["index.ts", "tsconfig.json", "package.json", "Pulumi.yaml"]) {
      cpSync(join(EXAMPLE, file), join(project.directory, file));
    }
  });

  afterAll(() => project?.remove());

  it("is well typed against the compiled package", () => {
    execFileSync(process.execPath, [TSC, "-p", project.directory], { stdio: "pipe" });
  });

  it("comes up, answers, changes nothing when nothing has changed, and goes", async () => {
    const { frontend, ports } = await freePorts();
    project.configure("test", { "chat-service:port": frontend.port, "chat-service:ports": ports });
    const open = () => project.open("test");

    await (await open()).up();
    const outputs = await (await open()).outputs();
    const { OPENAI_BASE_URL, OPENAI_MODEL } = outputs["environment"] as Record<string, string>;
    expect(OPENAI_BASE_URL).toBe(`http://127.0.0.1:${frontend.port}/v1`);
    const { tokens } = await ask(String(OPENAI_BASE_URL).replace(/\/v1$/, ""), String(OPENAI_MODEL));
    expect(tokens).toBeGreaterThan(0);

    expect((await (await open()).preview()).steps).toEqual([]);
    await (await open()).destroy();
    expect(processesOf(project.state)).toEqual([]);
  });
});

describe("the program as Pulumi's own Node.js host loads it", { timeout: 120_000 }, () => {
  /** Runs JavaScript in a new Node.js process in the repository, and returns its output. */
  const node = (script: string) =>
    execFileSync(process.execPath, ["-e", script], { cwd: REPOSITORY, encoding: "utf8" }).trim();

  it("is a function that waits to be called", () => {
    const script = `
      const program = require("./program.cjs");
      process.stdout.write(typeof program);`;
    expect(node(script)).toBe("function");
  });

  it("loads the compiler, which takes longer than all else, only for a function that is turned into text", () => {
    const script = `
      require("./program.cjs");
      const isLate = () => require("node:util").types.isProxy(require.cache[require.resolve("typescript")].exports);
      const before = isLate();
      require("@pulumi/pulumi").runtime.serializeFunction(() => 42).then(({ text }) =>
        process.stdout.write([before, isLate(), text.includes("42")].join()));`;
    expect(node(script)).toBe("true,false,true");
  });

  // With `typescript: true` in Pulumi.yaml and `main: index.ts`; the options are those of
  // @pulumi/pulumi/cmd/run/run.js.
  it("is a function through ts-node, too", () => {
    const script = `
      const options = require("typescript").parseConfigFileTextToJson("tsconfig.json",
        require("node:fs").readFileSync("tsconfig.json", "utf8")).config.compilerOptions;
      require("ts-node").register({ transpileOnly: true, project: "tsconfig.json", compilerOptions: {
        target: "ES2020", module: "nodenext", moduleResolution: "nodenext", sourceMap: "true", ...options } });
      process.stdout.write(typeof require("./index.ts"));`;
    expect(node(script)).toBe("function");
  });
});
