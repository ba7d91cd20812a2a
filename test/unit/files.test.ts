/**
 * Local files that a deployment copies to its nodes: their names, reading, copying, and the effect of a
 * change.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { DynamoCluster, type DynamoClusterArgs } from "../../components";
import { copyBrought, readBrought } from "../../lib/broughtFiles";
import { bringFiles } from "../../lib/nodeFiles";
import { changeUnits } from "../../lib/nodeUnits";
import { Progress } from "../../lib/progress";
import type { LocalProgramsSpec } from "../../local/spec";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { python, textOfTask } from "../runtime";
import { runOnMocks, stdinOf } from "./componentsMocks";
import { messageOf } from "./configMessages";
import { FakeSupervisor } from "./fakeSupervisor";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "brought-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const put = (name: string, text: string, mode = 0o644): string => {
  const path = join(directory, name);
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  return path;
};
const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe("a setting that names a file", () => {
  const files = { "chat.jinja": "files/chat.jinja", maps: "maps" };
  test.each([
    ["arguments", { engineArgs: ["--chat-template", "{{FILES}}/chat.jinja"] }],
    ["a part of a text", { engineArgs: ["--config", '{"path":"{{FILES}}/maps/a.json"}'] }],
    ["variables", { engineEnv: { SSL_CERT_FILE: "{{FILES}}/chat.jinja" } }],
    ["a pool", { pools: [{ role: "aggregated", engineArgs: ["--chat-template={{FILES}}/chat.jinja"] }] }],
    ["the frontend", { frontend: { args: ["--chat-template", "{{FILES}}/chat.jinja"] } }],
    ["the router's policies", { router: { policyConfig: "{{FILES}}/maps" } }],
    [
      "the router's key",
      { router: { trackingHash: "keyed-xxh3-v1", trackingKeyId: "a", trackingKeyFile: "{{FILES}}/maps" } },
    ],
  ])("may be %s", (_title, settings) => {
    const config = parseConfig({ model: "Qwen/Qwen3-8B", engine: "vllm", files, ...settings });
    expect(JSON.stringify(config)).toContain("{{FILES}}/");
    expect(parseConfig(config)).toEqual(config);
  });

  test.each([
    [
      "an unknown one",
      { files, engineArgs: ["--chat-template", "{{FILES}}/chat.jinj"] },
      'dynamo-sky:engineArgs[1]: has "{{FILES}}/chat.jinj", which is no file of dynamo-sky:files. Allowed: {{FILES}}/chat.jinja, {{FILES}}/maps. Name the file in dynamo-sky:files with its path on this machine.',
    ],
    [
      "one where there are none",
      { router: { policyConfig: "{{FILES}}/policies.yaml" } },
      'dynamo-sky:router.policyConfig: has "{{FILES}}/policies.yaml", which is no file of dynamo-sky:files. Allowed: none is there. Name the file in dynamo-sky:files with its path on this machine.',
    ],
    [
      "the directory of all",
      { files, engineEnv: { DIR: "{{FILES}}" } },
      "dynamo-sky:engineEnv.DIR: has {{FILES}} without the name of a file. Allowed: {{FILES}}/chat.jinja, {{FILES}}/maps. Name the file in dynamo-sky:files with its path on this machine.",
    ],
    [
      "one in the task's own environment, which no launcher fills in",
      { files, sky: { envs: { CA: "{{FILES}}/maps" } } },
      "dynamo-sky:sky.envs.CA: has {{FILES}}, which is known only to the programs of a node. Allowed in: engineArgs, engineConfig, engineEnv, pools, router, frontend, kvTransfer. Write a path here.",
    ],
    [
      "a name that is a path",
      { files: { "../x": "x" } },
      'dynamo-sky:files["../x"]: "../x" is not the name of a file. Allowed: letters, digits and . _ -, starting with a letter or digit.',
    ],
    [
      "a path of a shell's",
      { files: { x: "~/x" } },
      'dynamo-sky:files.x: "~/x" is not a path. Allowed: the path of a file or directory, from the project\'s directory or from /. Write the whole path, from /.',
    ],
  ])("is refused: %s", (_title, input, message) => {
    expect(messageOf(input)).toBe(message);
  });
});

describe("what is brought", () => {
  it("has another digest when any of it changes, and none that the path has a part in", () => {
    mkdirSync(join(directory, "maps"));
    put("maps/a.json", "{}");
    const before = readBrought(join(directory, "maps"));
    put("maps/a.json", "[]");
    const changed = readBrought(join(directory, "maps"));
    put("maps/b.json", "{}");
    const more = readBrought(join(directory, "maps"));
    expect(new Set([before.digest, changed.digest, more.digest]).size).toBe(3);
    expect(readBrought(put("one", "same")).digest).toBe(readBrought(put("two", "same")).digest);
  });

  it("is refused before anything is made where it is not there or cannot be brought", async () => {
    const large = put("large", "");
    truncateSync(large, 100_000_001);
    mkdirSync(join(directory, "links"));
    symlinkSync(large, join(directory, "links", "one"));
    execFileSync("mkfifo", [join(directory, "pipe")]);
    const at = (name: string) => join(directory, name);
    const files = { gone: at("gone"), large, links: at("links"), pipe: at("pipe") };
    const args = { model: "Qwen/Qwen3-8B", target: "local", localServices: true, files } as const;
    const made = runOnMocks("preview", () => new DynamoCluster("dynamo", args));
    const allowed =
      "Allowed: a file or directory that can be read, of at most 100 MB; sky.fileMounts brings more.";
    await expect(made).rejects.toThrow(
      [
        `dynamo-sky:files.gone: "${at("gone")}" is not there (${at("gone")}). ${allowed}`,
        `dynamo-sky:files.large: "${large}" has more than 100 MB or 10000 files, too much for every node of every launch. ${allowed}`,
        `dynamo-sky:files.links: "${at("links")}" holds "${at("links/one")}", which is neither a file nor a directory. ${allowed}`,
        `dynamo-sky:files.pipe: "${at("pipe")}" is neither a file nor a directory. ${allowed}`,
      ].join("\n"),
    );
  });

  it("is copied for this user alone, in the place of what was there", () => {
    mkdirSync(join(directory, "maps"), { mode: 0o755 });
    put("maps/run.sh", "#!/bin/sh\n", 0o755);
    const files = { key: readBrought(put("key", "first")), maps: readBrought(join(directory, "maps")) };
    const node = join(directory, "node");
    copyBrought(files, node);
    put("key", "second");
    rmSync(join(directory, "maps", "run.sh"));
    copyBrought({ key: files.key }, node);
    expect(readFileSync(join(node, "key"), "utf8")).toBe("second");
    expect([
      modeOf(join(node, "key")),
      modeOf(join(node, "maps")),
      modeOf(join(node, "maps/run.sh")),
    ]).toEqual([0o600, 0o700, 0o700]);
    copyBrought(files, node);
    expect(existsSync(join(node, "maps", "run.sh"))).toBe(false);
  });
});

describe("a node", () => {
  it("tells its programs where the files are", () => {
    const script =
      "import json, os, launch\nos.environ['NODE_DIR'] = '/n 1'\nprint(launch.fill_in('--a={{FILES}}/b'), end='')";
    expect(python(script, null)).toBe("--a=/n 1/files/b");
  });

  const bring = (names: string): string =>
    python("import sys, json, start\nstart.bring('files', *json.load(sys.stdin))", [
      names.split(",").filter(Boolean),
      join(directory, "home"),
      join(directory, "node0"),
    ]);

  it("on SkyPilot has what came with the launch and nothing older, for its user alone", () => {
    mkdirSync(join(directory, "home", "files", "old"), { recursive: true });
    mkdirSync(join(directory, "node0"));
    put("home/files/key", "k", 0o644);
    put("home/files/old/key", "k");
    put("home/files/tool", "t", 0o755);
    bring("key,tool");
    expect(readFileSync(join(directory, "node0", "files", "key"), "utf8")).toBe("k");
    expect(modeOf(join(directory, "node0", "files", "key"))).toBe(0o600);
    expect(modeOf(join(directory, "node0", "files", "tool"))).toBe(0o700);
    expect(existsSync(join(directory, "home", "files", "old"))).toBe(false);
  });

  it("on SkyPilot ends when one did not come", () => {
    expect(() => bring("key")).toThrow(/key did not come with the launch/);
  });
});

const LOCAL: DynamoClusterArgs = {
  model: "Qwen/Qwen3-8B",
  target: "local",
  localServices: true,
  access: { gateway: false },
  engineArgs: [],
};

describe("a changed file", () => {
  it("starts anew what reads it on this machine, and nothing else", async () => {
    const path = put("policies.yaml", "a: 1");
    const args = {
      ...LOCAL,
      files: { policies: path },
      router: { mode: "kv", policyConfig: "{{FILES}}/policies" },
    } as const;
    const inputs = async () => {
      const { resources } = await runOnMocks("update", () => new DynamoCluster("dynamo", args));
      const units = resources.filter(({ inputs }) => String(inputs["create"]).endsWith("local apply"));
      return new Map(units.map((unit) => [unit.name, stdinOf(unit) as unknown as LocalProgramsSpec]));
    };
    const before = await inputs();
    put("policies.yaml", "a: 2");
    const after = await inputs();
    const changed = [...after].filter(
      ([name, input]) => JSON.stringify(input) !== JSON.stringify(before.get(name)),
    );
    expect(changed.map(([, { unit }]) => unit)).toEqual(["frontend-0"]);
    const [, frontend] = changed[0] ?? [];
    expect(frontend?.files).toEqual({ policies: readBrought(path) });
    const { brought, command } = frontend?.nodes[0]?.programs[0] ?? {};
    expect(brought).toEqual({ policies: readBrought(path).digest });
    expect(command).toContain("{{FILES}}/policies");
  });

  it("starts anew what reads it on SkyPilot, and launches nothing", async () => {
    const path = put("chat.jinja", "{{ a }}");
    const args: DynamoClusterArgs = {
      model: "Qwen/Qwen3-8B",
      cluster: { nodes: 1 },
      pools: [{ role: "aggregated", tensorParallel: 8 }],
      files: { "chat.jinja": path },
      frontend: { args: ["--router-policy-config", "{{FILES}}/chat.jinja"] },
    };
    const inputs = async () => {
      const { resources } = await runOnMocks("update", () => new DynamoCluster("dynamo", args));
      const commands = resources.filter(({ inputs }) => String(inputs["create"]).includes("bin/dynamo-sky"));
      return new Map(commands.map((one) => [one.name, JSON.stringify(stdinOf(one))]));
    };
    const before = await inputs();
    put("chat.jinja", "{{ b }}");
    const after = await inputs();
    const changed = [...after.keys()].filter((name) => after.get(name) !== before.get(name));
    expect(changed).toEqual(["dynamo-frontend-0", "dynamo-frontend-1"]);
    const { files, nodes } = JSON.parse(after.get("dynamo-frontend-0") ?? "");
    expect(files).toEqual({ "chat.jinja": readBrought(path) });
    expect(nodes[0].programs[0].brought).toEqual({ "chat.jinja": readBrought(path).digest });
  });
});

test("a node gets the files that it lacks, for its own user alone, and loses those that are no more", async () => {
  const node = new FakeSupervisor();
  const { signal } = new AbortController();
  const shell = { command: "python3", args: (words: readonly string[]) => words, directory: node.directory };
  const files = () => ({
    key: readBrought(join(directory, "key")),
    maps: readBrought(join(directory, "maps")),
  });
  put("key", "first", 0o644);
  mkdirSync(join(directory, "maps", "deep"), { recursive: true });
  put("maps/deep/one", "1");
  put("maps/tool", "t", 0o755);
  try {
    expect(await bringFiles(shell, files(), signal)).toEqual(["key", "maps"]);
    expect(await bringFiles(shell, files(), signal)).toEqual([]);
    put("key", "second");
    expect(await bringFiles(shell, files(), signal)).toEqual(["key"]);
    const at = (name: string) => join(node.directory, "files", name);
    expect(readFileSync(at("key"), "utf8")).toBe("second");
    expect(readFileSync(at("maps/deep/one"), "utf8")).toBe("1");
    expect(["key", "maps", "maps/tool"].map((name) => modeOf(at(name)))).toEqual([0o600, 0o700, 0o700]);
    await node.listen();
    const context = { progress: new Progress(() => undefined), signal, result: () => undefined };
    await changeUnits(shell, { keep: { units: [], files: ["maps"] } }, () => "", context);
    expect([existsSync(at("key")), existsSync(at("maps/tool"))]).toEqual([false, true]);
  } finally {
    node.close();
  }
}, 60_000);

test("a recipe mounts the files from where they are, and tells the nodes their names", () => {
  const config = parseConfig({
    model: "Qwen/Qwen3-8B",
    engine: "vllm",
    cluster: { nodes: 1 },
    pools: [{ role: "aggregated", tensorParallel: 8 }],
    files: { "z.json": "files/z.json", "chat.jinja": "files/chat.jinja", maps: "maps/" },
    engineArgs: ["--custom-jinja-template", "{{FILES}}/chat.jinja"],
  });
  const [cluster] = plan(config, { discovery: "etcd", events: "nats" }).clusters;
  if (cluster === undefined) throw new Error("no cluster");
  const task = parse(textOfTask({ cluster, config, standalone: true }));
  expect(task.file_mounts).toMatchObject({
    "~/.dynamo-sky/files/chat.jinja": "files/chat.jinja",
    "~/.dynamo-sky/files/z.json": "files/z.json",
    "~/.dynamo-sky/files/maps": "maps",
  });
  expect(task.run).toContain("--files chat.jinja,maps,z.json ");
  expect(task.run).toContain("--custom-jinja-template {{FILES}}/chat.jinja");
});
