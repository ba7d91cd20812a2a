/**
 * A replica over two hosts with a network between them: the addresses of its programs, and a cut connection.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { LOCKSTEP_SECRET } from "../../plan/programs/controlPlane";
import type { ProgramPlan } from "../../plan/types";
import { programsOf } from "../../plan/types";
import { CABLE, TwoHosts, whyNoTwoHosts } from "../twoHosts";
import { eventually } from "./support";

const SECRETS = { [LOCKSTEP_SECRET]: "a secret of this test" };
/** Far longer than detecting the loss of a rank may take, so that it is not what stops anything. */
const STOP_SECONDS = 600;

/** The two planned ranks of one replica, with a small program in place of the engine. */
function ranks(source: string): ProgramPlan[] {
  const { clusters } = plan(
    parseConfig({
      model: "Qwen/Qwen3-8B",
      cluster: { nodes: 2, gpusPerNode: 1 },
      pools: [{ role: "aggregated", tensorParallel: 2 }],
    }),
    { discovery: "etcd", events: "nats" },
  );
  const programs = programsOf({ clusters });
  return programs
    .filter(({ role }) => role === "aggregated")
    .map((program) => ({
      ...program,
      command: ["python3", "-uc", source],
      secretEnv: [],
      waitsFor: [],
      stopSeconds: STOP_SECONDS,
    }));
}

/** Ignores SIGTERM, like a rank that waits for another one in a collective operation. */
const HANGS = `
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("told to stop", flush=True))
print("GLOO_SOCKET_IFNAME is", os.environ.get("GLOO_SOCKET_IFNAME"), flush=True)
while True: time.sleep(60)
`;

describe.skipIf(whyNoTwoHosts() !== undefined)("a replica over two hosts", () => {
  let hosts: TwoHosts;
  beforeEach(() => {
    hosts = new TwoHosts();
  });
  afterEach(() => hosts.close());

  const launch = (programs: readonly ProgramPlan[]) =>
    programs.map((program, host) => hosts.launch(host, program, SECRETS));
  const bothRun = () => eventually(() => [0, 1].every((host) => hosts.log(host).includes("GLOO_SOCKET")));

  test("meets by the interface that has the nodes' addresses", async () => {
    launch(ranks(HANGS));
    await bothRun();
    for (const host of [0, 1]) expect(hosts.log(host)).toContain(`GLOO_SOCKET_IFNAME is ${CABLE}\n`);
  });

  test("whose network is cut ends on both as soon as that is noticed: nothing that hangs gets the time to finish", async () => {
    const ended = launch(ranks(HANGS));
    await bothRun();
    hosts.cut();
    expect(await Promise.all(ended)).toEqual([75, 75]);
    for (const host of [0, 1]) {
      expect(hosts.log(host)).toMatch(/rank [01] of this replica has ended \(its connection is lost\)/);
      expect(hosts.log(host)).toContain("told to stop");
      expect(hosts.log(host)).toContain("the program did not stop within 5 s and is killed");
    }
  });
});
