/** Local files on nodes of a local deployment: real programs that read them. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readBrought } from "../../lib/broughtFiles";
import type { LocalProgramsSpec } from "../../local/spec";
import { server } from "./programs";
import { Machine, processOf, TestDeployment, unusedPorts } from "./support";

const MINUTE = 60_000;

describe("a program's file", () => {
  const machine = new Machine();
  const cluster = "brought";
  const address = `${machine.network}.1`;
  const directory = machine.nodeDirectory(cluster);
  const path = join(machine.state, "words.txt");
  const reader = server("reader", 8000);
  const [python = "", c = "", source = ""] = reader.command;
  const reading = `import os\nprint("read", open(os.environ["WORDS"]).read(), flush=True)\n${source}`;
  const log = () => readFileSync(join(directory, "logs", "reader.log"), "utf8");

  const apply = async () => {
    const words = readBrought(path);
    const program = {
      ...reader,
      command: [python, c, reading, ...reader.command.slice(3)],
      env: { WORDS: "{{FILES}}/words.txt" },
      brought: { "words.txt": words.digest },
    };
    const spec: LocalProgramsSpec = {
      cluster,
      unit: "reader",
      nodes: [{ rank: 0, address, programs: [program] }],
      files: { "words.txt": words },
      timeoutSeconds: 30,
    };
    await machine.must("local apply", spec);
    return (await machine.pids(cluster))["reader"];
  };

  beforeAll(() => machine.must("local lease", { cluster, services: false, nodes: [{ rank: 0, address }] }));
  afterAll(() => machine.close());

  test(
    "is on its node for this user alone, and other contents start the program anew",
    async () => {
      writeFileSync(path, "first", { mode: 0o644 });
      const pid = await apply();
      expect(log()).toContain("read first");
      expect(statSync(join(directory, "files", "words.txt")).mode & 0o777).toBe(0o600);
      expect(await apply()).toBe(pid);
      writeFileSync(path, "second");
      expect(await apply()).not.toBe(pid);
      expect(log()).toContain("read second");
    },
    MINUTE,
  );
});

describe("the router's tracking key", () => {
  const ports = unusedPorts(2);
  const deployment = new TestDeployment(
    {
      files: { key: "key" },
      access: { gateway: false },
      frontend: { port: ports },
      router: {
        mode: "kv",
        trackingHash: "keyed-xxh3-v1",
        trackingKeyId: "a",
        trackingKeyFile: "{{FILES}}/key",
      },
    },
    { discovery: "file", events: "zmq" },
  );
  const path = join(deployment.machine.state, "key");
  afterAll(() => deployment.close());

  test(
    "is read by Dynamo's frontend on its node",
    async () => {
      writeFileSync(path, Buffer.alloc(32, 7));
      const brought = deployment.programsSpec.bind(deployment);
      deployment.programsSpec = (unit) => ({ ...brought(unit), files: { key: readBrought(path) } });
      await deployment.up();
      const key = join(deployment.machine.nodeDirectory(deployment.name), "files", "key");
      expect(statSync(key).mode & 0o777).toBe(0o600);
      const command = readFileSync(`/proc/${processOf(deployment, "frontend-0")}/cmdline`, "utf8").split(
        "\0",
      );
      expect(command[command.indexOf("--router-tracking-key-file") + 1]).toBe(key);
    },
    4 * MINUTE,
  );
});
