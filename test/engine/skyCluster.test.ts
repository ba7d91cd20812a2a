/**
 * Clusters on the real Pulumi engine: which are created and torn down, and in which order. `sky` and the
 * endpoint are stand-ins here; the real ones are in test/lab, where no two clusters of a deployment fit at
 * the same time.
 */
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DynamoClusterArgs } from "../../components";
import { freePorts } from "../../dev/freePorts";
import { FakeSky } from "../unit/skyHarness";
import { COMPONENTS, type TestProject, testProject } from "./programHarness";

/** Creates the deployment described by `arguments.json`. */
const PROGRAM = `${COMPONENTS}
module.exports = async () => {
  const { address, details } = new DynamoCluster("dynamo", require("./arguments.json"));
  return { endpoint: address, deployment: details };
};
`;
const MODEL = "Qwen/Qwen3-8B";

/** Stand-in for a frontend: one aggregated worker, and a response with a token. */
function standInFrontend(port: number): Promise<Server> {
  const ready = { ready: true, namespaces: { dynamo: { worker_types: { aggregated: { workers: 1 } } } } };
  const answer = { usage: { completion_tokens: 1 }, choices: [{ message: { content: "Hello." } }] };
  const server = createServer((request, response) => {
    response.end(JSON.stringify(request.url?.endsWith("/ready") ? ready : answer));
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

describe("clusters of a stack on SkyPilot", { timeout: 120_000 }, () => {
  const sky = new FakeSky();
  const before = { ...process.env };
  let project: TestProject;
  let frontend: Server;
  let args: DynamoClusterArgs;

  beforeAll(async () => {
    const ports = await freePorts();
    frontend = await standInFrontend(ports.frontend.port);
    project = testProject("clusters", PROGRAM);
    const { PATH = "", FAKE_SKY = "" } = sky.env;
    Object.assign(process.env, { PATH, FAKE_SKY });
    sky.set({ ip: "127.0.0.1" });
    writeFileSync(join(FAKE_SKY, "willing-node"), "");
    args = {
      ...ports,
      clusterPrefix: "clusters-test",
      model: MODEL,
      pools: [{ role: "aggregated", tensorParallel: 8 }],
      sky: { infra: "aws" },
      access: { gateway: false },
    };
  });
  afterAll(() => {
    frontend.close();
    process.env = before;
    project.remove();
    sky.remove();
  });

  /** Runs an operation. @returns Launches and teardowns in order, by name of the cluster. */
  async function operate(
    kind: "up" | "destroy",
    changes: Partial<DynamoClusterArgs> = {},
  ): Promise<string[]> {
    args = { ...args, ...changes };
    const done = sky.calls.length;
    writeFileSync(join(project.directory, "arguments.json"), JSON.stringify(args));
    const stack = await project.open("test");
    try {
      await stack[kind]();
    } finally {
      happened = sky.calls
        .slice(done)
        .flatMap(([verb, ...rest]) =>
          verb === "launch"
            ? [`launch ${rest[rest.indexOf("-c") + 1]}`]
            : verb === "down"
              ? [`down ${rest.at(-1)}`]
              : [],
        );
    }
    return happened;
  }
  let happened: string[] = [];
  const running = () => Object.keys(sky.state.clusters);
  const h = (accelerator: string) => ({ cluster: { accelerator } });

  it("are launched once", async () => {
    project.configure("test", {});
    await operate("up");
    const [name = ""] = running();
    expect(name).toMatch(/^clusters-test-main-[a-z0-9]{6}$/);
    expect(happened).toEqual([`launch ${name}`]);
    expect(await operate("up")).toEqual([]);
  });

  it("are replaced under the same name by another accelerator, the old one first", async () => {
    const [name = ""] = running();
    expect(await operate("up", h("H200"))).toEqual([`down ${name}`, `launch ${name}`]);
  });

  it("stay when only programs or the task change; a change of programs launches nothing", async () => {
    const [name = ""] = running();
    expect(await operate("up", { router: { mode: "round-robin" } })).toEqual([]);
    const more = { infra: "aws", envs: { A: "1" } } as const;
    expect(await operate("up", { sky: more })).toEqual([`launch ${name}`]);
    // There are no prices here.
    const limits = { allowUnknownPrice: true };
    for (const maxHourlyCost of [200, 100])
      expect(await operate("up", { limits, sky: { ...more, maxHourlyCost } })).toEqual([]);
  });

  it("are replaced without a gap when asked for: the new one first, under another name", async () => {
    await operate("up", { sky: { infra: "aws", deleteBeforeReplace: false } });
    const [old = ""] = running();
    await operate("up", h("H100"));
    const [made = ""] = running();
    expect(made).not.toBe(old);
    expect(running()).toHaveLength(1);
    expect(happened).toEqual([`launch ${made}`, `down ${old}`]);
  });

  it("keep the old one when the new one does not come up; the next update goes on", async () => {
    const [old = ""] = running();
    sky.set({ ...sky.state, launch: { exit: 1, lines: ["no capacity: InsufficientInstanceCapacity"] } });
    await expect(operate("up", h("H200"))).rejects.toThrow("no capacity");
    expect(running()).toContain(old);
    expect(happened).not.toContain(`down ${old}`);
    // Pulumi's display calls them deleted, since this update did not come to them: they are not.
    const outputs = JSON.parse(await project.pulumi("test", ["stack", "output", "--json"]));
    expect(outputs).toEqual({
      endpoint: `http://127.0.0.1:${args.frontend?.port}`,
      deployment: expect.objectContaining({ topology: [expect.objectContaining({ cluster: old })] }),
    });
    const { launch: _, ...working } = sky.state;
    sky.set(working);
    await operate("up");
    expect(running()).toHaveLength(1);
    expect(running()).not.toContain(old);
  });

  it("of a deployment that is called otherwise now are not forgotten", async () => {
    const [old = ""] = running();
    await operate("up", { clusterPrefix: "renamed-test" });
    expect(running()).toEqual([expect.stringMatching(/^renamed-test-main-[a-z0-9]{6}$/)]);
    expect(happened).toContain(`down ${old}`);
  });

  it("are gone after destroy", async () => {
    await operate("destroy");
    expect(running()).toEqual([]);
  });

  it("whose first launch failed are found by destroy, though Pulumi does not know of the launch", async () => {
    sky.set({ ip: "127.0.0.1", launch: { exit: 1, lines: ["Failed to set up SkyPilot runtime"] } });
    await expect(operate("up")).rejects.toThrow("setting up the nodes failed");
    expect(running()).toHaveLength(1);
    await operate("destroy");
    expect(running()).toEqual([]);
  });
});
