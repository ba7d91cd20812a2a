/**
 * The engine's events for the program, as `pulumi up --json` prints and a backend may store them: no secret,
 * and the reason of a repair exactly once. Each test continues from the previous one's state.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import {
  type EngineEvent,
  LocalWorkspace,
  PulumiCommand,
  type PulumiFn,
  Stack,
} from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import { outputsIn } from "../../cli/pulumi/exported";
import { freePorts } from "../../dev/freePorts";
import { kill, processesOf } from "../../lib/processes";
import { clusterDirectory, nodeDirectory } from "../../local/directories";
import { beginChange } from "../../local/proven";
import { enginePath, ensureToolchain } from "../../toolchain";
import { stopByHand } from "../nodes";
import { secretsIn } from "../secrets";
import { namespaced, pids, REPOSITORY, type TestProject, testProject } from "./programHarness";

const TOKEN = "hf_not-a-real-token-of-anybody";
const load = createRequire(join(REPOSITORY, "package.json"));

let project: TestProject;
let stack: Stack;
let cluster = "";
let events: EngineEvent[] = [];

const options = {
  onEvent: (event: EngineEvent) => void events.push(event),
  suppressOutputs: true,
  color: "never",
} as const;

/** The engine's new warnings: the resource's name, and the message. */
function warnings(): string[] {
  const told = events.flatMap(({ diagnosticEvent: event }) =>
    event?.severity === "warning" && event.urn
      ? [`${event.urn.split("::").at(-1)}: ${event.message.replace(/<\{%[^%]*%\}>/g, "").trim()}`]
      : [],
  );
  events = [];
  return told;
}

const URN = (name: string, parents: string) =>
  `urn:pulumi:dev::events::dynamo-sky:index:DynamoCluster$dynamo-sky:index:${parents}$command:local:Command::${name}`;

beforeAll(async () => {
  project = testProject("events");
  await project.encrypt("dev", "dynamo-sky:huggingFaceToken", TOKEN);
  const pools = [{ role: "aggregated" as const, replicas: 2 }];
  const access = { gateway: true, tls: { mode: "generated" } } as const;
  // A killed worker counts as registered for this long, and readiness waits until it does not.
  const controlPlane = { leaseTtlSeconds: 4 };
  const config = { target: "local", model: "Qwen/Qwen3-8B", pools, access, controlPlane } as const;
  project.configure("dev", namespaced({ ...config, ...(await freePorts()) }));
  const toolchain = await ensureToolchain({ need: ["pulumi", "plugins"] });
  const workspace = await LocalWorkspace.create({
    workDir: project.directory,
    program: load("./program.cjs") as PulumiFn,
    pulumiCommand: await PulumiCommand.get({ root: join(toolchain.pulumi?.path ?? "", "..", "..") }),
    envVars: {
      DYNAMO_SKY_STATE: project.state,
      PULUMI_BACKEND_URL: `file://${project.state}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PATH: enginePath(toolchain),
    },
  });
  stack = await Stack.select("dev", workspace);
});

afterAll(() => project?.remove());

describe("the engine's events", { timeout: 120_000 }, () => {
  it("hold no secret, the debug messages of the SDK neither", async () => {
    const { outputs } = await stack.up(options);
    [cluster = ""] = deployedOf(outputsIn(await stack.exportStack())).topology.map((entry) => entry.cluster);
    const secrets: Record<string, string> = JSON.parse(
      readFileSync(join(nodeDirectory(cluster, 0), "secrets.json"), "utf8"),
    );
    const all = { ...secrets, TOKEN, apiKey: String(outputs["apiKey"]?.value) };
    expect(all.apiKey).toMatch(/^[a-z0-9]{48}$/);
    const debug = events.filter(({ diagnosticEvent }) => String(diagnosticEvent?.severity) === "debug");
    // The SDK still logs debug messages, so a value would be found here.
    expect(debug.length).toBeGreaterThan(20);
    expect(JSON.stringify(debug)).toMatch(/RegisterResource RPC finished: [^"]* resp: \(left out/);
    expect(secretsIn(events.map((event) => JSON.stringify(event)).join("\n"), all)).toEqual([]);
    expect(warnings()).toEqual([]);
  });

  it("tell why a worker is started again: once in a preview, once in an update, and on that worker", async () => {
    stopByHand(nodeDirectory(cluster, 0), "aggregated-1");
    const reason =
      /^dynamo-aggregated-1: aggregated-1 does not run \(MISSING\), seen 20\S+: an update repairs it\.$/;
    await stack.preview(options);
    expect(warnings()).toEqual([expect.stringMatching(reason)]);
    await stack.up(options);
    // `up` is only the update here; the CLI shows a preview first.
    expect(warnings()).toEqual([expect.stringMatching(reason)]);
    await stack.preview({ ...options, expectNoChanges: true });
    expect(warnings()).toEqual([]);
  });

  it("tell once that all of a node was lost, not for each of its programs", async () => {
    for (const { pid } of processesOf(clusterDirectory(cluster))) kill(pid);
    await stack.up(options);
    expect(warnings()).toEqual([
      expect.stringMatching(/^dynamo-main-lease: node 0 does not run, seen 20\S+: an update repairs it\.$/),
    ]);
    await stack.preview({ ...options, expectNoChanges: true });
  });

  it.each([
    ["a worker", "dynamo-aggregated-1", "Workers"],
    ["the nodes", "dynamo-main-lease", "LocalCluster"],
  ])("show nothing left to do after %s was replaced by hand", async (_, name, parents) => {
    const before = await pids(cluster);
    await stack.up({ ...options, replace: [URN(name, parents)] });
    expect((await pids(cluster))["aggregated-1"]).not.toBe(before["aggregated-1"]);
    await stack.preview({ ...options, expectNoChanges: true });
    expect(warnings()).toEqual([]);
  });

  it("tell on the proof that a deployment has yet to serve", async () => {
    beginChange(cluster);
    await stack.up(options);
    expect(warnings()).toEqual([
      expect.stringMatching(/^dynamo-ready-check: not ready at the end of the last update, seen 20/),
    ]);
    await stack.destroy(options);
  });
});
