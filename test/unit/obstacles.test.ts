/** What a launch would fail at: previews warn of it, and an update that could only fail is refused. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DynamoCluster, type DynamoClusterArgs } from "../../components";
import { type Obstacle, obstacleCautions, obstacleProblems } from "../../plan/obstacles";
import { runOnMocks } from "./componentsMocks";

const on = (
  infra: string,
  why: string,
  { kind = "access", certain = true }: Partial<Obstacle> = {},
): Obstacle => ({ infra, kind, why, certain });
const NO_AWS = on("aws/us-east-1", "AWS credentials are not set");
const NO_RSYNC = "rsync is not here, by which SkyPilot brings files to nodes";
const PROGRAM = { kind: "program" } as const;
/** Its words are a missing program's, and its kind is not. */
const NO_KEY = on("gcp", "there is no key on PATH");

describe("cautions", () => {
  it("say a reason once, with every infra that has it, and what to do", () => {
    const told = obstacleCautions([
      NO_AWS,
      on("aws/us-east-1", NO_RSYNC, PROGRAM),
      on("gcp", NO_RSYNC, PROGRAM),
    ]);
    expect(told).toEqual([
      "Nothing can be launched on aws/us-east-1: AWS credentials are not set. Set it up, or take it out of sky.infra; what is missing, and how it is set up, says: sky check aws",
      `Nothing can be launched on aws/us-east-1, gcp: ${NO_RSYNC}. Install it.`,
    ]);
    expect(obstacleCautions([NO_KEY])[0]).toMatch(
      /on PATH\. Set it up, or take it out of sky\.infra; .*: sky check gcp$/,
    );
    expect(obstacleCautions([on("*", NO_RSYNC, PROGRAM)])).toEqual([
      `Nothing can be launched on any infra: ${NO_RSYNC}. Install it.`,
    ]);
  });
});

describe("a launch", () => {
  const problems = (infra: readonly string[], obstacles: readonly Obstacle[]) =>
    obstacleProblems({ sky: { infra } } as unknown as Parameters<typeof obstacleProblems>[0], obstacles);

  it("is refused where no infra can be had", () => {
    expect(problems(["aws/us-east-1"], [NO_AWS])).toEqual([
      {
        path: ["sky", "infra"],
        message:
          '"aws/us-east-1": nothing can be launched there. aws/us-east-1: AWS credentials are not set. Set it up, or take it out of sky.infra; what is missing, and how it is set up, says: sky check aws',
      },
    ]);
    expect(problems(["aws/us-east-1", "gcp"], [NO_AWS, on("gcp", NO_RSYNC, PROGRAM)])).toHaveLength(1);
    expect(problems([], [on("*", NO_RSYNC, PROGRAM)])).toHaveLength(1);
  });

  it("is not where one can, or a launch would check again", () => {
    expect(problems(["aws/us-east-1", "gcp"], [NO_AWS])).toEqual([]);
    expect(problems(["aws"], [on("aws", "its check did not end within 20 s", { certain: false })])).toEqual(
      [],
    );
    expect(problems(["aws"], [])).toEqual([]);
  });
});

describe("DynamoCluster", () => {
  afterEach(() => vi.restoreAllMocks());
  const ARGS: DynamoClusterArgs = {
    model: "Qwen/Qwen3-8B",
    pools: [{ role: "aggregated", tensorParallel: 8 }],
    sky: { infra: "aws/us-east-1" },
  };
  type Observed = NonNullable<DynamoClusterArgs["observedSky"]>;
  const made =
    (clusters: Observed["clusters"], seen: Partial<Observed> = { obstacles: [NO_AWS] }) =>
    () => {
      const observedSky = { at: "2027-01-01T00:00:00Z", clusters, ...seen };
      try {
        return String(new DynamoCluster("dynamo", { ...ARGS, observedSky }));
      } catch (error) {
        return error;
      }
    };

  it("warns in a preview, and refuses an update before any resource is made", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue(undefined);
    const preview = await runOnMocks("preview", made({}));
    expect(preview.resources.length).toBeGreaterThan(0);
    expect(warn.mock.calls.map(([text]) => text)).toEqual([
      expect.stringContaining("Nothing can be launched on aws/us-east-1: AWS credentials are not set."),
    ]);
    const update = await runOnMocks("update", made({}));
    expect(update.resources).toEqual([]);
    expect(update.result).toBeInstanceOf(pulumi.RunError);
  });

  it("refuses no update of what runs already", async () => {
    const clusters = { "dynamo-main-abc": { status: "UP", clusterHash: "hash" } };
    const { resources } = await runOnMocks("update", made(clusters));
    expect(resources.length).toBeGreaterThan(0);
  });

  const GATED = {
    hub: {
      endpoint: "https://huggingface.co",
      models: [],
      answers: [{ model: "Qwen/Qwen3-8B", revision: null, found: "gated", why: null, bytes: null }],
    },
  } as const;

  it("refuses a model that nodes could not fetch, in a preview too", async () => {
    const { result, resources } = await runOnMocks("preview", made({}, GATED));
    expect(resources).toEqual([]);
    expect(String(result)).toContain('dynamo-sky:model: "Qwen/Qwen3-8B" is gated, and there is no token.');
  });

  it("only warns of it where nodes have it already", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue(undefined);
    const clusters = { "dynamo-main-abc": { status: "UP", clusterHash: "hash" } };
    const { resources } = await runOnMocks("update", made(clusters, GATED));
    expect(resources.length).toBeGreaterThan(0);
    expect(warn.mock.calls.map(([text]) => text)).toEqual([expect.stringContaining("is gated")]);
  });
});
