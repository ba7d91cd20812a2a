/**
 * Hostile values in every text setting: each is rejected with a message that names the setting, or reaches
 * its program byte for byte; none is executed. With the real parts: the task as parsed by SkyPilot's YAML
 * library, its `setup` and `run` under bash, supervisor, the launcher, nginx. Only the programs themselves
 * are stand-ins that record their arguments and environment.
 */

import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { delimiter, dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chatCommand } from "../../components/topology";
import type { ConfigInput } from "../../config/schema";
import { quotedSkyConfig } from "../../config/skyText";
import { OWN_GPUS } from "../../lib/placeholders";
import { issueCertificate } from "../../lib/tls/issue";
import type { PlanEntry } from "../../plan/compact";
import { CONTROL_PLANE_SECRETS } from "../../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import type { ProgramPlan } from "../../plan/types";
import { ensureToolchain, locateTools } from "../../toolchain";
import { nginxConf, planIn, programsOfPlans, RUNTIME, textOfTask } from "../runtime";
import {
  JUDGED,
  joined,
  MANY,
  type Planned,
  planned,
  recorded,
  refusal,
  takenBy,
  together,
  WORKERS,
} from "./hostilePlans";
import { CANARY, SLOTS } from "./hostileValues";
import { eventually } from "./support";

/** A user's home directory may have any name, too. */
const HOME = `h o'm"e $(touch ${CANARY}) \`touch ${CANARY}\` %(here)s ; {x}`;
const ADDRESS = "127.0.0.1";

const scratch = mkdtempSync(join(tmpdir(), "dsky-hostile-"));
const home = join(scratch, HOME);
const stubs = join(scratch, "stubs");
const records = join(scratch, "records");
const python = locateTools().python?.path ?? "python3";
const environment = {
  HOME: home,
  PATH: [stubs, dirname(python), "/usr/bin", "/bin"].join(delimiter),
  RECORDS: records,
  SKYPILOT_NODE_RANK: "0",
  SKYPILOT_NODE_IPS: ADDRESS,
};

/** A program that records its arguments and its environment, and keeps running. */
const RECORDER = `#!${python}
import json, os, signal, sys
name = os.environ["DYNAMO_SKY_PROGRAM"].rsplit("/", 1)[1]
path = os.path.join(os.environ["RECORDS"], name + ".json")
with open(path + ".part", "w") as file:
    json.dump({"args": sys.argv[1:], "env": dict(os.environ)}, file)
os.rename(path + ".part", path)
signal.pause()
`;

function executable(name: string, text: string): void {
  writeFileSync(join(stubs, name), text);
  chmodSync(join(stubs, name), 0o755);
}

/** Documents parsed by PyYAML, with SkyPilot's loader for tasks: libyaml's if available. */
function readByPyYaml(texts: readonly string[]): Record<string, unknown>[] {
  const source =
    "import json, sys, yaml; print(json.dumps([yaml.load(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader)) for text in json.load(sys.stdin)]))";
  const output = execFileSync(python, ["-c", source], { input: JSON.stringify(texts), maxBuffer: 1 << 28 });
  return JSON.parse(output.toString());
}

function taskOf({ config, cluster }: Planned): string {
  return textOfTask({ cluster, config, endpointPort: 8000 }, `${config.servedModelName} hostile`);
}

/** A part of a task as a file, run like SkyPilot does. @returns Its path. */
function script(part: "setup" | "run", task: Readonly<Record<string, unknown>> | undefined): string {
  const path = join(scratch, `${part}.sh`);
  writeFileSync(path, String(task?.[part]));
  return path;
}

/** The text on the node, with placeholders for addresses and directories filled in. */
const onNode = (text: string): string =>
  text
    .replaceAll(/\{\{(HEAD_IP|CONTROL_IP|NODE_IP)\}\}/g, ADDRESS)
    .replaceAll("{{MODELS}}", `/tmp/dynamo-sky-${userInfo().uid}/models`)
    .replaceAll("{{NODE_DIR}}", () => join(home, ".dynamo-sky", "node0"));

