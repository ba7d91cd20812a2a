/** Whether what the planner and the schedule may ask for goes with the limits. */
import { describe, expect, it } from "vitest";
import { limitCautions, priceQuestions } from "../../components/prices";
import { ConfigError } from "../../config/problems";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { SERVICES } from "./planShapes";

const DEDICATED: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  engine: "sglang",
  placement: "dedicated",
  pools: [{ role: "aggregated", tensorParallel: 4, minReplicas: 1, maxReplicas: 6 }],
};
/** Of each cluster that is asked for: the control plane's has no GPUs. */
const DOLLARS = 10;

/** Cautions, or the problems for which it is refused. */
function told(input: Partial<ConfigInput>, hasPrices = false): readonly string[] {
  const config = parseConfig({ ...DEDICATED, ...input });
  const price = {
    candidates: [{ infra: "aws/us-east-1", instanceType: "p5", spot: false, dollarsPerHour: DOLLARS }],
    problem: null,
  };
  const prices = new Map(priceQuestions(config).map((question) => [question, price]));
  try {
    return limitCautions(config, SERVICES, hasPrices ? prices : undefined);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path.join(".")}: ${message}`);
  }
}

const HELD = "what goes beyond it is told as `hold`, and not carried out";

describe("bounds of replicas beyond a limit", () => {
  it.each<[string, Partial<ConfigInput>, boolean, string[]]>([
    ["GPUs that are enough", { limits: { gpus: 24 } }, false, []],
    ["no limit", {}, true, []],
    [
      "maxReplicas",
      { limits: { gpus: 16 } },
      false,
      [`dynamo-sky:pools: maxReplicas of all are 24 GPUs, and limits.gpus is 16: ${HELD}.`],
    ],
    [
      "maxReplicas by price",
      { limits: { dollarsPerHour: 50 } },
      true,
      [
        `dynamo-sky:pools: maxReplicas of all are up to $70.00 an hour, and limits.dollarsPerHour is 50: ${HELD}.`,
      ],
    ],
    ["a price that nobody knows", { limits: { dollarsPerHour: 50 } }, false, []],
    [
      "fewest by the schedule",
      { limits: { gpus: 16 }, schedule: [{ at: "0 8 * * *", minReplicas: { aggregated: 5 } }] },
      false,
      [
        "schedule.0.minReplicas: asks for 20 GPUs, and limits.gpus is 16: so many can never be there. Ask for fewer, or raise limits.gpus.",
      ],
    ],
    [
      "fewest by the schedule, by price",
      {
        limits: { dollarsPerHour: 45 },
        schedule: [
          { at: "0 7 * * *", minReplicas: { aggregated: 3 } },
          { at: "0 8 * * *", minReplicas: { aggregated: 4 } },
        ],
      },
      true,
      [expect.stringContaining("schedule.1.minReplicas: asks for up to $50.00 an hour")],
    ],
    [
      "most by the schedule",
      {
        limits: { gpus: 16 },
        schedule: [
          { at: "0 8 * * *", maxReplicas: { aggregated: 5 } },
          { at: "0 9 * * *", maxReplicas: { aggregated: 4 } },
        ],
      },
      false,
      [
        expect.stringContaining("maxReplicas of all are 24 GPUs"),
        `dynamo-sky:schedule.0.maxReplicas: 20 GPUs, and limits.gpus is 16: ${HELD}.`,
      ],
    ],
  ])("are told: %s", (_, input, hasPrices, expected) => {
    expect(told(input, hasPrices)).toEqual(expected);
  });

  it("are none where the nodes are there anyway", () => {
    const shared = { placement: "shared", cluster: { nodes: 3 }, limits: { gpus: 24 } } as const;
    expect(told(shared)).toEqual([]);
  });
});
