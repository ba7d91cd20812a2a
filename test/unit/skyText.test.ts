/** Parsing of SkyPilot's output. */
import { describe, expect, it } from "vitest";
import { classify, explained } from "../../sky/failure";
import { failedPart, failedRank, isOf, programLogs } from "../../sky/jobLog";
import { jsonIn } from "../../sky/records";
import { StageTracker, stageOf } from "../../sky/stages";
import { setupOf, taskName } from "../../sky/taskName";
import { cloudsOf } from "../../toolchain/skypilot";

describe("JSON in an output", () => {
  it.each([
    ["[]", []],
    ['Fetching job queue for: a\n{\n  "a": []\n}\n', { a: [] }],
    ['The flag is ignored [sic]\n[\n  {"name": "x"}\n]', [{ name: "x" }]],
  ])("%j", (output, value) => {
    expect(jsonIn(output)).toEqual(value);
  });

  it("is missed where there is none", () => {
    expect(() => jsonIn("Traceback (most recent call last)")).toThrow(SyntaxError);
  });
});

describe("stages", () => {
  it.each([
    ["Considered resources (2 nodes):", "optimising"],
    ["⚙︎ Launching on AWS us-east-1 (us-east-1a).", "provisioning"],
    ["└── Instances are up.", "setting up"],
    ["⚙︎ Syncing files.", "syncing"],
    ["⚙︎ Job submitted, ID: 1", "starting"],
    ["To view job queue:", undefined],
  ])("%s", (line, stage) => {
    expect(stageOf(line)).toBe(stage);
  });

  it("are told once and never go back, though SkyPilot tries the next cloud", () => {
    const told: string[] = [];
    const tracker = new StageTracker((stage, detail) => told.push(`${stage} ${detail}`.trim()));
    for (const line of [
      "Launching on AWS us-east-1.",
      "Considered resources",
      "Launching on GCP.",
      "Job submitted, ID: 1",
    ]) {
      tracker.line(line);
    }
    expect(told).toEqual(["provisioning AWS us-east-1", "starting"]);
    expect(tracker.stage).toBe("starting");
  });
});

describe("the rank that failed", () => {
  it.each([
    [["srun: error: gpu1: task 1: Exited with exit code 7", "srun: error: gpu0: task 0: Terminated"], 1],
    [["ERROR: Job 2 failed with return code list: [0, 3]"], 1],
    [["ERROR: Job 2 failed with return code list: [137, 137, 1, 143]"], 2],
    [["ERROR: Job 2 failed with return code list: [137, 137]"], 0],
    [["ERROR: Job 2 failed with return code list: [143] "], undefined],
    [["all is well"], undefined],
  ])("of %j", (log, rank) => {
    expect(failedRank(log)).toBe(rank);
  });

  it("is shown without the others, and all is shown where it cannot be told", () => {
    const log = ["(head, rank=0, pid=1) a", "(worker1, rank=1, pid=2, ip=10.0.0.2) b"];
    expect(failedPart([...log, "failed with return code list: [0, 3]"], "FAILED")).toEqual({
      who: "rank 1",
      lines: ["b"],
    });
    expect(failedPart(log, "FAILED")).toEqual({ who: "the task", lines: ["a", "b"] });
  });
});

describe("a program's lines in the log of a task", () => {
  const log = [
    "(head, rank=0, pid=1) ==> logs/frontend-0.log <==",
    "(head, rank=0, pid=1) listening",
    "(head, rank=0, pid=1)",
    "(head, rank=0, pid=1) ==> logs/decode-0.log <==",
    "(worker1, rank=1, pid=2) no heading here",
    "(head, rank=0, pid=1) loading",
  ];

  it.each([
    ["frontend", { "frontend-0": ["listening"], "rank 1": ["no heading here"] }],
    ["decode", { "decode-0": ["loading"], "rank 1": ["no heading here"] }],
    ["front", { "rank 1": ["no heading here"] }],
  ])("%s", (component, lines) => {
    const found = programLogs(log).filter(({ program }) => isOf(component, program));
    expect(Object.fromEntries(found.map((one) => [one.program, one.lines]))).toEqual(lines);
  });
});

describe("failures", () => {
  it("are of the kind that tells most", () => {
    const lines = [
      "sky.exceptions.ResourcesUnavailableError: Failed to acquire resources",
      "Quota 'GPUS_ALL_REGIONS' exceeded. Limit: 1.0",
    ];
    expect(classify(lines)).toEqual({
      kind: "quota",
      cause: "Quota 'GPUS_ALL_REGIONS' exceeded. Limit: 1.0",
    });
  });

  it("of the API server are known in the words of the library that asks it, too", () => {
    const line =
      "requests.exceptions.ConnectionError: HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /api/status?limit=50 (Caused by NewConnectionError)";
    expect(classify([line])).toMatchObject({
      kind: "unreachable",
      cause: expect.stringMatching(/^HTTPConnectionPool/),
    });
  });

  it("by time are so whatever was printed about capacity", () => {
    expect(classify(["Retrying: Failed to acquire resources"], true).kind).toBe("timeout");
    expect(classify([], true)).toEqual({ kind: "timeout", cause: "it printed nothing" });
  });

  it("are told by the log where SkyPilot says only what step it was, and by nothing less than that", () => {
    const setup = { kind: "setup", cause: "job 1 ended as FAILED_SETUP" } as const;
    expect(explained(setup, ["a", "OSError: [Errno 28] No space left on device: '/root/x'", "b"])).toEqual({
      kind: "disk",
      cause: "[Errno 28] No space left on device: '/root/x' (job 1 ended as FAILED_SETUP)",
    });
    expect(explained(setup, ["the quota of this pool is 3", "ValueError: is not enabled"])).toBe(setup);
    const quota = { kind: "quota", cause: "Quota exceeded" } as const;
    expect(explained(quota, ["No space left on device"])).toBe(quota);
  });
});

describe("a task's name", () => {
  const task = { num_nodes: 1, resources: {}, setup: "a", run: "b" };
  it("is the same for the same task, and tells the set-up apart from the rest", () => {
    const { name, setup } = taskName("c", task, {});
    expect(name).toMatch(/^dynamo-[0-9a-f]{8}-[0-9a-f]{8}$/);
    expect(taskName("c", task, {}).name).toBe(name);
    expect(setupOf(name)).toBe(setup);
    expect(taskName("c", { ...task, run: "c" }, {}).setup).toBe(setup);
    expect(taskName("c", { ...task, setup: "b" }, {}).setup).not.toBe(setup);
  });

  it("is another with other files on the nodes, and so is the set-up with another of its own", () => {
    const files = { "launch.py": "1", "setup.sh": "1" };
    const { name, setup } = taskName("c", task, {}, files);
    const other = taskName("c", task, {}, { ...files, "launch.py": "2" });
    expect(other.name).not.toBe(name);
    expect(other.setup).toBe(setup);
    expect(taskName("c", task, {}, { ...files, "setup.sh": "2" }).setup).not.toBe(setup);
    expect(taskName("c", task, {}, { ...files, "overrides.txt": "2" }).setup).not.toBe(setup);
  });

  it("is known as another's", () => {
    expect(setupOf("sky-cmd")).toBeUndefined();
    expect(setupOf("-")).toBeUndefined();
  });
});

describe("clouds of infras", () => {
  it("are SkyPilot's extras, each once", () => {
    expect(cloudsOf(["aws/us-east-1", "AWS", "k8s/my-context", "slurm/lab", "*/us"])).toEqual([
      "aws",
      "kubernetes",
      "slurm",
    ]);
    expect(cloudsOf([])).toEqual([]);
  });
});
