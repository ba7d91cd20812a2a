/** Pools whose number of replicas the planner decides: what is refused, and what a plan keeps. */
import { describe, expect, it } from "vitest";
import { Backoff, Pace } from "../../cli/operate/pace";
import { pastOf } from "../../cli/operate/past";
import { restNow } from "../../cli/operate/rest";
import { Quiet } from "../../cli/operate/traffic";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { scaledPools, withReplicas } from "../../plan/scale";
import { boundsOf, dueAt, nightCautions } from "../../plan/schedule";
import { programsOf, type WorkerRole } from "../../plan/types";
import { problemsOf } from "./planShapes";

const FACTS = { discovery: "etcd", events: "nats" } as const;
const LOCAL = { target: "local", engine: "mocker", model: "Qwen/Qwen3-8B" } as const;
const ON_SKY = { target: "sky", engine: "sglang" } as const;
const LOAD = { target: "load", scaleUpKvPercent: 60, scaleDownKvPercent: 10 } as const;
const SCALED: ConfigInput["pools"] = [{ role: "aggregated", minReplicas: 1, maxReplicas: 4 }];
const SPLIT: ConfigInput["pools"] = [
  { role: "prefill", minReplicas: 1, maxReplicas: 2 },
  { role: "decode", minReplicas: 2, maxReplicas: 4, tensorParallel: 2 },
];

const told = (input: Partial<ConfigInput>): string[] => problemsOf({ ...LOCAL, ...input });

describe("bounds of replicas", () => {
  it.each<[Partial<ConfigInput>, string]>([
    [{ pools: [{ role: "aggregated", minReplicas: 2 }] }, "minReplicas: 2 has no effect without maxReplicas"],
    [
      { pools: [{ role: "aggregated", minReplicas: 2, maxReplicas: 2 }] },
      "maxReplicas: 2 leaves nothing to decide: minReplicas is 2. Allowed: 3 or more",
    ],
    [
      { pools: [{ role: "aggregated", replicas: 5, maxReplicas: 4 }] },
      "replicas: 5 to begin with is not between minReplicas 1 and maxReplicas 4",
    ],
    [
      { ...ON_SKY, pools: [{ role: "aggregated" }, { role: "encode", maxReplicas: 4 }] },
      "maxReplicas: 4 cannot be kept: the planner decides on no encode workers",
    ],
    [
      { pools: [{ role: "aggregated", maxReplicas: 4 }, { role: "aggregated" }] },
      "maxReplicas: cannot be kept: the planner decides how many workers of role aggregated there are, and pools[1] has that role too",
    ],
    [
      { pools: SCALED, controlPlane: { discovery: "file" } },
      'controlPlane.discovery: "file" does not go with maxReplicas',
    ],
    [
      { autoscale: { sensitivity: 10 } },
      "autoscale.sensitivity: 10 has no effect while no pool has maxReplicas",
    ],
    [
      { pools: SCALED, autoscale: { target: "load", scaleUpKvPercent: 60 } },
      "autoscale.scaleDownKvPercent: is required with target load. Allowed: 1 to 100.",
    ],
    [
      { pools: SCALED, autoscale: { ...LOAD, scaleDownKvPercent: 60 } },
      "autoscale.scaleUpKvPercent: 60 must be more than scaleDownKvPercent 60",
    ],
    [
      { pools: SCALED, autoscale: { ...LOAD, scaleUpQueueTokens: 9 } },
      "autoscale.scaleUpQueueTokens: 9 has no effect while no pool of role prefill has maxReplicas",
    ],
    [
      { pools: SCALED, autoscale: { scaleUpKvPercent: 60 } },
      "autoscale.scaleUpKvPercent: 60 has no effect with this target",
    ],
    [
      { pools: SCALED, autoscale: { target: "load", scaleUpKvPercent: 0.8, scaleDownKvPercent: 10 } },
      "autoscale.scaleUpKvPercent: 0.8 is too small. Allowed: 1 to 100.",
    ],
    [
      {
        target: "sky",
        engine: "vllm",
        placement: "dedicated",
        pools: [{ role: "aggregated", dataParallel: 16, maxReplicas: 4 }],
      },
      "maxReplicas: 4 cannot be kept: a replica of this shape is 2 workers to the planner",
    ],
    [{ ...ON_SKY, pools: SCALED }, "4 of 8 GPUs would sit idle (node 0: 4). Set pools[0].maxReplicas to 8"],
    [
      { pools: SCALED, autoscale: { target: "sla" as "load" } },
      'autoscale.target: "sla" is not a target. Allowed: throughput, latency, load. `sla` needs NVIDIA\'s `aisimulate` 0.13.0, of which PyPI has a stub (its',
    ],
  ])("are refused: %j", (input, message) => {
    expect(told(input)).toEqual([expect.stringContaining(message)]);
  });

  it.each<Partial<ConfigInput>>([
    { pools: SCALED },
    { pools: SCALED, autoscale: LOAD },
    { pools: [{ role: "aggregated", replicas: 3, maxReplicas: 4 }] },
    { pools: SPLIT, autoscale: { ...LOAD, scaleUpQueueTokens: 2000, scaleDownQueueTokens: 100 } },
    { ...ON_SKY, pools: SPLIT, placement: "dedicated" },
    // The planner decides on the pool that decodes alone, and needs no thresholds of the other one.
    { pools: [{ role: "prefill" }, { role: "decode", maxReplicas: 3 }], autoscale: LOAD },
  ])("are accepted: %j", (input) => {
    expect(told(input)).toEqual([]);
  });
});

