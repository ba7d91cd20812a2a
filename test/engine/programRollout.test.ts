/**
 * Changes of a deployment that serves, on the real Pulumi engine with real Dynamo processes: every stream of
 * a steady load comes to its end. Each test continues from the previous one's state.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import { removeLeftovers } from "../../cli/pulumi/leftovers";
import type { ConfigInput } from "../../config/schema";
import { type StreamedAnswer, sendStreams } from "../../dev/benchmarks/streams";
import { freePorts, type Ports } from "../../dev/freePorts";
import { kill } from "../../lib/processes";
import { nodeDirectory } from "../../local/directories";
import { enginePath, ensureToolchain } from "../../toolchain";
import { readHistory } from "../nodes";
import { processesWith } from "../processes";
import { eachGoesOn, namespaced, processChanges, type TestProject, testProject } from "./programHarness";

const STREAMS = 50;
const ANSWER_TOKENS = 24;
const DECODE = ["decode-0", "decode-1", "decode-2", "decode-3"];
const FRONTENDS = ["frontend-0", "frontend-1"];
const FRONTENDS_CHANGED: Changes = { migrationLimit: 5, router: { mode: "round-robin" } };
const GATEWAY = { gateway: true, requestsPerSecond: 100_000, burst: 1_000_000, connectionsPerKey: 1000 };
const GOOD = ["--max-num-seqs", "128"];
/** The mocker ends at once with it. */
const REFUSED = ["--max-num-seqs", "many"];

/** Of a rollout over workers, in the order in which they come. */
const MOMENTS = [
  /dynamo-decode-\d updating/,
  /restarting decode-\d/,
  /waiting for decode-\d to serve/,
  /decode-\d has answered a request/,
  /ready-check .*updating/,
];

/** Marks the processes of an update that is killed. The nodes' programs are older. */
const UPDATE = "ROLLOUT_TEST_UPDATE";

let project: TestProject;
let ports: Ports;
let cluster = "";
let isOver = false;
/** Requests whose idle connection was closed when they were sent. */
let again = 0;
let load: Promise<StreamedAnswer[]> = Promise.resolve([]);

interface Changes extends Partial<ConfigInput> {
  readonly decode?: number;
  readonly decodeArgs?: readonly string[];
  readonly migrationLimit?: number;
  readonly keys?: Partial<ConfigInput["access"]>;
}

function configure({
  decode = 4,
  decodeArgs = [],
  migrationLimit = 3,
  keys = {},
  ...changes
}: Changes): void {
  const config = {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    // Streams that are long enough to be cut, and few enough tokens for a small machine.
    engineArgs: ["--speedup-ratio", "0.1"],
    pools: [
      { role: "prefill", replicas: 1 },
      { role: "decode", replicas: decode, engineArgs: [...decodeArgs] },
    ],
    ...ports,
    access: { ...GATEWAY, ...keys },
    frontend: { ...ports.frontend, replicas: 2, migrationLimit },
    ...changes,
  };
  project.configure("dev", namespaced(config as ConfigInput));
}

const up = async () => (await project.open("dev")).up();
const outputs = async () => (await project.open("dev")).outputs({ showSecrets: true });

const restarted = processChanges(() => cluster);

/**
 * What was said of the programs since `start`, in order: `restarting decode-0`, `decode-0 has answered a
 * request`.
 */
function said(start: number): string[] {
  const lines = project.lines.slice(start).join("\n");
  return [...lines.matchAll(/restarting [a-z]+-\d|[a-z]+-\d has answered a request/g)].map(([text]) => text);
}

/** That each was restarted only when the one before had answered. */
function expectInTurn(start: number, programs: readonly string[]): void {
  const lines = said(start).filter((line, index, all) => all.indexOf(line) === index);
  const names = lines.filter((_, index) => index % 2 === 0).map((line) => line.replace("restarting ", ""));
  expect(names.toSorted()).toEqual([...programs]);
  expect(lines).toEqual(names.flatMap((name) => [`restarting ${name}`, `${name} has answered a request`]));
}

/**
 * Kills what there is of an update.
 * @returns How many that were: one that was killed may just have started another.
 */
function killUpdate(): number {
  const pids = processesWith(UPDATE, project.state);
  for (const pid of pids) kill(pid);
  return pids.length;
}

/**
 * Kills `pulumi up` as soon as it says such a line, with its plugins and the drivers that they have started.
 */
