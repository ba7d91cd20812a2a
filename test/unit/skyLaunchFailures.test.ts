import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verb as launchVerb } from "../../sky/launch";
import { pauseBefore } from "../../sky/passing";
import { CLUSTER, FakeSky, type FakeState, launchInput } from "./skyHarness";

let sky: FakeSky;
beforeEach(() => {
  sky = new FakeSky();
});
afterEach(() => sky.remove());

describe("sky launch fails", () => {
  const failing = (line: string): FakeState => ({ launch: { lines: [line], exit: 1, left: false } });

  it.each([
    [
      "no capacity",
      "sky.exceptions.ResourcesUnavailableError: Failed to acquire resources in all zones in us-east-1 (InsufficientInstanceCapacity)",
      "sky.infra",
    ],
    [
      "the account's quota",
      "An error occurred (VcpuLimitExceeded) when calling RunInstances: more vCPU capacity than your current limit",
      "higher quota",
    ],
    [
      "no access to the cloud",
      "sky.exceptions.ResourcesUnavailableError: Task requires aws which is not enabled. To enable access, run: sky check aws",
      "sky check",
    ],
    [
      "the request cannot be met",
      "sky.exceptions.ResourcesUnavailableError: Catalog does not contain any instances satisfying the request: 1x AWS({'B999': 8}).",
      "sky gpus list",
    ],
    [
      "the request cannot be met",
      "sky.exceptions.InvalidSkyPilotConfigError: Invalid resources YAML: Instead of 'accelerator', did you mean 'accelerators'?",
      "configuration",
    ],
    ["SkyPilot failed", "Something that nobody has foreseen", "sky api status"],
  ])("%s", async (title, line, advice) => {
    sky.set(failing(line));
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain(`The launch of ${CLUSTER} failed while optimising: ${title}`);
    expect(error).toContain(`Cause: ${line.replace(/^sky\.exceptions\.\w+: /, "")}`);
    expect(error).toContain("Left running: nothing");
    expect(error.split("\n").at(-1)).toMatch(/^Next: /);
    expect(error.split("\n").at(-1)).toContain(advice);
  });

  it("setting up the nodes: the last lines of the provisioning log, what is left and what that costs", async () => {
    sky.set({
      launch: {
        lines: [
          "Launching on AWS us-east-1.",
          "sky.exceptions.ClusterSetUpError: Failed to set up SkyPilot runtime",
        ],
        exit: 1,
        status: "INIT",
      },
      provisionLog: "installing\nno space left on device",
    });
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain("failed while provisioning: a disk is full");
    expect(error).toContain("Cause: no space left on device (Failed to set up SkyPilot runtime)");
    expect(error).toContain("Last lines of the provisioning log:\n  installing\n  no space left on device");
    expect(error).toContain(
      `Left running: ${CLUSTER} (INIT; 2 nodes on AWS us-east-1; 2x(gpus=H100:8)), $196.60 an hour`,
    );
  });

  const COPIES = ["Instances are up.", "Syncing files."];
  const NOT_COPIED = "Failed to run command before rsync s3://weights/qwen -> ~/.dynamo-sky/models/qwen.";
  const copying = (...lines: string[]) => ({ lines: [...COPIES, NOT_COPIED, ...lines], exit: 1 });

  it("not where a bucket was away for a moment: it goes on with the same nodes", async () => {
    const busy = copying(
      "fatal error: An error occurred (SlowDown) when calling the ListObjectsV2 operation",
      "Retry-After: 0",
    );
    const cut = copying("download failed: Connection broken: IncompleteRead", "retry-after: 0");
    sky.set({ launches: [busy, cut] });
    const { error, output } = await sky.run(launchVerb, launchInput);
    expect(error).toBeUndefined();
    expect(output.match(/copying files failed \(.*\); again in 0 s/g)).toHaveLength(2);
    expect(sky.changes.filter(([verb]) => verb === "launch")).toHaveLength(3);
  });

  it("at once where a bucket refuses", async () => {
    sky.set({ launch: copying("fatal error: An error occurred (AccessDenied) when calling ListObjectsV2") });
    const { error } = await sky.run(launchVerb, launchInput);
    expect(error).toContain("failed while syncing");
    expect(sky.changes.filter(([verb]) => verb === "launch")).toHaveLength(1);
  });

  it("after its attempts where a bucket stays away", async () => {
    sky.set({
      launch: copying("An error occurred (SlowDown) when calling the GetObject operation", "Retry-After=0"),
    });
    const { error } = await sky.run(launchVerb, launchInput);
    expect(error).toContain("failed while syncing: a server asks to come back later");
    expect(sky.changes.filter(([verb]) => verb === "launch")).toHaveLength(5);
  });

  it.each([0, 1, 2, 3])("with pauses that grow and differ, within a bound: %d", (attempt) => {
    const lines = [NOT_COPIED];
    const failed = { stage: "syncing", failure: { kind: "unknown", cause: "" }, lines } as const;
    const pause = (at: number, random: number) => pauseBefore(failed, at, random) ?? 0;
    expect(pause(attempt, 1)).toBe(pause(attempt, 0) * 1.5);
    expect(pause(attempt, 0)).toBe(15 * 2 ** attempt);
    expect(pauseBefore({ ...failed, lines: [...lines, "Retry-After: 9000"] }, attempt, 0)).toBe(300);
    expect(pauseBefore({ ...failed, stage: "starting" }, attempt, 0)).toBeUndefined();
  });

  it("the task: the last lines of the rank that failed", async () => {
    sky.set({
      launch: { job: ["FAILED"] },
      log: [
        "(head, rank=0, pid=1) rank 0 is fine",
        "(worker1, rank=1, pid=2) loading",
        "(worker1, rank=1, pid=2) no such model",
        "ERROR: Job 1 failed with return code list: [137, 7]",
      ].join("\n"),
    });
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain(
      "the task failed.\nCause: job 1 ended as FAILED\nLast lines of rank 1:\n  loading\n  no such model\nLeft",
    );
    expect(error).not.toContain("rank 0 is fine");
  });

  it("the task's set-up: its own lines", async () => {
    sky.set({
      launch: { job: ["FAILED_SETUP"] },
      log: "(setup pid=1) no such package\nERROR: Job 1's setup failed",
    });
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain(
      "setting up the nodes failed.\nCause: job 1 ended as FAILED_SETUP\nLast lines of the set-up:\n  no such package",
    );
  });

  it("after its time limit, ends the request at the API server, and says what it waited for", async () => {
    sky.set({ launch: { lines: ["Launching on AWS us-east-1."], hang: true, status: "INIT" } });
    const { error = "" } = await sky.run(launchVerb, { ...launchInput, timeoutSeconds: 2 });
    expect(error).toContain("failed while provisioning: it took too long");
    expect(error).toContain("(INIT;");
    expect(sky.changes.map((args) => args.slice(0, 2).join(" "))).toEqual(["launch -y", "api cancel"]);
  });

  it.each([
    ["QOSMaxGRESPerJob", true, "Slurm does not take the job as it is"],
    ["AssocGrpGRES", false, "Slurm starts the job only after others have done something"],
  ])(
    "at once when no waiting helps, with Slurm's reason and what to do: %s",
    async (code, retryUntilUp, title) => {
      const reason = `Launching (pending: ${code}; partition: h100)`;
      const lines = ["Launching on Slurm lab (h100)."];
      sky.set({ launch: { lines, hang: true, status: "INIT", reason } });
      const { error = "", output } = await sky.run(launchVerb, { ...launchInput, retryUntilUp });
      expect(output).toContain(`waiting for machines: ${reason}`);
      expect(error).toContain(`failed while provisioning: ${title}`);
      expect(error).toMatch(new RegExp(`\nCause: ${code}: \\w.*\\. SkyPilot says: `));
      expect(error.split("\n").at(-1)).toMatch(/^Next: .*(sbatch_options|retryUntilUp)/);
      // The waiting request is cancelled.
      expect(sky.changes.map((args) => args.slice(0, 2).join(" "))).toEqual(["launch -y", "api cancel"]);
    },
    60_000,
  );

  it("waits on for what others end, when told to", async () => {
    const reason = "Launching (pending: AssocGrpGRES; partition: h100)";
    sky.set({ launch: { lines: ["Launching on Slurm lab."], hang: true, status: "INIT", reason } });
    const patient = { ...launchInput, retryUntilUp: true, timeoutSeconds: 14 };
    const { error = "" } = await sky.run(launchVerb, patient);
    expect(error).toContain("failed while provisioning: no capacity");
    expect(error).toContain(`Cause: it still waited at its time limit: ${reason}`);
  }, 60_000);

  it("the task: with the cause where its log has one that can mean nothing else", async () => {
    sky.set({
      launch: { job: ["FAILED"] },
      log: [
        "(head, rank=0, pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "(head, rank=0, pid=1) bye",
        "ERROR: Job 1 failed with return code list: [1, 137]",
      ].join("\n"),
    });
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain(
      "failed: out of memory.\nCause: CUDA out of memory. Tried to allocate 2.00 GiB. (job 1 ended as FAILED)\nLast lines of rank 0:",
    );
  });

  it("the task: with what a node found wrong with itself before engines start", async () => {
    const driver = "NVIDIA's driver is 535.183.06, and this engine's CUDA needs 580 or newer: update it";
    sky.set({
      launch: { job: ["FAILED"] },
      log: [
        "(head, rank=0, pid=1) node check, note: GPU 0: 70000 of its 81559 MiB are in use already",
        "(worker1, rank=1, pid=2) node check, note: the kernel's log cannot be read: not permitted",
        `(worker1, rank=1, pid=2) node check, problem: ${driver}`,
        "(worker1, rank=1, pid=2) this node cannot run what the plan asks of it: no engine is started",
        "ERROR: Job 1 failed with return code list: [137, 1]",
      ].join("\n"),
    });
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain("failed: a node cannot run the engine.\n");
    expect(error).toContain(`\nCause: node check, problem: ${driver} (job 1 ended as FAILED)\n`);
    expect(error).toContain("\nLast lines of rank 1:\n");
    expect(error).toContain("no engine is started");
    expect(error.split("\n").at(-1)).toMatch(/^Next: .*sky\.image.*sky\.rdma/);
  });

  it("when the API server cannot be reached", async () => {
    sky.set({ unreachable: true });
    const { error = "" } = await sky.run(launchVerb, launchInput);
    expect(error).toContain("SkyPilot's API server cannot be reached");
    expect(error).toContain("SKYPILOT_API_SERVER_ENDPOINT");
    expect(sky.changes).toEqual([]);
  });

  it("at once when it is told to stop, and leaves no process behind", async () => {
    sky.set({ launch: { lines: ["Launching on AWS us-east-1."], hang: true, status: "INIT" } });
    const stop = new AbortController();
    const running = sky.run(launchVerb, launchInput, stop.signal);
    await expect.poll(() => sky.read("pid"), { timeout: 10_000 }).not.toBe("");
    stop.abort(new Error("Stopped by SIGTERM."));
    expect((await running).error).toBe("Stopped by SIGTERM.");
    expect(() => process.kill(Number(sky.read("pid")), 0)).toThrow("ESRCH");
  });
});
