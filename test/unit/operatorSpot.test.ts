/** Which replicas are on demand for want of spot instances, and when spot is tried again for them. */
import { describe, expect, it } from "vitest";
import { deployedOf } from "../../cli/deployment/deployed";
import type { Reach } from "../../cli/deployment/reach";
import { mayFallBack, onDemandOf, SpotTries } from "../../cli/operate/spot";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { stackOutputs } from "../outputs";
import { byOwnClock, DECODE, operate, ScriptedStack, START, texts } from "./operatorScene";

byOwnClock();

const HOUR = 3_600_000;
const CONFIG = parseConfig({
  model: "Qwen/Qwen3-8B",
  placement: "dedicated",
  pools: [
    { role: "prefill", tensorParallel: 8, spot: { use: true } },
    {
      role: "decode",
      tensorParallel: 8,
      minReplicas: 1,
      maxReplicas: 4,
      spot: { use: true, onDemandBase: 1, fallback: true },
    },
  ],
  sky: { infra: "aws" },
});

describe("replicas on demand for want of spot instances", () => {
  it("are of pools that may fall back, above their base, and as many as there are", () => {
    expect(mayFallBack(CONFIG, { decode: 3 })).toEqual(["decode-1", "decode-2"]);
    expect(mayFallBack(CONFIG, { decode: 1 })).toEqual([]);
  });

  const found = (names: readonly string[], states: Awaited<ReturnType<Reach["clusters"]>>) => {
    const topology = ["control", "prefill-0", "decode-0", "decode-1"].map((name) => ({
      name,
      cluster: `x-${name}`,
      nodes: [{ rank: 0, programs: [] }],
    }));
    const deployed = {
      ...deployedOf(stackOutputs({ endpoint: "http://127.0.0.1:8000", model: "m" })),
      topology,
    };
    const reach: Reach = { clusters: async () => states, shell: () => undefined, close: () => undefined };
    return onDemandOf(deployed, reach, names);
  };
  const up = (spot: boolean | undefined) => ({ status: "UP", spot });

  it("are those whose machines SkyPilot says to be no spot instances", async () => {
    const states = { "x-decode-0": up(false), "x-decode-1": up(false), "x-prefill-0": up(false) };
    expect(await found(["decode-1"], states)).toEqual([{ name: "decode-1", cluster: "x-decode-1" }]);
    expect(await found(["decode-1"], { ...states, "x-decode-1": up(true) })).toEqual([]);
    expect(await found(["decode-1"], { ...states, "x-decode-1": up(undefined) })).toEqual([]);
    expect(await found(["decode-1"], {})).toEqual([]);
  });

  it("are left alone where a role has no other replica", async () => {
    expect(await found(["prefill-0"], { "x-prefill-0": up(false) })).toEqual([]);
  });
});

describe("spot", () => {
  const one = { name: "decode-1", cluster: "x-decode-1" };

  it("is tried again after an hour, then after two, four …, for one replica at a time", () => {
    const tries = new SpotTries();
    const tried: number[] = [];
    for (let minutes = 0; minutes <= 16 * 60; minutes += 1) {
      const now = minutes * 60_000;
      if (tries.isDue(now) && tries.chosen([one, { ...one, name: "decode-2" }], now) === one)
        tried.push(now / HOUR);
    }
    expect(tried).toEqual([1, 3, 7, 15]);
  });

  it("is tried after an hour again once all were on spot", () => {
    const tries = new SpotTries();
    expect(tries.chosen([one], 0)).toBeUndefined();
    expect(tries.chosen([one], HOUR)).toBe(one);
    expect(tries.chosen([], 2 * HOUR)).toBeUndefined();
    expect(tries.chosen([one], 5 * HOUR)).toBeUndefined();
    expect(tries.chosen([one], 6 * HOUR)).toBe(one);
  });
});

describe("a replica that is on demand for want of a spot instance", () => {
  const spot: ConfigInput = {
    ...DECODE,
    placement: "dedicated",
    cluster: { gpusPerNode: 8 },
    pools: [
      { role: "prefill" },
      { role: "decode", minReplicas: 1, maxReplicas: 4, spot: { use: true, fallback: true } },
    ],
  };

  it("is given back after an hour, and launched anew by an update, while all else is well", async () => {
    const stack = new ScriptedStack();
    const given: string[] = [];
    const told = await operate(stack, {
      looks: 10,
      every: 600,
      config: () => spot,
      nodes: {
        lost: async () => (Date.now() < START + 4_000_000 ? [] : ["decode-0: the cluster is STOPPED"]),
        onDemand: async (_deployed, names) => names.map((name) => ({ name, cluster: `x-${name}` })),
        giveBack: async (_deployed, { cluster }) => void given.push(cluster),
      },
    });
    expect(given).toEqual(["x-decode-0"]);
    expect(stack.updates[0]?.at).toBe(3600);
    expect(texts(told, "repair")[0]).toBe(
      "decode-0 was on demand for want of a spot instance, which is tried again",
    );
  });

  it("is not asked for where no pool may fall back", async () => {
    let asked = 0;
    const onDemand = async () => {
      asked += 1;
      return [];
    };
    await operate(new ScriptedStack(), { looks: 10, every: 600, nodes: { onDemand } });
    expect(asked).toBe(0);
  });
});
