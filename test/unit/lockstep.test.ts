/** How the ranks of a replica over several nodes are kept in step, in the plan and in a node's files. */

import { describe, expect, it } from "vitest";
import { parseConfig } from "../../plan/config";
import { programSchema } from "../../plan/node/schema";
import { plan } from "../../plan/plan";
import type { ProgramPlan } from "../../plan/types";
import { programsOf } from "../../plan/types";
import { specDigest, unitFiles } from "../runtime";
import { type Deployment, SERVICES } from "./planShapes";

const spanning = {
  model: "Qwen/Qwen3-8B",
  cluster: { nodes: 4, gpusPerNode: 4 },
  pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
} as const satisfies Deployment;

function workers(change: Deployment = spanning): ProgramPlan[] {
  const { clusters } = plan(parseConfig(change), SERVICES);
  const programs = programsOf({ clusters });
  return programs.filter(({ role }) => role === "aggregated");
}

describe("lockstep", () => {
  it.each(["sglang", "vllm", "trtllm", "mocker"] as const)(
    "brings the ranks of %s together on a port of rank 0",
    (engine) => {
      const programs = workers({ ...spanning, engine, timeouts: { dependencySeconds: 77 } });
      const secret = "DYNAMO_SKY_LOCKSTEP_SECRET";
      const at = (host: string) => ({ host, port: 29300, ranks: 2, secret, timeoutSeconds: 77 });
      expect(programs.map(({ name, lockstep, ports }) => [name, lockstep, ports["lockstep"]])).toEqual([
        ["aggregated-0", at("{{HEAD_IP}}"), 29300],
        ["aggregated-0-rank1", at("{{HEAD_IP}}"), undefined],
        ["aggregated-1", at("{{RANK_IP_2}}"), 29300],
        ["aggregated-1-rank1", at("{{RANK_IP_2}}"), undefined],
      ]);
    },
  );

  it("is not there where a replica fits a node", () => {
    const programs = workers({
      ...spanning,
      pools: [{ role: "aggregated", replicas: 4, tensorParallel: 4 }],
    });
    expect(programs.filter((program) => "lockstep" in program || "lockstep" in program.ports)).toEqual([]);
  });

  it("moves with its setting", () => {
    expect(workers({ ...spanning, ports: { lockstep: 4000 } })[0]?.lockstep?.port).toBe(4000);
  });

  it("reaches the launcher, with time to stop after rank 0", () => {
    const [, follower] = workers();
    if (follower === undefined) throw new Error("no second rank");
    const files = unitFiles("aggregated-0", [follower]);
    const base = "units/aggregated-0/aggregated-0-rank1";
    expect(programSchema.parse(JSON.parse(files[`${base}.json`] ?? ""))).toEqual(follower);
    expect(files[`${base}.conf`]).toContain("stopwaitsecs=40");
  });

  it("restarts its program when it changes", () => {
    const digest = (port: number) => {
      const [leader] = workers({ ...spanning, ports: { lockstep: port } });
      if (leader === undefined) throw new Error("no rank");
      return specDigest(leader);
    };
    expect(digest(4000)).toMatch(/\w/);
    expect(digest(4000)).not.toBe(digest(4001));
  });
});