describe("a plan with bounds", () => {
  const planned = (input: Partial<ConfigInput>, replicas: Partial<Record<WorkerRole, number>> = {}) =>
    plan(withReplicas(parseConfig({ ...LOCAL, ...input }), replicas), FACTS);
  const workersOf = (given: ReturnType<typeof planned>) =>
    Object.fromEntries(
      programsOf(given).flatMap((program) =>
        /^(prefill|decode|aggregated)-/.test(program.name) ? [[program.name, program]] : [],
      ),
    );

  it.each<Partial<ConfigInput>>([
    { pools: SCALED },
    { pools: SPLIT, cluster: { nodes: 2 } },
    { ...ON_SKY, pools: SPLIT, placement: "dedicated" },
  ])("moves no other worker for one more or fewer: %j", (input) => {
    const roles = ["prefill", "decode", "aggregated"] as const;
    const all = workersOf(planned(input, { prefill: 9, decode: 9, aggregated: 9 }));
    for (const role of roles)
      for (const count of [1, 2, 3, 4]) {
        const some = workersOf(planned(input, { prefill: 9, decode: 9, aggregated: 9, [role]: count }));
        for (const [name, program] of Object.entries(some)) expect(program).toEqual(all[name]);
      }
  });

  it("keeps room for the most, within the bounds, and says which GPUs are free", () => {
    const one = planned({ pools: SCALED }, { aggregated: 0 });
    expect(Object.keys(workersOf(one))).toEqual(["aggregated-0"]);
    expect(one.clusters[0]?.nodes[0]).toMatchObject({ gpus: 4, idleGpus: [1, 2, 3] });
    expect(one.expectedWorkers.aggregated).toBe(1);
    expect(Object.keys(workersOf(planned({ pools: SCALED }, { aggregated: 9 })))).toHaveLength(4);
  });

  it("has as many dedicated clusters as replicas", () => {
    const names = (decode: number) =>
      planned({ ...ON_SKY, pools: SPLIT, placement: "dedicated" }, { decode }).clusters.map(
        ({ name }) => name,
      );
    expect(names(2)).toEqual(["control", "prefill-0", "decode-0", "decode-1"]);
    expect(names(4)).toEqual(["control", "prefill-0", "decode-0", "decode-1", "decode-2", "decode-3"]);
  });

  it("changes neither frontends nor planner with the number of replicas", () => {
    const others = (replicas: number) =>
      programsOf(planned({ pools: SCALED }, { aggregated: replicas })).filter(
        ({ role }) => role !== "aggregated",
      );
    expect(others(4)).toEqual(others(1));
    expect(others(1).map(({ name }) => name)).toContain("planner");
  });

  it.each<[ConfigInput["engine"], object]>([
    ["sglang", { flag: true, variable: undefined, port: undefined }],
    ["vllm", { flag: false, variable: "20380", port: 20380 }],
    ["trtllm", { flag: false, variable: "1", port: undefined }],
  ])("has workers of %s tell the planner what they do, and no others", (engine, expected) => {
    const told = (pools: ConfigInput["pools"]) => {
      const all = workersOf(planned({ target: "sky", engine, pools, cluster: { allowIdleGpus: true } }));
      return Object.values(all).map(({ command, env, ports }) => ({
        flag: command.includes("--enable-forward-pass-metrics"),
        variable: env["DYN_FORWARDPASS_METRIC_PORT"],
        port: ports["forwardPass"],
      }));
    };
    expect(told(SCALED)).toEqual([expected]);
    expect(told([{ role: "aggregated" }])).toEqual([{ flag: false, variable: undefined, port: undefined }]);
  });

  it("has no port of two workers twice", () => {
    const two = planned(
      { ...ON_SKY, engine: "vllm", pools: SCALED, cluster: { gpusPerNode: 4 } },
      { aggregated: 2 },
    );
    const ports = Object.values(workersOf(two)).map((worker) => worker.ports["forwardPass"]);
    expect(ports).toEqual([20380, 20381]);
  });

  it("has no planner where nothing is to decide", () => {
    expect(programsOf(planned({})).map(({ name }) => name)).not.toContain("planner");
  });
});

