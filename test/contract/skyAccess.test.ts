/**
 * Infras at which nothing can be launched, by the real SkyPilot's own checks, in a home without any
 * credentials.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { OBSTACLE_KINDS, obstacleProblems } from "../../plan/obstacles";
import { cloudsInterpreter } from "./skyAnswer";

const answers = z.array(
  z.array(
    z.strictObject({
      infra: z.string(),
      kind: z.enum(OBSTACLE_KINDS),
      why: z.string(),
      certain: z.boolean(),
    }),
  ),
);

const home = mkdtempSync(join(tmpdir(), "dsky-access-"));
let python = "";

beforeAll(async () => {
  python = await cloudsInterpreter();
  mkdirSync(join(home, "bin"));
  for (const tool of ["ssh", "rsync"]) {
    writeFileSync(join(home, "bin", tool), "#!/bin/sh\n");
    chmodSync(join(home, "bin", tool), 0o755);
  }
}, 600_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

function obstacles(
  infra: readonly string[],
  {
    enabled = [],
    tools = true,
    path = [],
  }: { enabled?: string[]; tools?: boolean; path?: readonly string[] },
) {
  const { stdout, stderr } = spawnSync(python, [join(__dirname, "skyAccess.py")], {
    input: JSON.stringify([{ infra, enabled }]),
    env: {
      HOME: home,
      PATH: tools ? [join(home, "bin"), ...path].join(delimiter) : join(home, "nothing"),
      SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
      // Nothing is asked of the machine that this runs on.
      AWS_EC2_METADATA_DISABLED: "true",
    },
    encoding: "utf8",
    timeout: 120_000,
  });
  const [found] = answers.parse(JSON.parse(stdout || stderr));
  return found ?? [];
}

describe("what a launch would fail at", () => {
  it("is a cloud without credentials, with SkyPilot's reason", () => {
    const found = obstacles(["aws/us-east-1", "gcp"], {
      // SkyPilot's own programs (`aws`), as `findSky` has them on PATH.
      path: [process.env["PATH"] ?? "", dirname(python)],
    });
    expect(found.map(({ infra, kind, certain }) => [infra, kind, certain])).toEqual([
      ["aws/us-east-1", "access", true],
      ["gcp", "access", true],
    ]);
    expect(found[0]?.why).toMatch(/credentials/i);
    const [problem] = obstacleProblems({ sky: { infra: ["aws/us-east-1", "gcp"] } } as never, found);
    expect(problem?.message).toContain("sky check aws");
  }, 120_000);

  it("is a Slurm cluster that this machine's configuration does not know, and not one of several that may do", () => {
    const found = obstacles(["slurm/hpc", "aws"], { enabled: ["aws"] });
    expect(found).toMatchObject([{ infra: "slurm/hpc", kind: "access", certain: true }]);
    expect(found[0]?.why).toContain(".slurm/config");
    expect(obstacleProblems({ sky: { infra: ["slurm/hpc", "aws"] } } as never, found)).toEqual([]);
    expect(obstacles(["slurm/hpc"], { enabled: ["slurm"] })[0]?.why).toContain("Cluster hpc not found");
  }, 120_000);

  it("is a program that this machine lacks", () => {
    const lacking = obstacles(["aws"], { enabled: ["aws"], tools: false });
    expect(lacking.map(({ kind }) => kind)).toEqual(["program", "program"]);
    expect(lacking.map(({ why }) => why)).toEqual([
      "there is no ssh on PATH, by which nodes, their logs and the endpoint are reached",
      "there is no rsync on PATH, by which SkyPilot brings files to nodes",
    ]);
    expect(obstacles([], { tools: false }).map(({ infra }) => infra)).toEqual(["*", "*"]);
    const pods = obstacles(["k8s"], { enabled: ["kubernetes"] }).map(({ why }) => why.split(",")[0]);
    expect(pods).toEqual(["kubectl", "socat", "nc"].map((tool) => `there is no ${tool} on PATH`));
  }, 120_000);

  it("is nothing where all is there", () => {
    expect(obstacles(["aws", "gcp/us-central1"], { enabled: ["aws", "gcp"] })).toEqual([]);
    expect(obstacles([], {})).toEqual([]);
  }, 120_000);
});
