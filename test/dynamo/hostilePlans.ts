/** Hostile values in a configuration: the plans of those that are accepted, the errors of the others. */
import type { DeploymentConfig } from "../../config/deployment";
import { ConfigError } from "../../config/problems";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import type { ClusterPlan, ProgramPlan } from "../../plan/types";
import { PAYLOADS, SLOTS, type Slot } from "./hostileValues";

const SERVICES = { discovery: "etcd", events: "nats" } as const;
const BASE: ConfigInput = { model: "/models/plain", cluster: { gpusPerNode: 1 } };

export interface Planned {
  readonly config: DeploymentConfig;
  readonly cluster: ClusterPlan;
}

export function planned(input: Partial<ConfigInput>): Planned {
  const config = parseConfig({ ...BASE, ...input });
  const [cluster] = plan(config, SERVICES).clusters.toReversed();
  if (cluster === undefined) throw new Error("the plan has no cluster");
  return { config, cluster };
}

/** The error for a configuration; undefined if it is accepted. */
export function refusal(input: Partial<ConfigInput>): string | undefined {
  try {
    planned(input);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

/** The payloads that a setting accepts, and its errors for the others. */
export const JUDGED = SLOTS.map((slot) => {
  const verdicts = PAYLOADS.map((payload) => ({ payload, refused: refusal(slot.put([payload])) }));
  return {
    slot,
    taken: [...new Set(verdicts.flatMap(({ payload, refused }) => (refused === undefined ? [payload] : [])))],
    refused: verdicts.flatMap(({ payload, refused }) =>
      refused === undefined ? [] : [{ payload, refused }],
    ),
  };
});
export const takenBy = (slot: Slot): readonly string[] =>
  JUDGED.find((judged) => judged.slot === slot)?.taken ?? [];

/** All payloads accepted by several settings, in one configuration. */
export function together(slots: readonly Slot[]): Partial<ConfigInput> {
  const parts = slots.map((slot) => slot.put(takenBy(slot)));
  const of = <K extends keyof ConfigInput>(key: K) => Object.assign({}, ...parts.map((part) => part[key]));
  return {
    ...Object.assign({}, ...parts),
    ...(slots.some(({ setting }) => setting.startsWith("sky.")) ? { sky: of("sky") } : {}),
    frontend: of("frontend"),
    engineEnv: of("engineEnv"),
  };
}

/**
 * The workers of many deployments as one program with all their arguments and variables, since each start is
 * slow.
 */
export function joined(worker: ProgramPlan, deployments: readonly Planned[]): ProgramPlan {
  const workers = deployments.flatMap(({ cluster }) =>
    cluster.nodes.flatMap(({ programs }) => programs.filter(({ role }) => role === "aggregated")),
  );
  const variables = workers.flatMap(({ env }, index) =>
    Object.entries(env).map(([key, value]) => [`${key}__${index}`, value]),
  );
  return {
    ...worker,
    name: "aggregated-1",
    replica: 1,
    command: ["record", ...workers.flatMap(({ command }) => command.slice(1))],
    env: Object.fromEntries(variables),
  };
}

/** The program replaced by the recorder, with no dependencies. */
export const recorded = (program: ProgramPlan): ProgramPlan => ({
  ...program,
  command: ["record", ...program.command.slice(1)],
  waitsFor: [],
});

export const WORKERS = SLOTS.filter(({ setting }) =>
  ["model", "servedModelName", "kvOffload.diskPath"].includes(setting),
);
export const MANY = SLOTS.filter(({ many, setting }) => many && !setting.startsWith("sky.config"));