describe("an operator's pace", () => {
  it("has a pause after each change, and a number an hour", () => {
    const pace = new Pace();
    const limits = { cooldownSeconds: 60, changesPerHour: 2 };
    expect(pace.hold(limits, 0)).toBeUndefined();
    pace.note(0);
    expect(pace.hold(limits, 59_000)).toMatchObject({ until: 60_000 });
    expect(pace.hold(limits, 60_000)).toBeUndefined();
    pace.note(60_000);
    expect(pace.hold(limits, 200_000)).toEqual({ until: 3_600_000, why: "autoscale.changesPerHour is 2" });
    expect(pace.hold(limits, 3_600_000)).toBeUndefined();
  });

  it("doubles its pauses after failures, and gives up", () => {
    const backoff = new Backoff({ tries: 3, firstPauseSeconds: 10, longestPauseSeconds: 15 });
    expect(backoff.failed(0)).toBe(10);
    expect(backoff.mayTry(9_999)).toBe(false);
    expect(backoff.mayTry(10_000)).toBe(true);
    expect(backoff.failed(10_000)).toBe(15);
    expect(backoff.failed(30_000)).toBeUndefined();
    expect(backoff.gaveUp).toBe(30_000);
    expect(backoff.mayTry(Number.MAX_SAFE_INTEGER)).toBe(false);
    backoff.succeeded();
    expect(backoff.mayTry(30_000)).toBe(true);
    expect(backoff.gaveUp).toBeUndefined();
  });

  it("does not count what was refused, and does not ask for it again at once", () => {
    const pace = new Pace();
    const limits = { cooldownSeconds: 60, changesPerHour: 1 };
    pace.noteRefused(0);
    expect(pace.hold(limits, 59_000)).toMatchObject({ until: 60_000 });
    expect(pace.hold(limits, 60_000)).toBeUndefined();
  });

  it("never gives up without a number of tries", () => {
    const backoff = new Backoff({ firstPauseSeconds: 10, longestPauseSeconds: 15 });
    for (let at = 0; at < 100; at++) expect(backoff.failed(at * 100_000)).toBeLessThanOrEqual(15);
    expect(backoff.mayTry(100 * 100_000)).toBe(true);
  });
});

