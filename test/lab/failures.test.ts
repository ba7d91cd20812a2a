/** The driver's messages for failures of the real SkyPilot: kind, cause, what is left running, next step. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SeenProcesses, secretsIn } from "../secrets";
import { driver, jobs, reason, requireLab, sky, titled } from "./harness";

const TIMEOUT = 600_000;
const CLUSTER = "labtest-failures";
const FULL = "labtest-full";
const SECRET = "hf_thisMustNotBeSeenAnywhere";

interface Task {
  readonly num_nodes?: number;
  readonly resources?: object;
  readonly setup?: string;
  readonly run?: string;
  readonly secrets?: readonly string[];
}

describe.skipIf(reason !== undefined)(titled("a failure on SkyPilot"), { timeout: TIMEOUT }, () => {
  const launch = (task: Task, changes: object = {}, env: Readonly<Record<string, string>> = {}) => {
    const whole = { num_nodes: 2, resources: { infra: "slurm/lab", accelerators: "A100:1" }, ...task };
    const input = { cluster: CLUSTER, infra: ["slurm/lab"], port: 8000, task: whole, ...changes };
    return driver("sky launch", input, env);
  };
  /** The first of five launches that fails: one that sees the task run, before it ends, does not. */
  const failedLaunch = async (task: Task) => {
    let ended = await launch(task);
    for (let more = 4; more > 0 && ended.code === 0; more--) ended = await launch(task);
    return ended;
  };
  const down = (cluster: string) => driver("sky down", { cluster, infra: ["slurm/lab"] });

  beforeAll(requireLab);
  afterAll(async () => {
    await sky("down", "-y", CLUSTER, FULL);
  }, TIMEOUT);

  it("by an API server that does not answer", async () => {
    const { code, stderr } = await launch(
      { run: "true" },
      {},
      { SKYPILOT_API_SERVER_ENDPOINT: "http://127.0.0.1:9" },
    );
    expect(code).toBe(1);
    expect(stderr).toContain("SkyPilot's API server cannot be reached");
    expect(stderr).toContain("Next: See 'sky api info'");
  });

  it("by an accelerator that there is not", async () => {
    const { code, stderr } = await launch({
      resources: { infra: "slurm/lab", accelerators: "H200:8" },
      run: "true",
    });
    expect(code).toBe(1);
    expect(stderr).toContain("the request cannot be met as it is");
    expect(stderr).toMatch(/Cause: .*H200/);
    expect(stderr).toContain("Left running: nothing");
  });

  it("by a field that SkyPilot does not know", async () => {
    const { code, stderr } = await launch({
      resources: { infra: "slurm/lab", accelerator: "A100:1" },
      run: "true",
    });
    expect(code).toBe(1);
    expect(stderr).toContain("the request cannot be met as it is");
    expect(stderr).toMatch(/Cause: .*accelerator/);
  });

  it("by a cloud without credentials", async () => {
    const { code, stderr } = await launch({ resources: { infra: "aws", cpus: 2 }, run: "true" });
    expect(code).toBe(1);
    expect(stderr).toContain("no access to the cloud");
    expect(stderr).toContain("sky check");
  });

  it("of the set-up: its last lines, what is left running and what that costs", async () => {
    const { code, stderr } = await launch({ setup: "echo no such package; exit 3", run: "true" });
    expect(code).toBe(1);
    expect(stderr).toContain("setting up the nodes failed");
    expect(stderr).toMatch(/Last lines of the set-up:\n(.*\n)*? {2}no such package/);
    expect(stderr).toMatch(
      /Left running: labtest-failures \(UP; 2 nodes on Slurm lab; .*A100.*\), (\$\d|at a price)/,
    );
  });

  it("of one rank: its last lines and no others, however long they are", async () => {
    const long = "python3 -c \"print('x' * 200000)\"; printf 'a\\rb\\rc\\n'";
    const { code, stderr } = await failedLaunch({
      run: `if [ "$SKYPILOT_NODE_RANK" = 0 ]; then echo rank 0 is fine; sleep 600; fi; ${long}; echo no such model; exit 7`,
    });
    expect(code).toBe(1);
    expect(stderr).toContain("the task failed");
    expect(stderr).toMatch(/Last lines of rank 1:\n(.*\n)*? {2}no such model/);
    expect(stderr).not.toContain("rank 0 is fine");
    expect(stderr).not.toContain("\r");
    expect(Math.max(...stderr.split("\n").map((line) => Buffer.byteLength(line)))).toBeLessThan(1100);
  });

  it("never shows a secret: neither in a command line nor in what is printed", async () => {
    const { code, stdout, stderr } = await launch(
      { secrets: ["HF_TOKEN"], run: "test -s ~/.dynamo-sky/secrets.json && sleep 600" },
      { secrets: { HF_TOKEN: SECRET } },
    );
    expect(code, stderr).toBe(0);
    expect((await jobs(CLUSTER)).filter(({ status }) => status === "RUNNING")).toHaveLength(1);
    const log = await sky("logs", "--no-follow", CLUSTER);
    const secrets = { HF_TOKEN: SECRET };
    expect(secretsIn([stdout, stderr, log.stdout].join("\n"), secrets)).toEqual([]);
    expect(SeenProcesses.now().inCommands(secrets)).toEqual([]);
  });

  it("for want of free nodes: what it waited for, and nothing goes on waiting", async () => {
    // Two of the four nodes are in use.
    const { code, stderr } = await launch(
      { num_nodes: 3, run: "true" },
      { cluster: FULL, timeoutSeconds: 60 },
    );
    expect(code).toBe(1);
    expect(stderr).toContain("no capacity");
    expect(stderr).toMatch(/Cause: it still waited at its time limit: .*pending: Resources/);
    expect(stderr).toContain(`Left running: ${FULL} (INIT;`);
    expect((await down(FULL)).code).toBe(0);
  });

  it("leaves nothing after the teardown", async () => {
    expect((await down(CLUSTER)).code).toBe(0);
    const again = await down(CLUSTER);
    expect(again.stderr).toContain("nothing of it runs");
    expect(again.code).toBe(0);
  });
});
