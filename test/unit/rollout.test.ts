import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, test } from "vitest";
import type { UnitsState } from "../../lib/nodeUnits";
import { startTime } from "../../lib/processes";
import { Progress } from "../../lib/progress";
import { stopRollout, type Turn, takeTurn, type UnitState, unitState } from "../../lib/rollout";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { rolloutOf } from "../../plan/rollout";

const directory = mkdtempSync(join(tmpdir(), "rollout-"));
afterAll(() => rmSync(directory, { recursive: true }));

const context = {
  progress: new Progress(() => undefined),
  signal: new AbortController().signal,
  result: () => undefined,
};

const OWN = { pid: process.pid, startTime: startTime(process.pid) ?? "" };

type Told = UnitsState["programs"][number];

const program = (more: Partial<Told> = {}): Told => ({
  ...{ name: "decode-0", unit: "decode-0", state: "RUNNING", pid: 1, unfinished: false, owner: null },
  ...more,
});

/** A turn of decode-0 in a pool with these states; the others change as `look` is asked. */
function turnIn(
  pool: string,
  looks: readonly Readonly<Record<string, UnitState>>[],
  more: Partial<Turn> = {},
) {
  let looked = 0;
  let begun = false;
  const turn: Turn = {
    directory,
    pool,
    unit: "decode-0",
    maxUnavailable: 1,
    timeoutSeconds: 20,
    began: new Date(),
    look: async () => new Map(Object.entries(looks[Math.min(looked++, looks.length - 1)] ?? {})),
    restarts: async () => true,
    isApart: false,
    begin: async () => {
      begun = true;
    },
    ...more,
  };
  return { turn, looks: () => looked, hasBegun: () => begun };
}

describe("a unit's turn", () => {
  it.each([
    ["it was never started", { "decode-0": "absent", "decode-1": "changing" }, {}, false],
    ["nothing serves", { "decode-0": "down", "decode-1": "down" }, {}, false],
    ["it alone does not serve", { "decode-0": "abandoned", "decode-1": "serving" }, {}, true],
    [
      "nothing of it is restarted",
      { "decode-0": "serving", "decode-1": "changing" },
      { restarts: async () => false },
      false,
    ],
    ["all serve", { "decode-0": "serving", "decode-1": "serving" }, {}, true],
    [
      "a second one may be away",
      { "decode-0": "serving", "decode-1": "changing" },
      { maxUnavailable: 2 },
      true,
    ],
    [
      "it must not serve beside changed ones",
      { "decode-0": "serving", "decode-1": "changing" },
      { isApart: true },
      false,
    ],
  ] as const)("has come where %s", async (_, states, more, isReplaced) => {
    const { turn, looks, hasBegun } = turnIn("now", [states], more);
    expect(await takeTurn(turn, context)).toBe(isReplaced);
    expect(hasBegun()).toBe(true);
    // Once more with the lock.
    expect(looks()).toBe(2);
  });

  it.each(["changing", "down", "abandoned"] as const)(
    "comes when another one that is %s serves",
    async (state) => {
      const { turn, looks } = turnIn("later", [
        { "decode-0": "serving", "decode-1": state },
        { "decode-0": "serving", "decode-1": state },
        { "decode-0": "serving", "decode-1": "serving" },
      ]);
      expect(await takeTurn(turn, context)).toBe(true);
      expect(looks()).toBe(4);
    },
  );

  it("never comes once another one has failed in the same update, and the next update knows nothing of it", async () => {
    const states = { "decode-0": "serving", "decode-1": "serving" } as const;
    const { turn, hasBegun } = turnIn("stopped", [states]);
    stopRollout({ directory, pool: "stopped", unit: "decode-1" });
    await expect(takeTurn(turn, context)).rejects.toThrow(
      "The rollout of stopped was stopped because the change of decode-1 failed. decode-0 was not changed, and serves as before.",
    );
    expect(hasBegun()).toBe(false);
    const next = turnIn("stopped", [states], { began: new Date(Date.now() + 60_000) });
    expect(await takeTurn(next.turn, context)).toBe(true);
  });

  it("does not wait for a change that nobody completes", async () => {
    const states = { "decode-0": "serving", "decode-1": "abandoned" } as const;
    const { turn, hasBegun } = turnIn("dead", [states], { began: new Date(Date.now() - 60_000) });
    await expect(takeTurn(turn, context)).rejects.toThrow("the change of decode-1 is not complete");
    expect(hasBegun()).toBe(false);
  });

  it("goes on where a change has ended while it looked", async () => {
    const serving = { "decode-0": "serving", "decode-1": "serving" } as const;
    const { turn } = turnIn("ended", [{ ...serving, "decode-1": "abandoned" }, serving], {
      began: new Date(Date.now() - 60_000),
    });
    expect(await takeTurn(turn, context)).toBe(true);
  });

  it("says what it has waited for", async () => {
    const { turn } = turnIn("slow", [{ "decode-0": "serving", "decode-1": "down" }], { timeoutSeconds: 0.2 });
    await expect(takeTurn(turn, context)).rejects.toThrow("waited 0.2 s for decode-1 to serve");
  });
});