describe("a schedule", () => {
  const WEEK: ConfigInput["schedule"] = [
    { at: "0 8 * * 1-5", zone: "Europe/Berlin", minReplicas: { aggregated: 3 } },
    { at: "0 20 * * 1-5", zone: "Europe/Berlin", maxReplicas: { aggregated: 2 } },
    { at: "0 22 * * 5", zone: "Europe/Berlin", down: true },
  ];
  const config = (input: Partial<ConfigInput>) => parseConfig({ ...LOCAL, pools: SCALED, ...input });
  const bounds = (at: string) => {
    const given = config({ schedule: WEEK });
    const [pool] = boundsOf(scaledPools(given), dueAt(given, new Date(at)));
    return pool && [pool.min, pool.max];
  };

  it.each([
    // A Thursday. Summer time until 25 October: 8:00 there is 6:00 UTC.
    ["2026-10-22T05:59:59Z", [1, 2]],
    ["2026-10-22T06:00:00Z", [3, 4]],
    ["2026-10-22T18:00:00Z", [1, 2]],
    ["2026-10-29T06:30:00Z", [1, 2]],
    ["2026-10-29T07:00:00Z", [3, 4]],
  ])("bounds the replicas: %s", (at, expected) => {
    expect(bounds(at)).toEqual(expected);
  });

  it.each([
    // Sunday 28 March 2027: from 02:00 to 03:00, at 01:00 UTC.
    ["30 2 * * 0", "2027-03-28T00:59:59Z", "2027-03-21T01:30:00Z"],
    ["30 2 * * 0", "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"],
    ["30 2 * * 0", "2027-04-01T00:00:00Z", "2027-03-28T01:00:00Z"],
    ["0 3 * * *", "2027-03-28T12:00:00Z", "2027-03-28T01:00:00Z"],
    ["30 3 * * *", "2027-03-28T12:00:00Z", "2027-03-28T01:30:00Z"],
    ["30 1 * * *", "2027-03-28T12:00:00Z", "2027-03-28T00:30:00Z"],
    // Sunday 25 October 2026: from 03:00 to 02:00, at 01:00 UTC.
    ["30 2 * * *", "2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z"],
    ["30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"],
    ["30 2 * * *", "2026-10-25T01:10:00Z", "2026-10-25T00:30:00Z"],
    ["30 2 * * *", "2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z"],
    ["0 3 * * *", "2026-10-25T01:59:59Z", "2026-10-24T01:00:00Z"],
    ["0 3 * * *", "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"],
  ])("goes by the clocks on the wall when they jump: %s at %s", (time, now, expected) => {
    const given = config({ schedule: [{ at: time, zone: "Europe/Berlin" }] });
    expect(dueAt(given, new Date(now))?.since).toEqual(new Date(expected));
  });

  it.each(["UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago", "Pacific/Apia"])(
    "never goes back, and is never ahead: %s",
    (zone) => {
      const given = config({ schedule: [{ at: "30 */2 * * *", zone }] });
      const hours = Array.from(
        { length: 9_000 / 3 },
        (_, index) => Date.UTC(2026, 0, 1) + index * 3 * 3_600_000,
      );
      const times = hours.map((now) => Number(dueAt(given, new Date(now))?.since) - now);
      expect(times.filter((ahead) => ahead > 0)).toEqual([]);
      // Over a jump an entry may be an hour longer the last one.
      expect(times.filter((ahead) => ahead < -3 * 3_600_000)).toEqual([]);
    },
  );

  it.each<[NonNullable<ConfigInput["schedule"]>[number], string]>([
    [{ at: "0 8 * *" }, 'schedule.0.at: "0 8 * *" is not a time of cron'],
    [{ at: "0 25 * * *" }, 'schedule.0.at: "0 25 * * *" is not a time of cron'],
    [{ at: "H 8 * * *" }, 'schedule.0.at: "H 8 * * *" is not a time of cron'],
    [{ at: "0 8 * * *", zone: "+02:00" }, 'schedule.0.zone: "+02:00" is not a time zone'],
    [{ at: "0 8 * * *", zone: "Berlin" }, 'schedule.0.zone: "Berlin" is not a time zone'],
    [{ at: "0 8 * * *", down: true, minReplicas: { aggregated: 2 } }, "schedule.0.down: true leaves no"],
    [{ at: "0 8 * * *", minReplicas: { decode: 2 } }, "schedule.0.minReplicas.decode: 2 has no effect"],
    [{ at: "0 8 * * *", maxReplicas: { aggregated: 5 } }, "Allowed: 1 to 4"],
    [
      { at: "0 8 * * *", minReplicas: { aggregated: 3 }, maxReplicas: { aggregated: 2 } },
      "2 is less than minReplicas of this entry, 3",
    ],
  ])("is refused: %j", (entry, message) => {
    expect(told({ pools: SCALED, schedule: [entry] })).toEqual([expect.stringContaining(message)]);
  });

  it("has one entry for a time, and takes names of days and months", () => {
    const entry = { at: "0 8 * OCT THU" };
    expect(told({ pools: SCALED, schedule: [entry, { ...entry, zone: "Europe/Berlin" }] })).toEqual([]);
    expect(told({ pools: SCALED, schedule: [entry, entry] })).toEqual([
      expect.stringContaining("schedule.1.at: is that of schedule.0 too"),
    ]);
  });

  const at = (text: string) => new Date(text);
  const awake = { asleep: undefined, updated: undefined, quiet: undefined };
  const friday = at("2026-10-23T20:00:00Z");
  const rest = (state: object, now: Date, idle = {}) => {
    const given = config({ schedule: WEEK, idle });
    return restNow(given, dueAt(given, now), { ...awake, ...state }, now)?.to;
  };

  it("takes it down at its time, and brings it up at the next", () => {
    expect(rest({}, at("2026-10-23T19:59:00Z"))).toBeUndefined();
    expect(rest({}, friday)).toBe("sleep");
    expect(rest({ asleep: friday }, at("2026-10-25T12:00:00Z"))).toBeUndefined();
    expect(rest({ asleep: friday }, at("2026-10-26T07:00:00Z"))).toBe("wake");
  });

  it("leaves up what a person has brought up since, until the next time", () => {
    const saturday = at("2026-10-24T10:00:00Z");
    expect(rest({ updated: saturday }, at("2026-10-24T10:00:01Z"))).toBeUndefined();
    expect(rest({ updated: saturday }, at("2026-10-30T21:00:00Z"))).toBe("sleep");
  });

  it("is told who brings it up while it is down", () => {
    const given = config({ schedule: WEEK });
    expect(nightCautions(given, friday)).toEqual([
      expect.stringContaining("schedule has it down since 2026-10-23T20:00:00.000Z"),
    ]);
    expect(nightCautions(given, at("2026-10-26T07:00:00Z"))).toEqual([]);
    expect(nightCautions(config({}), friday)).toEqual([]);
  });

  it("takes it down when nobody asks, and leaves it down", () => {
    const idle = { afterMinutes: 30 };
    const quiet = at("2026-10-22T10:00:00Z");
    expect(rest({ quiet }, at("2026-10-22T10:29:59Z"), idle)).toBeUndefined();
    expect(rest({ quiet }, at("2026-10-22T10:30:00Z"), idle)).toBe("sleep");
    expect(rest({}, at("2026-10-22T10:30:00Z"), idle)).toBeUndefined();
    expect(rest({ asleep: at("2026-10-22T10:30:00Z") }, at("2026-10-22T11:00:00Z"), idle)).toBeUndefined();
  });
});

