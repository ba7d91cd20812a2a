/** Obstacles to a deployment on this machine are reported before anything is started. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { preflightLocal } from "../../components/localPreflight";
import { modelDirectoryProblem } from "../../local/modelFiles";
import { type ConfigInput, parseConfig } from "../../plan/config";

const scratch = mkdtempSync(join(tmpdir(), "dsky-preflight-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A directory with these files. */
function directory(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(scratch, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const problems = (input: Partial<ConfigInput>) =>
  preflightLocal(
    parseConfig({ target: "local", model: "Qwen/Qwen3-8B", controlPlane: { discovery: "file" }, ...input }),
    [],
  ).then(
    () => "",
    (error: Error) => error.message,
  );

describe("a model's directory", () => {
  it.each([
    ["whole", { "config.json": "{}", "tokenizer.json": "{}" }, undefined],
    ["sentences", { "config.json": "{}", "tokenizer.model": "x" }, undefined],
    ["vocabulary", { "config.json": "{}", "vocab.json": "{}", "merges.txt": "" }, undefined],
    ["no config", { "tokenizer.json": "{}" }, /^has no config\.json/],
    ["no tokenizer", { "config.json": "{}", "vocab.json": "{}" }, /^has no tokenizer \(tokenizer\.json, /],
    ["cut off", { "config.json": '{"a"', "tokenizer.json": "{}" }, /^has a config\.json that is not JSON/],
  ] as const)("%s", (name, files, wrong) => {
    const problem = modelDirectoryProblem(directory(name, files));
    if (wrong === undefined) expect(problem).toBeUndefined();
    else expect(problem).toMatch(wrong);
  });

  it("has to be there, and to be one", () => {
    expect(modelDirectoryProblem(join(scratch, "nowhere"))).toBe("does not exist on this machine");
    writeFileSync(join(scratch, "file"), "");
    expect(modelDirectoryProblem(join(scratch, "file"))).toBe("is a file; a model is a directory");
  });

  it("is told with its setting, and with what to do", async () => {
    expect(await problems({ model: join(scratch, "nowhere") })).toContain(
      `dynamo-sky:model: "${join(scratch, "nowhere")}" does not exist on this machine. Give a directory with a model, or a hub id.`,
    );
  });
});

describe("a port", () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  it("that another program holds is told with who holds it and what chooses another", async () => {
    const holder = createServer();
    server = holder;
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const address = holder.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const told = await problems({ frontend: { port } });
    expect(told).toMatch(
      new RegExp(
        `port ${port} of 127\\.0\\.0\\.1 \\(frontend-0, http\\) is taken by process ${process.pid} `,
      ),
    );
    expect(told).toContain("pulumi config set --path dynamo-sky:frontend.port <port>");
    holder.close();
  });
});
