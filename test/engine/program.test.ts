/**
 * The whole program on the real Pulumi engine, with real Dynamo processes: one deployment's life. Each test
 * continues from the previous one's state.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import { deploymentOf } from "../../cli/deployment/running";
import type { OperationResult } from "../../cli/pulumi/openStack";
import type { ConfigInput } from "../../config/schema";
import { freePorts, listen, type Ports } from "../../dev/freePorts";
import { kill, processesOf } from "../../lib/processes";
import { clusterDirectory } from "../../local/directories";
import { eventually } from "../eventually";
import { filesHolding, SeenProcesses, secretsIn } from "../secrets";
import {
  ask,
  eachGoesOn,
  endOfUp,
  leftOf,
  namespaced,
  pids,
  processChanges,
  type TestProject,
  testProject,
} from "./programHarness";

const TOKEN = "hf_not-a-real-token";
const NO_STEPS: string[] = [];

let project: TestProject;
let ports: Ports;
let cluster = "";

/** The dev stack on the test's own ports. */
function dev(changes: Partial<ConfigInput> = {}, decode = 2): ConfigInput {
  return {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    // A killed worker counts as registered for this long, and readiness waits until it does not.
    controlPlane: { leaseTtlSeconds: 4 },
    pools: [
      { role: "prefill", replicas: 1 },
      { role: "decode", replicas: decode },
    ],
    ...ports,
    ...changes,
  };
}

function configure(config: ConfigInput): void {
  project.configure("dev", namespaced(config));
}

/** The steps, sorted: `update dynamo-frontend-0`. */
function stepsOf({ steps }: OperationResult): string[] {
  return steps.map(({ op, name }) => `${op} ${name}`).toSorted();
}

const restarted = processChanges(() => cluster);

const preview = async () => (await project.open("dev")).preview();
const up = async () => (await project.open("dev")).up();
const destroy = async () => (await project.open("dev")).destroy();
const outputs = async () => (await project.open("dev")).outputs();
/** The error message of a failed operation. */
const failure = (operation: Promise<unknown>) => operation.then(() => "it did not fail", String);

async function expectAnswer(): Promise<void> {
  const { endpoint, model } = await outputs();
  const { content, tokens } = await ask(String(endpoint), String(model));
  expect(content.length).toBeGreaterThan(0);
  expect(tokens).toBeGreaterThan(0);
}

beforeAll(async () => {
  project = testProject("life");
  ports = await freePorts();
  await project.encrypt("dev", "dynamo-sky:huggingFaceToken", TOKEN);
});

afterAll(() => project.remove());

eachGoesOn(() => project.lines);