describe("the time without requests", () => {
  const minute = (count: number) => new Date(count * 60_000);

  it("begins with the last request that was counted, and again with every one that is open", () => {
    const quiet = new Quiet();
    quiet.note({ requests: 4, open: 0 }, minute(1));
    quiet.note({ requests: 4, open: 0 }, minute(2));
    expect(quiet.since).toEqual(minute(1));
    quiet.note({ requests: 5, open: 0 }, minute(3));
    quiet.note({ requests: 5, open: 1 }, minute(4));
    quiet.note({ requests: 5, open: 0 }, minute(5));
    expect(quiet.since).toEqual(minute(4));
    // Where a frontend does not answer, somebody may have asked.
    quiet.note(undefined, minute(6));
    quiet.note({ requests: 5, open: 0 }, minute(7));
    expect(quiet.since).toEqual(minute(7));
  });
});

describe("the history of a stack", () => {
  const started = (minute: number) => new Date(minute * 60_000);
  const past = (...operations: [kind: string, message: string][]) =>
    pastOf(operations.map(([kind, message], index) => ({ kind, message, started: started(-index) })));

  it("tells the updates of people and pipelines from an operator's own", () => {
    expect(past(["update", "operate: decode 1 → 2"], ["refresh", ""], ["update", "A commit"])).toEqual({
      foreign: started(-2),
      isBeingDestroyed: false,
    });
    expect(past(["destroy", ""], ["update", ""])).toEqual({ foreign: started(-1), isBeingDestroyed: true });
    expect(past()).toEqual({ foreign: undefined, isBeingDestroyed: false });
  });
});
