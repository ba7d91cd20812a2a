/** What goes where nobody asks: what is refused, and what a plan keeps. */
import { describe, expect, it } from "vitest";
import { restNow } from "../../cli/operate/rest";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { dueAt } from "../../plan/schedule";
import { programsOf } from "../../plan/types";
import { flagOf, plannedProgram, problemsOf, SERVICES } from "./planShapes";

const LOCAL: ConfigInput = {
  target: "local",
  engine: "mocker",
  model: "Qwen/Qwen3-8B",
  access: { gateway: true },
  cluster: { nodes: 1, gpusPerNode: 4 },
  pools: [{ role: "aggregated", minReplicas: 1, maxReplicas: 4 }],
};
const DOZES = { ...LOCAL, idle: { afterMinutes: 30, then: "workers-down" } } as const;

describe("workers that are taken away when nobody asks", () => {
  it.each<[Partial<ConfigInput>, string]>([
    [
      { idle: { then: "workers-down" } },
      'idle.then: "workers-down" has no effect without idle.afterMinutes. Set that, or remove it.',
    ],
    [
      { idle: { afterMinutes: 30, then: "workers-down" }, access: { gateway: false } },
      'idle.then: "workers-down" needs access.gateway: true. A frontend alone answers 404',
    ],
    [
      { idle: { afterMinutes: 0.4, then: "workers-down" } },
      "idle.afterMinutes: 0.4 would take the workers away again before anybody has had an answer: a client whose request starts workers is told to come back after 30 s. Allowed: 0.5 or more.",
    ],
    [{ idle: { then: "sleep" } } as unknown as Partial<ConfigInput>, "idle.then: "],
  ])("are refused: %j", (input, message) => {
    expect(problemsOf({ ...LOCAL, ...input })).toEqual([expect.stringContaining(message)]);
  });

  it("leave what answers for them, with the same commands, ports and GPUs", () => {
    const config = parseConfig(DOZES);
    const [awake, asleep] = [plan(config, SERVICES), plan(config, { ...SERVICES, workersDown: true })];
    const isWorkers = (role: string) => role === "aggregated" || role === "planner";
    expect(programsOf(asleep)).toEqual(programsOf(awake).filter(({ role }) => !isWorkers(role)));
    expect(asleep.clusters[0]?.nodes[0]).toMatchObject({ gpus: 4, idleGpus: [0, 1, 2, 3] });
    expect(asleep.expectedWorkers).toEqual({ aggregated: 0, prefill: 0, decode: 0, encode: 0 });
  });

  it("take clusters of their own with them", () => {
    const { idle, pools } = DOZES;
    const config = parseConfig({ model: "Qwen/Qwen3-8B", idle, pools, placement: "dedicated" });
    const asleep = plan(config, { ...SERVICES, workersDown: true });
    expect(asleep.clusters.map(({ name }) => name)).toEqual(["control"]);
    expect(plan(config, SERVICES).clusters.map(({ name }) => name)).toEqual(["control", "aggregated-0"]);
  });

  it("are told to the gateway, whatever runs: it is not started anew", () => {
    expect(flagOf(plannedProgram(DOZES, "gateway"), "--waking-seconds")).toBe("30");
    expect(flagOf(plannedProgram(LOCAL, "gateway"), "--waking-seconds")).toBeUndefined();
  });
});

describe("a rest", () => {
  const at = (text: string) => new Date(text);
  const night = at("2026-10-22T23:00:00Z");
  const rest = (state: object, now: Date, schedule: ConfigInput["schedule"] = []) => {
    const given = parseConfig({ ...DOZES, schedule });
    const known = { asleep: undefined, updated: undefined, quiet: undefined, ...state };
    return restNow(given, dueAt(given, now), known, now);
  };

  it("is that of the workers, and ends with the first request after it began", () => {
    const later = at("2026-10-22T23:31:00Z");
    expect(rest({ quiet: night }, later)).toMatchObject({ to: "sleep", what: "workers-down", isIdle: true });
    const workersDown = later;
    expect(rest({ workersDown, asked: night }, at("2026-10-23T09:00:00Z"))).toBeUndefined();
    expect(rest({ workersDown }, at("2026-10-23T09:00:00Z"))).toBeUndefined();
    const asked = at("2026-10-23T08:59:58Z");
    expect(rest({ workersDown, asked }, at("2026-10-23T09:00:00Z"))).toEqual({
      to: "wake",
      why: "a request came at 08:59:58",
    });
  });

  it("ends at a time of the schedule too, and becomes one of all at another", () => {
    const workersDown = at("2026-10-22T20:00:00Z");
    expect(rest({ workersDown }, night, [{ at: "0 22 * * *" }])?.to).toBe("wake");
    expect(rest({ workersDown }, night, [{ at: "0 19 * * *" }])).toBeUndefined();
    const down = rest({ workersDown }, night, [{ at: "0 22 * * *", down: true }]);
    expect(down).toMatchObject({ to: "sleep", what: "down" });
    // Nobody wakes what the schedule has taken down.
    const asleep = at("2026-10-22T22:00:01Z");
    expect(rest({ asleep, asked: night }, night, [{ at: "0 22 * * *", down: true }])).toBeUndefined();
  });
});