interface Record_ {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
const recordOf = (name: string): Record_ => JSON.parse(readFileSync(join(records, `${name}.json`), "utf8"));

/** Files created by executed hostile text, anywhere. */
function canaries(): string[] {
  const names = readdirSync(scratch, { recursive: true, encoding: "utf8" });
  return [
    ...names.filter((name) => name.split("/").at(-1) === CANARY),
    ...[process.cwd(), tmpdir()].map((place) => join(place, CANARY)).filter(existsSync),
  ];
}

const SECRETS: Readonly<Record<string, string>> = {
  HF_TOKEN: `hf_'"$(touch\${IFS}${CANARY})%(here)s{{NODE_IP}}`,
  [API_KEYS]: "k".repeat(40),
  [TLS_BUNDLE]: `-----BEGIN'"$(touch ${CANARY})\n%(here)s`,
  ...Object.fromEntries(
    CONTROL_PLANE_SECRETS.map((name) => [name, `'"; touch ${CANARY} #$(touch ${CANARY})%`]),
  ),
};

beforeAll(async () => {
  await ensureToolchain({ need: ["nginx"] });
  for (const directory of [home, stubs, records]) mkdirSync(directory, { recursive: true });
  executable("record", RECORDER);
  // Found on the node, so that none is unpacked there.
  for (const name of ["etcd", "nats-server", "nginx"]) executable(name, "#!/bin/sh\nexit 0\n");
  executable("curl", `#!${python}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n`);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** SkyPilot's own configuration of a task. */
interface SkyConfig extends Record<string, unknown> {
  readonly docker?: { readonly run_options?: string | readonly string[] };
}

describe("a hostile value", () => {
  test("is taken or refused by name, in every setting that takes text", () => {
    for (const { slot, refused } of JUDGED) {
      // A model's path without a name for clients asks for `servedModelName`, and names the model.
      const other = refused.filter((one) => !one.refused.includes(`dynamo-sky:${slot.setting}`));
      expect({ setting: slot.setting, other }).toEqual({ setting: slot.setting, other: [] });
    }
    const count = (key: "taken" | "refused") => JUDGED.reduce((sum, judged) => sum + judged[key].length, 0);
    expect(count("taken")).toBeGreaterThan(500);
    expect(count("refused")).toBeGreaterThan(1000);
  });

  test("that no program could be given as it is, is refused everywhere", () => {
    const hopeless = [
      "a\0b",
      "\ud800",
      "\udfff",
      "{{HEAD_IP}}",
      "{{NODE_DIR}}/x",
      "{{RANK_IP_0}}",
      "{{{NODE_IP}}}",
    ];
    for (const { slot, taken } of JUDGED) {
      expect({ setting: slot.setting, taken: taken.filter((one) => hopeless.includes(one)) }).toEqual({
        setting: slot.setting,
        taken: [],
      });
    }
  });

  test("reaches its program byte for byte through task, bash, supervisor and launcher; none is executed", async () => {
    const base = planned({
      ...together(MANY),
      huggingFaceToken: true,
      access: { gateway: true },
      sky: {
        envs: Object.assign(
          {},
          ...SLOTS.filter(({ setting }) => setting === "sky.envs").map(
            (slot) => slot.put(takenBy(slot)).sky?.envs,
          ),
        ),
      },
    });
    const [node] = base.cluster.nodes;
    if (node === undefined) throw new Error("the cluster has no node");
    const [worker] = node.programs.filter(({ role }) => role === "aggregated");
    if (worker === undefined) throw new Error("the node has no worker");
    const alone = WORKERS.flatMap((slot) => takenBy(slot).map((value) => planned(slot.put([value]))));
    const programs = [...node.programs.map(recorded), recorded(joined(worker, alone))];
    const cluster = { ...base.cluster, nodes: [{ ...node, programs }] };
    const [task] = readByPyYaml([taskOf({ config: base.config, cluster })]);
    expect(task?.["envs"]).toEqual(base.config.sky.envs);

    const env = { ...environment, ...base.config.sky.envs, ...SECRETS };
    cpSync(RUNTIME, join(home, ".dynamo-sky", "runtime"), { recursive: true });
    const setup = spawnSync("bash", [script("setup", task)], { cwd: scratch, env, encoding: "utf8" });
    expect({ status: setup.status, stderr: setup.stderr }).toEqual({ status: 0, stderr: "" });
    const run = spawn("bash", [script("run", task)], {
      cwd: scratch,
      env,
      stdio: "ignore",
      detached: true,
    });
    const ended = new Promise((resolve) => run.on("close", resolve));
    try {
      const all = () => programs.every(({ name }) => existsSync(join(records, `${name}.json`)));
      await eventually(() => all() || run.exitCode !== null, 90);
      expect(run.exitCode, "the task has ended before its programs were started").toBeNull();
      for (const program of programs) {
        const seen = recordOf(program.name);
        expect(seen.args).toEqual(program.command.slice(1).map(onNode));
        const wanted = Object.fromEntries(
          Object.entries(program.env).map(([key, value]) => [
            key,
            // No GPUs are inherited here, so that the node's numbers are the plan's.
            value === OWN_GPUS ? program.gpus.join(",") : onNode(value),
          ]),
        );
        expect(seen.env).toMatchObject(wanted);
        for (const name of program.secretEnv) expect(seen.env[name]).toBe(SECRETS[name]);
        expect(seen.env).toMatchObject(
          Object.fromEntries(
            Object.entries(base.config.sky.envs).filter(([key]) => !Object.hasOwn(program.env, key)),
          ),
        );
      }
      const { nginx } = locateTools();
      expect(nginx, "nginx is installed").toBeDefined();
      const node0 = join(home, ".dynamo-sky", "node0");
      const conf = join(node0, "run", "nginx.conf");
      writeFileSync(conf, nginxConf({ command: ["", "", ...recordOf("gateway").args.slice(1)] }));
      writeFileSync(join(node0, "run", "gateway-keys.conf"), "");
      const { bundle } = await issueCertificate("0".repeat(64), ["127.0.0.1"]);
      writeFileSync(join(node0, "run", "gateway-tls.pem"), bundle, { mode: 0o600 });
      // nginx opens its log by name: it must be a file, since a socket cannot be opened.
      const output = openSync(join(scratch, "nginx.log"), "w");
      const check = spawnSync(nginx?.path ?? "nginx", ["-t", "-p", node0, "-c", conf], {
        encoding: "utf8",
        stdio: ["ignore", output, "pipe"],
      });
      closeSync(output);
      expect(check.stderr).toMatch(/test is successful/);
    } finally {
      if (run.pid !== undefined) process.kill(-run.pid, "SIGTERM");
      await ended;
    }
    expect(canaries()).toEqual([]);
  });

  test("in a label, a variable or SkyPilot's own configuration is the same text for SkyPilot", () => {
    const slots = JUDGED.filter(({ slot }) => slot.setting.startsWith("sky."));
    const cases = slots.flatMap(({ slot, taken }) =>
      slot.many ? [planned(slot.put(taken))] : taken.map((value) => planned(slot.put([value]))),
    );
    const tasks = readByPyYaml(cases.map((one) => taskOf(one)));
    for (const [index, { config }] of cases.entries()) {
      const task = tasks[index] ?? {};
      const { labels = {}, image_id, instance_type } = task["resources"] as Record<string, unknown>;
      expect(labels).toEqual(config.sky.labels);
      expect(task["envs"] ?? {}).toEqual(config.sky.envs);
      // Settings of pods and options of containers are next to it.
      const { kubernetes: _pods, ssh: _hosts, docker, ...rest } = (task["config"] ?? {}) as SkyConfig;
      const asked = quotedSkyConfig(config.sky.config ?? {}) as SkyConfig;
      const { kubernetes: _own, docker: ownDocker, ...own } = asked;
      expect(rest).toEqual(own);
      const options = [ownDocker?.run_options ?? []].flat();
      const given = [docker?.run_options ?? []].flat();
      expect(given.slice(given.length - options.length)).toEqual(options);
      expect(task["config"]).toMatchObject({ ...asked, ...(docker === undefined ? {} : { docker }) });
      if (config.sky.image !== undefined) expect(image_id).toBe(config.sky.image);
      expect(instance_type).toBe(config.sky.instanceType);
    }
    expect(cases.length).toBeGreaterThan(20);
  });

  test("made of any characters is the same text for SkyPilot, in a heading too", () => {
    const character = fc.oneof(
      fc.constantFrom(..."'\"\\$`%{}[]:#&*!|>-?@, \n\t\r\0\x1b\x7f\u0085\u2028\u2029\ufeff\ud800eyno01~"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    );
    const text = fc.array(character, { maxLength: 12 }).map((parts) => parts.join(""));
    const samples = fc.sample(fc.record({ name: text, argument: text, value: text, label: text }), 300);
    const cases = samples.flatMap(({ name, argument, value, label }) => {
      const input: Partial<ConfigInput> = {
        servedModelName: name,
        engineArgs: ["--chat-template", argument],
        engineEnv: { HOSTILE: value },
        sky: { envs: { HOSTILE: value }, labels: { hostile: label } },
      };
      return refusal(input) === undefined ? [planned(input)] : [];
    });
    expect(cases.length).toBeGreaterThan(20);
    const tasks = readByPyYaml(cases.map((one) => taskOf(one)));
    const plansOnNodes = readByPyYaml(tasks.map(({ run }) => planIn(String(run))));
    for (const [index, { config, cluster }] of cases.entries()) {
      const task = tasks[index] ?? {};
      expect(Object.keys(task)).toEqual([
        "num_nodes",
        "resources",
        "config",
        "envs",
        "secrets",
        "file_mounts",
        "setup",
        "run",
      ]);
      expect(task["envs"]).toEqual(config.sky.envs);
      expect(task["resources"]).toMatchObject({ labels: config.sky.labels });
      const [onNodes] = programsOfPlans([plansOnNodes[index] as PlanEntry]);
      const find = (programs: readonly ProgramPlan[] = []) =>
        programs.find(({ name }) => name === "aggregated-0");
      expect(find(onNodes?.["0"])).toEqual(find(cluster.nodes[0]?.programs));
    }
  });

  test("as the model's name stays one word of the chat command", () => {
    const slot = SLOTS.find(({ setting }) => setting === "servedModelName");
    const names = slot === undefined ? [] : takenBy(slot);
    expect(names.length).toBeGreaterThan(50);
    const commands = names
      .map((name) =>
        chatCommand("http://127.0.0.1:8000", { model: name, task: "chat" }, { asksForKey: true }),
      )
      .join("\n");
    const output = execFileSync("bash", {
      cwd: scratch,
      env: environment,
      input: commands,
      encoding: "utf8",
    });
    const calls: string[][] = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(calls.map((args) => args.length)).toEqual(names.map(() => 8));
    expect(calls.map((args) => JSON.parse(args.at(-1) ?? "null").model)).toEqual(names);
    expect(canaries()).toEqual([]);
  });
});