test.each<[UnitState, UnitsState["programs"]]>([
  ["absent", []],
  ["serving", [program(), program()]],
  ["down", [program(), program({ state: "BACKOFF" })]],
  ["changing", [program(), program({ unfinished: true, owner: OWN })]],
  ["abandoned", [program({ unfinished: true, owner: { ...OWN, startTime: "another" } })]],
  ["abandoned", [program({ unfinished: true })]],
  // Of a multi-node unit one node may be ahead.
  ["changing", [program({ unfinished: true, owner: OWN }), program({ state: "STARTING" })]],
])("a unit is %s by what its nodes tell", (state, programs) => {
  expect(unitState(programs)).toBe(state);
});

describe("what is changed one after the other", () => {
  const rolloutFor = (config: Readonly<Record<string, unknown>>) => {
    const parsed = parseConfig({ target: "local", model: "Qwen/Qwen3-8B", ...config });
    return rolloutOf(parsed, plan(parsed, { discovery: "etcd", events: "nats" }));
  };
  const names = (config: Readonly<Record<string, unknown>>) =>
    rolloutFor(config)?.pools.map(({ name, units }) => [name, ...units.map(({ unit }) => unit)]);

  it("is every pool of more than one replica, and several frontends", () => {
    const pools = [
      { role: "prefill", replicas: 1 },
      { role: "decode", replicas: 2 },
    ];
    expect(names({ pools })).toEqual([["decode", "decode-0", "decode-1"]]);
    expect(names({ pools, frontend: { replicas: 2 } })).toEqual([
      ["frontend", "frontend-0", "frontend-1"],
      ["decode", "decode-0", "decode-1"],
    ]);
    expect(rolloutFor({ pools: [{ role: "aggregated", replicas: 1 }] })).toBeUndefined();
  });

  it("is no pool that is made anew", () => {
    const update = { strategy: "recreate" };
    expect(rolloutFor({ pools: [{ role: "aggregated", replicas: 3, update }] })).toBeUndefined();
  });

  it("follows the replicas' numbers, which go on across the pools of a role", () => {
    const pools = [
      { role: "aggregated", replicas: 2, update: { strategy: "recreate" } },
      {
        role: "aggregated",
        replicas: 3,
        tensorParallel: 2,
        update: { maxUnavailable: 2, minReadySeconds: 5 },
      },
    ];
    expect(names({ pools })).toEqual([["aggregated-pool1", "aggregated-2", "aggregated-3", "aggregated-4"]]);
    expect(rolloutFor({ pools })?.pools[0]).toMatchObject({ maxUnavailable: 2, minReadySeconds: 5 });
  });

  it("keeps generations apart where prefill and decode exchange caches, and nowhere else", () => {
    const disaggregated = (more: Readonly<Record<string, unknown>>) =>
      rolloutFor({
        pools: [
          { role: "prefill", replicas: 2 },
          { role: "decode", replicas: 2, engineArgs: more["args"] ?? [] },
        ],
        model: more["model"] ?? "Qwen/Qwen3-8B",
      })?.pools.map(({ generation }) => generation);
    const before = disaggregated({});
    expect(before?.every((one) => one !== undefined)).toBe(true);
    expect(disaggregated({ args: ["--max-num-seqs", "8"] })).toEqual(before);
    for (const [index, one] of (disaggregated({ model: "Qwen/Qwen3-0.6B" }) ?? []).entries())
      expect(one).not.toBe(before?.[index]);
    const pools = [{ role: "aggregated", replicas: 2 }];
    expect(rolloutFor({ pools })?.pools[0]?.generation).toBeUndefined();
  });
});
