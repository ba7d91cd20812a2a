/** A deployment on SkyPilot that is waited for, through a stand-in for `sky`. */
import { afterAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { defineVerb } from "../../lib/verb";
import { RemoteDeployment } from "../../sky/remote";
import { CLUSTER, type FakeCluster, FakeSky } from "./skyHarness";

const waiting = defineVerb({
  input: z.strictObject({ infra: z.array(z.string()), clusters: z.array(z.string()).min(1) }),
  timeoutSeconds: () => 60,
  run: async (spec, context) => {
    const remote = await RemoteDeployment.open(spec, context);
    // SkyPilot is not asked before that.
    const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 60_000);
    try {
      await remote.assertRunning();
    } finally {
      clock.mockRestore();
      remote.close();
    }
  },
});

describe("waiting for a deployment on SkyPilot", () => {
  const sky = new FakeSky();
  afterAll(() => sky.remove());

  /** Why it ends, with a cluster that is so. */
  async function problem(change: Partial<FakeCluster>): Promise<string | undefined> {
    const jobs = [{ id: 1, name: "dynamo", status: "RUNNING" }];
    sky.set({ clusters: { [CLUSTER]: { status: "UP", hash: "hash-1", nodes: 1, jobs, ...change } } });
    return (await sky.run(waiting, { infra: ["aws"], clusters: [CLUSTER] })).error;
  }

  it("goes on while its task runs", async () => {
    expect(await problem({})).toBeUndefined();
  });

  it("ends when its cluster is gone", async () => {
    expect(await problem({ lost: true })).toContain(`${CLUSTER} stopped serving`);
  });

  it("goes on while the head of its cluster is too busy to tell its queue", async () => {
    expect(await problem({ busy: true })).toBeUndefined();
  });
});
