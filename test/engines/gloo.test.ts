/**
 * Real gloo, from an installed engine's torch, between two hosts whose own names resolve to 127.0.1.1: the
 * ranks of a replica connect with the plan's and the launcher's settings, and do not without them.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { locateEngine } from "../../dev/engineEnvironments";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { LOCKSTEP_SECRET } from "../../plan/programs/controlPlane";
import type { ProgramPlan } from "../../plan/types";
import { programsOf } from "../../plan/types";
import { TwoHosts, whyNoTwoHosts } from "../twoHosts";
import { SERVICES } from "../unit/planShapes";

const SECRETS = { [LOCKSTEP_SECRET]: "a secret of this test" };

/** A rank that starts like an engine's: with an all-reduce. */
const RANK = `
import datetime, sys, torch, torch.distributed as dist
rank, address = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method="tcp://%s:29500" % address, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=20))
value = torch.ones(1)
dist.all_reduce(value)
print("the sum is", value.item(), flush=True)
`;

/** The planned ranks of a replica, with that program in place of the engine. */
function ranks(engine: "sglang" | "vllm", without: readonly string[]): ProgramPlan[] {
  const python = locateEngine(engine);
  if (python === undefined) throw new Error(`${engine} is not installed. Run: npm run test:engines`);
  const { clusters } = plan(
    parseConfig({
      model: "Qwen/Qwen3-8B",
      engine,
      cluster: { nodes: 2, gpusPerNode: 1 },
      pools: [{ role: "aggregated", tensorParallel: 2 }],
    }),
    SERVICES,
  );
  const programs = programsOf({ clusters });
  return programs
    .filter(({ role }) => role === "aggregated")
    .map(
      (program): ProgramPlan => ({
        ...program,
        command: [python, "-c", RANK, String(program.rank), "{{HEAD_IP}}"],
        env: Object.fromEntries(Object.entries(program.env).filter(([name]) => !without.includes(name))),
        secretEnv: [],
        waitsFor: [],
      }),
    );
}

describe.skipIf(whyNoTwoHosts() !== undefined).each(["sglang", "vllm"] as const)(
  "gloo of %s's torch",
  (engine) => {
    let hosts: TwoHosts;
    beforeEach(() => {
      hosts = new TwoHosts();
    });
    afterEach(() => hosts.close());

    test("brings two hosts together whose own names are 127.0.1.1", async () => {
      const ended = ranks(engine, []).map((program, host) => hosts.launch(host, program, SECRETS));
      await Promise.all(ended);
      for (const host of [0, 1]) expect(hosts.log(host)).toContain("the sum is 2.0");
    });

    test("does not where it is not told the interface", async () => {
      const programs = ranks(engine, ["GLOO_SOCKET_IFNAME"]);
      await Promise.all(programs.map((program, host) => hosts.launch(host, program, SECRETS)));
      for (const host of [0, 1]) expect(hosts.log(host)).not.toContain("the sum is");
    });
  },
);