async function killedUp(text: RegExp): Promise<void> {
  const toolchain = await ensureToolchain({ need: ["pulumi", "plugins"] });
  const child = spawn(
    toolchain.pulumi?.path ?? "pulumi",
    ["up", "--yes", "--skip-preview", "--color", "never", "--stack", "dev", "--non-interactive"],
    {
      cwd: project.directory,
      env: {
        ...process.env,
        PATH: enginePath(toolchain),
        PULUMI_BACKEND_URL: `file://${project.state}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        [UPDATE]: project.state,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const told: string[] = [];
  let wasSaid = false;
  createInterface({ input: child.stderr }).on("line", (line) => told.push(line));
  for await (const line of createInterface({ input: child.stdout })) {
    told.push(line);
    wasSaid ||= text.test(line);
    if (wasSaid) killUpdate();
  }
  project.lines.push(...told);
  expect(wasSaid, `pulumi said ${text.source} in:\n${told.join("\n")}`).toBe(true);
  await expect.poll(killUpdate).toBe(0);
  removeLeftovers(project.state, "rollout", "dev", () => undefined);
}

/** How often each decode worker was started since it was given its present plan. */
const starts = (): number[] =>
  DECODE.map((name) => readHistory(nodeDirectory(cluster, 0), name)?.starts ?? 0);

beforeAll(async () => {
  project = testProject("rollout");
  ports = await freePorts();
});
afterAll(() => {
  isOver = true;
  project.remove();
});

eachGoesOn(() => project.lines);

const LONG = { timeout: 240_000 };

it("starts all at once", LONG, async () => {
  configure({});
  const start = project.lines.length;
  await up();
  expect(said(start)).toEqual([]);
  const all = await outputs();
  [cluster = ""] = deployedOf(all).topology.map((entry) => entry.cluster);
  await restarted();
  load = sendStreams(
    {
      url: String(all["endpoint"]),
      model: "Qwen/Qwen3-8B",
      authorization: `Bearer ${String(all["apiKey"])}`,
    },
    {
      requests: Number.POSITIVE_INFINITY,
      clients: STREAMS,
      answerTokens: ANSWER_TOKENS,
      isOver: () => isOver,
      onAgain: () => again++,
    },
  );
});

it("changes an argument of four workers one after the other", LONG, async () => {
  configure({ decodeArgs: GOOD });
  const start = project.lines.length;
  await up();
  expectInTurn(start, DECODE);
  expect(await restarted()).toEqual(DECODE);
});

it(
  "changes router and argument of two frontends one after the other, beside one more worker",
  LONG,
  async () => {
    configure({ ...FRONTENDS_CHANGED, decodeArgs: GOOD, decode: 5 });
    const start = project.lines.length;
    await up();
    expectInTurn(start, FRONTENDS);
    expect(await restarted()).toEqual(["decode-4", ...FRONTENDS]);
  },
);

it("takes a new key beside the old one, and starts nothing anew", LONG, async () => {
  const graceUntil = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, "");
  const keys = { keys: ["next"], retiredKeys: [{ name: "default", graceUntil }] };
  configure({ ...FRONTENDS_CHANGED, decodeArgs: GOOD, decode: 5, keys });
  const before = await outputs();
  await up();
  const after = await outputs();
  expect(await restarted()).toEqual([]);
  expect(after["apiKey"]).not.toBe(before["apiKey"]);
  for (const { apiKey } of [before, after]) {
    const headers = { Authorization: `Bearer ${String(apiKey)}` };
    expect((await fetch(`${String(after["endpoint"])}/v1/models`, { headers })).status).toBe(200);
  }
  // Back to one key, whose value has not changed: the load has it.
  configure({ ...FRONTENDS_CHANGED, decodeArgs: GOOD, decode: 5 });
  await up();
  expect(await restarted()).toEqual([]);
});

it(
  "stops at the first worker that does not come up, beside one worker less, and the others serve as before",
  LONG,
  async () => {
    configure({
      ...FRONTENDS_CHANGED,
      decodeArgs: REFUSED,
      timeouts: { readySeconds: 10 },
    });
    const error = await up().then(() => "it did not fail", String);
    expect(error).toContain("invalid int value: 'many'");
    expect(error).toMatch(/The rollout of decode stops here: the others serve as before\. Mend the setting/);
    expect(error).toMatch(/The rollout of decode was stopped because the change of decode-\d failed/);
    const changed = await restarted();
    expect(changed).toHaveLength(2);
    expect([...DECODE, "decode-4"]).toEqual(expect.arrayContaining(changed));
    expect(changed).toContain("decode-4");
  },
);

it("goes on with another argument from where it stopped, and from where it was killed", LONG, async () => {
  configure({ ...FRONTENDS_CHANGED, decodeArgs: ["--max-num-seqs", "64"] });
  const broken = DECODE.filter((name) => project.lines.some((line) => line.includes(`${name} failed`)));
  const start = project.lines.length;
  await killedUp(/has answered a request/);
  // What did not serve went first.
  expect(said(start).at(-1)).toBe(`${broken[0]} has answered a request`);
  await up();
  expect(await restarted()).toEqual(DECODE);
  expect((await (await project.open("dev")).preview()).steps).toEqual([]);
});

it("goes on from wherever it was killed, and starts no worker twice", LONG, async () => {
  configure({ ...FRONTENDS_CHANGED, decodeArgs: ["--max-num-seqs", "32"] });
  for (const moment of MOMENTS) await killedUp(moment);
  await up();
  expect(starts()).toEqual(DECODE.map(() => 1));
  expect(await restarted()).toEqual(DECODE);
  expect((await (await project.open("dev")).preview()).steps).toEqual([]);
});

it("has lost no stream", LONG, async () => {
  isOver = true;
  const answers = await load;
  const lost = answers.filter(({ isWhole }) => !isWhole);
  const longest = Math.max(...answers.map(({ pauseMs }) => pauseMs));
  process.stderr.write(
    `${answers.length} streams, longest pause ${(longest / 1000).toFixed(1)} s, ${again} sent again\n`,
  );
  expect(lost.slice(0, 5)).toEqual([]);
  expect(answers.length).toBeGreaterThan(STREAMS);
  // Keys were changed twice.
  expect(again).toBeLessThanOrEqual(2 * STREAMS);
  await (await project.open("dev")).destroy();
});
