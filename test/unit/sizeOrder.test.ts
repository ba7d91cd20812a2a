/** Which layout `size` puts first, of equals too. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PredictedRole } from "../../cli/size/aiconfigurator";
import { layoutText } from "../../cli/size/draw";
import { type Candidate, isRefused, layoutOf, type Priced, priced } from "../../cli/size/layouts";
import { ranked } from "../../cli/size/order";
import { size } from "../../cli/size/size";
import { realEngines } from "../../engines";
import { sizeOptions as options, recordedSources as sources } from "./sizeAsked";

type Cut = Partial<Pick<PredictedRole, "role" | "replicas" | "tp" | "dp" | "moeEp">>;

const [engine = ""] = realEngines();
const asked = options();

/** On 16 GPUs, and all that is not said the same. */
function layout(cuts: readonly Cut[], given: Partial<Candidate> = {}): Priced {
  const one = { replicas: 1, tp: 1, pp: 1, dp: 1, moeTp: 1, moeEp: 1, cp: 1, batch: 8, quantization: {} };
  const roles = cuts.map((cut) => ({ ...one, role: "aggregated" as const, ...cut }));
  const candidate: Candidate = {
    ...{ engine, accelerator: "H100", version: "1", moe: true, mode: roles.length > 1 ? "disagg" : "agg" },
    ...{ roles, ttft: 200, tpot: 19, tokensPerSecondPerGpu: 1000, tokensPerSecondPerUser: 50 },
    ...{ requestsPerSecond: 32, concurrency: 512 },
    ...given,
  };
  const found = layoutOf(candidate, asked);
  if (isRefused(found)) throw new Error(found.reason);
  return priced(found, { onDemand: 40, spot: null }, asked);
}

const prefill = (cut: Cut): Cut => ({ role: "prefill", ...cut });
const decode = (cut: Cut): Cut => ({ role: "decode", ...cut });

const WHOLE = { tp: 8, replicas: 2 } as const;

describe("of two layouts", () => {
  it.each<[string, first: Priced, second: Priced]>([
    [
      "the one with more tokens is first, by three digits",
      layout([prefill({ tp: 8 }), decode({ tp: 8 })], { tokensPerSecondPerGpu: 1010 }),
      layout([WHOLE]),
    ],
    [
      "that give the same to three digits, the one with fewer roles",
      layout([WHOLE]),
      layout([prefill({ tp: 8 }), decode({ tp: 8 })], { tokensPerSecondPerGpu: 1001, tpot: 9 }),
    ],
    [
      "then with fewer ways to cut the model",
      layout([{ replicas: 4, tp: 4 }]),
      layout([{ replicas: 2, tp: 4, dp: 2 }], { tpot: 9 }),
    ],
    ["then with fewer workers", layout([WHOLE]), layout([{ replicas: 8, tp: 2 }], { tpot: 9 })],
    ["then the faster one", layout([WHOLE], { tpot: 18 }), layout([{ replicas: 2, dp: 8 }])],
    ["then the name", layout([{ replicas: 2, dp: 8 }]), layout([WHOLE])],
  ])("%s", (_, first, second) => {
    expect(ranked([second, first], asked).map(layoutText)).toEqual([first, second].map(layoutText));
    expect(ranked([first, second], asked).map(layoutText)).toEqual([first, second].map(layoutText));
  });

  it("the order in which they were found says nothing, nor a price that all have", async () => {
    const { layouts } = await size(options({ engine: realEngines(), price: ["2.5"] }), sources);
    const names = (some: readonly Priced[]) => some.map((one) => `${one.engine} ${layoutText(one)}`);
    const unpriced = layouts.map((one) => priced(one, { onDemand: null, spot: null }, asked));
    fc.assert(
      fc.property(fc.shuffledSubarray([...layouts.keys()], { minLength: layouts.length }), (order) => {
        for (const given of [layouts, unpriced]) {
          const shuffled = order.flatMap((at) => given[at] ?? []);
          expect(names(ranked(shuffled, asked))).toEqual(names(layouts));
        }
      }),
      { numRuns: 30 },
    );
  });
});