describe("the program on the real engine", { timeout: 120_000 }, () => {
  it("refuses a wrong configuration, all mistakes at once and without a stack trace", async () => {
    project.configure("dev", {
      ...namespaced(dev({ pools: [{ role: "prefill", replicas: 1 }] })),
      "dynamo-sky:modle": "Qwen/Qwen3-8B",
    });
    const error = await failure(preview());
    expect(error).toContain('dynamo-sky:modle: unknown key. Did you mean "model"?');
    expect(error).toContain("dynamo-sky:pools");
    expect(error).not.toMatch(/\n\s+at /);
  });

  it("previews everything and starts nothing", async () => {
    configure(dev());
    const result = await preview();
    expect(stepsOf(result)).toEqual([
      "create dynamo-control-plane-etcd",
      "create dynamo-control-plane-nats",
      "create dynamo-credentials-etcd",
      "create dynamo-credentials-etcd-root",
      "create dynamo-credentials-nats",
      "create dynamo-decode-0",
      "create dynamo-decode-1",
      "create dynamo-frontend-0",
      "create dynamo-main-lease",
      "create dynamo-prefill-0",
      "create dynamo-ready-check",
      "create dynamo-suffix",
    ]);
    expect(processesOf(project.state)).toEqual([]);
  });

  it("comes up and answers", async () => {
    await up();
    const all = await outputs();
    const { endpoint, model, chat, apiKey } = all;
    expect(endpoint).toBe(`http://127.0.0.1:${ports.frontend.port}`);
    expect(model).toBe("Qwen/Qwen3-8B");
    expect(apiKey).toBeUndefined();
    expect(chat).toBe("bin/dynamo-sky ask --stack dev");
    expect(deploymentOf(all).curl).toContain(`curl -s ${String(endpoint)}/v1/chat/completions`);
    [cluster = ""] = deployedOf(all).topology.map((entry) => entry.cluster);
    expect(cluster).toMatch(/^life-dev-main-[a-z0-9]{6}$/);
    const programs = ["decode-0", "decode-1", "etcd", "frontend-0", "nats", "prefill-0"];
    expect(Object.keys(deploymentOf(all).logs).toSorted()).toEqual(programs);
    expect(await restarted()).toEqual(programs);
    await expectAnswer();
  });

  it("ends its update on one screen: what a person needs, and nothing over many lines", async () => {
    expect(await endOfUp(project)).toMatch(
      /endpoint *: "http:[\s\S]*look *: "bin\/dynamo-sky status --stack dev"/,
    );
  });

  it("changes nothing when nothing has changed", async () => {
    expect(stepsOf(await preview())).toEqual(NO_STEPS);
    expect(stepsOf(await up())).toEqual(NO_STEPS);
    expect(await restarted()).toEqual([]);
  });

  it("keeps the secret out of state, logs and command lines; on the node it is in a file of the owner's alone", () => {
    const file = join("clusters", cluster, "node0", "secrets.json");
    const path = join(project.state, file);
    expect(filesHolding({ TOKEN }, [project.state])).toEqual([{ secret: "TOKEN", path, mode: "600" }]);
    expect(secretsIn(project.lines.join("\n"), { TOKEN })).toEqual([]);
    expect(SeenProcesses.now().inCommands({ TOKEN })).toEqual([]);
  });

  it("restarts only the frontend for another router mode", async () => {
    configure(dev({ router: { mode: "round-robin" } }));
    expect(stepsOf(await up())).toEqual(["update dynamo-frontend-0", "update dynamo-ready-check"]);
    expect(await restarted()).toEqual(["frontend-0"]);
  });

  it("ends a change on one screen, too", async () => {
    for (const mode of ["random", "round-robin"] as const) {
      configure(dev({ router: { mode } }));
      await endOfUp(project);
      expect(await restarted()).toEqual(["frontend-0"]);
    }
  });

  it("adds one decode worker and touches no other", async () => {
    configure(dev({ router: { mode: "round-robin" } }, 3));
    expect(stepsOf(await up())).toEqual([
      "create dynamo-decode-2",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    expect(await restarted()).toEqual(["decode-2"]);
  });

  it("removes one decode worker and touches no other", async () => {
    configure(dev({ router: { mode: "round-robin" } }));
    expect(stepsOf(await up())).toEqual([
      "delete dynamo-decode-2",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    expect(await restarted()).toEqual(["decode-2"]);
  });

  it("shows in a preview what was lost, and why, and repairs it", async () => {
    for (const { pid } of processesOf(clusterDirectory(cluster))) kill(pid);
    const shown = await preview();
    expect(stepsOf(shown)).toEqual([
      "update dynamo-control-plane-etcd",
      "update dynamo-control-plane-nats",
      "update dynamo-decode-0",
      "update dynamo-decode-1",
      "update dynamo-frontend-0",
      "update dynamo-main-lease",
      "update dynamo-prefill-0",
      "update dynamo-ready-check",
    ]);
    expect(shown.steps.flatMap(({ changes }) => changes).join("\n")).toMatch(
      /node 0 does not run, seen 20\d\d-/,
    );
    await up();
    expect(await restarted()).toHaveLength(6);
    expect(stepsOf(await preview())).toEqual(NO_STEPS);
    await expectAnswer();
  });

  it("repairs the same loss a second time", async () => {
    for (const { pid } of processesOf(clusterDirectory(cluster))) kill(pid);
    expect(stepsOf(await up())).toHaveLength(8);
    expect(stepsOf(await preview())).toEqual(NO_STEPS);
    await restarted();
  });

  it("goes from disaggregated to aggregated workers on the same ports", async () => {
    configure(dev({ router: { mode: "round-robin" }, pools: [{ role: "aggregated", replicas: 2 }] }));
    expect(stepsOf(await up())).toEqual([
      "create dynamo-aggregated-0",
      "create dynamo-aggregated-1",
      "delete dynamo-decode-0",
      "delete dynamo-decode-1",
      "delete dynamo-prefill-0",
      "update dynamo-main-lease",
      "update dynamo-ready-check",
    ]);
    expect(await restarted()).toEqual(["aggregated-0", "aggregated-1", "decode-0", "decode-1", "prefill-0"]);
  });

  it("makes other nodes anew, with everything on them", async () => {
    const two = {
      cluster: { nodes: 2, gpusPerNode: 1 },
      pools: [{ role: "aggregated" as const, replicas: 2 }],
    };
    configure(dev({ router: { mode: "round-robin" }, ...two }));
    const steps = stepsOf(await up());
    // Two nodes speak TLS to each other: certificates take the place of etcd's passwords.
    expect(steps.filter((step) => !step.startsWith("update ")).toSorted()).toEqual([
      "create dynamo-credentials-nodes-authority",
      "create-replacement dynamo-main-lease",
      "delete dynamo-credentials-etcd",
      "delete dynamo-credentials-etcd-root",
      "delete-replaced dynamo-main-lease",
    ]);
    expect(await restarted()).toEqual(["aggregated-0", "aggregated-1", "etcd", "frontend-0", "nats"]);
    expect(Object.keys(await pids(cluster, 1))).toEqual(["aggregated-1"]);
    await expectAnswer();
    expect(stepsOf(await preview())).toEqual(NO_STEPS);
    configure(dev({ router: { mode: "round-robin" }, pools: two.pools }));
    await up();
    await restarted();
  });

  it("names the component and its last words when a change fails", async () => {
    const broken = {
      pools: [{ role: "aggregated" as const, replicas: 2, engineArgs: ["--speedup-ratio", "x"] }],
    };
    configure(dev({ router: { mode: "round-robin" }, ...broken, timeouts: { readySeconds: 8 } }));
    const error = await failure(up());
    expect(error).toContain("aggregated-");
    expect(error).toContain("argument --speedup-ratio: invalid float value");
  });

  it("repairs what a failed change has left when going back to what was before", async () => {
    configure(dev({ router: { mode: "round-robin" }, pools: [{ role: "aggregated", replicas: 2 }] }));
    const { steps } = await preview();
    expect(steps.flatMap(({ changes }) => changes).join("\n")).toMatch(
      /the last change of aggregated-\d failed/,
    );
    await up();
    await expectAnswer();
    expect(stepsOf(await preview())).toEqual(NO_STEPS);
  });

  it("is gone after destroy: no process, no port, no file", async () => {
    await destroy();
    expect(leftOf(cluster)).toEqual({ processes: [], directory: false });
    for (const port of [ports.frontend.port, ports.ports.etcdClient, ports.ports.workerSystem]) {
      const server = await listen(port);
      expect(server, `port ${port} is free`).toBeDefined();
      server?.close();
    }
  });
});

describe("a creation that fails", { timeout: 120_000 }, () => {
  it("says which port is taken, by whom and which key chooses another, and leaves nothing", async () => {
    const server = await listen(ports.frontend.port);
    configure(dev());
    try {
      const error = await failure(up());
      expect(error).toContain(`port ${ports.frontend.port} of 127.0.0.1 (frontend-0, http) is taken by`);
      expect(error).toContain("pulumi config set --path dynamo-sky:frontend.port <port>");
    } finally {
      server?.close();
    }
    await destroy();
    expect(processesOf(project.state)).toEqual([]);
  });

  it("half way is cleaned up by destroy", async () => {
    configure(dev({ engineArgs: ["--speedup-ratio", "x"], timeouts: { readySeconds: 8 } }));
    const error = await failure(up());
    expect(error).toContain("argument --speedup-ratio: invalid float value");
    expect(processesOf(project.state).length).toBeGreaterThan(0);
    await destroy();
    expect(processesOf(project.state)).toEqual([]);
    expect(stepsOf(await destroy())).toEqual(NO_STEPS);
  });

  it("half way is gone on with by the next update, when it was interrupted", async () => {
    configure(dev());
    project.lines.length = 0;
    const stop = new AbortController();
    const interrupted = failure((await project.open("dev")).up({ signal: stop.signal }));
    await eventually(() => project.lines.some((line) => line.includes("dynamo-decode-0 creating")));
    stop.abort();
    expect(await interrupted).toContain("up was cancelled");
    await up();
    await expectAnswer();
    expect(stepsOf(await preview())).toEqual(NO_STEPS);
    await destroy();
    expect(processesOf(project.state)).toEqual([]);
  });
});
