import { autoscaleSchema, DECODE_THRESHOLDS, PREFILL_THRESHOLDS } from "../autoscale";
import type { WorkerRole } from "../names";
import { isScaled } from "../pools";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

const USUAL = autoscaleSchema.parse({});
const THRESHOLDS = [...DECODE_THRESHOLDS, ...PREFILL_THRESHOLDS] as const;

/** Rejects bounds of replicas that leave nothing to decide, and settings of a planner that is not there. */
export function autoscaleChecks(known: Known): Problem[] {
  return [...poolProblems(known), ...plannerProblems(known)];
}

type Pool = NonNullable<Known["pools"]>[number];

function poolProblems({ pools = [] }: Known): Problem[] {
  return pools.flatMap((pool, index) => {
    const at = (key: keyof Pool, message: string): Problem => ({ path: ["pools", index, key], message });
    const { role, minReplicas = 1, maxReplicas, replicas } = pool;
    if (maxReplicas === undefined) {
      if (pool.minReplicas === undefined) return [];
      return [at("minReplicas", `${minReplicas} has no effect without maxReplicas. Set that, or remove it.`)];
    }
    if (role === "encode") {
      const message = `${maxReplicas} cannot be kept: the planner decides on no encode workers. Remove it, and set replicas.`;
      return [at("maxReplicas", message)];
    }
    if (maxReplicas <= minReplicas) {
      const message = `${maxReplicas} leaves nothing to decide: minReplicas is ${minReplicas}. Allowed: ${minReplicas + 1} or more; or remove both, and set replicas.`;
      return [at("maxReplicas", message)];
    }
    if (replicas !== undefined && (replicas < minReplicas || replicas > maxReplicas)) {
      const message = `${replicas} to begin with is not between minReplicas ${minReplicas} and maxReplicas ${maxReplicas}. Allowed: ${minReplicas} to ${maxReplicas}; or remove it.`;
      return [at("replicas", message)];
    }
    return sameRoleProblems(pools, index).map((message) => at("maxReplicas", message));
  });
}

/** The planner knows one number for each role. */
function sameRoleProblems(pools: readonly Pool[], index: number): string[] {
  const role = pools[index]?.role;
  const other = pools.findIndex((pool, at) => at !== index && pool.role === role);
  if (other < 0) return [];
  return [
    `cannot be kept: the planner decides how many workers of role ${role} there are, and pools[${other}] has that role too. Leave one of the pools, or remove it.`,
  ];
}

function plannerProblems({ pools = [], autoscale, controlPlane }: Known): Problem[] {
  if (autoscale === undefined) return [];
  const at = (key: keyof typeof autoscale, message: string): Problem => ({
    path: ["autoscale", key],
    message,
  });
  const written = Object.keys(autoscale) as (keyof typeof autoscale)[];
  if (!pools.some(isScaled)) {
    const because =
      "has no effect while no pool has maxReplicas: nothing is decided. Remove it, or set that.";
    return written
      .filter((key) => autoscale[key] !== USUAL[key])
      .map((key) => at(key, `${show(autoscale[key])} ${because}`));
  }
  const has = (...roles: WorkerRole[]) => pools.some((pool) => isScaled(pool) && roles.includes(pool.role));
  const wanted = [
    ...(has("aggregated", "decode") ? DECODE_THRESHOLDS : []),
    ...(has("prefill") ? PREFILL_THRESHOLDS : []),
  ];
  const isLoad = autoscale.target === "load";
  const missing = THRESHOLDS.filter((key) => isLoad && wanted.includes(key) && autoscale[key] === undefined);
  const idle = THRESHOLDS.filter((key) => autoscale[key] !== undefined && !(isLoad && wanted.includes(key)));
  return [
    ...missing.map((key) => at(key, `is required with target load. Allowed: ${range(key)}.`)),
    ...idle.map((key) => {
      const other = has("prefill") ? "that decodes" : "of role prefill";
      const why = isLoad ? `while no pool ${other} has maxReplicas` : "with this target";
      return at(key, `${show(autoscale[key])} has no effect ${why}. Remove it.`);
    }),
    ...orderProblems(autoscale, DECODE_THRESHOLDS),
    ...orderProblems(autoscale, PREFILL_THRESHOLDS),
    ...(controlPlane?.discovery === "file"
      ? [
          {
            path: ["controlPlane", "discovery"],
            message:
              '"file" does not go with maxReplicas: the planner tells its decisions through etcd. Use "etcd" or "auto".',
          },
        ]
      : []),
  ];
}

function range(key: (typeof THRESHOLDS)[number]): string {
  return key.endsWith("Percent") ? "1 to 100" : "0 or more";
}

function orderProblems(
  autoscale: NonNullable<Known["autoscale"]>,
  [up, down]: typeof DECODE_THRESHOLDS | typeof PREFILL_THRESHOLDS,
): Problem[] {
  const [above, below] = [autoscale[up], autoscale[down]];
  if (above === undefined || below === undefined || above > below) return [];
  const message = `${above} must be more than ${down} ${below}: else it would add and remove workers in turn.`;
  return [{ path: ["autoscale", up], message }];
}
