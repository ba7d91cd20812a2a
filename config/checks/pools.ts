import type { WorkerRole } from "../names";
import { gpusPerReplica, PARALLEL_KEYS } from "../pools";
import type { Problem } from "../problems";
import { show } from "../values";
import { VERSIONS } from "../versions";
import type { Known } from ".";

/** Most GPUs of one replica: beyond any existing system, and a limit for the arithmetic. */
const MOST_GPUS_OF_A_REPLICA = 4096;

export function poolChecks(known: Known): Problem[] {
  return [...roleProblems(known), ...sizeProblems(known), ...acceleratorProblems(known)];
}

function roleProblems({ pools }: Known): Problem[] {
  if (pools === undefined) return [];
  const has = (role: WorkerRole) => pools.some((pool) => pool.role === role);
  const path = ["pools"];
  if (has("encode") && pools.every(({ role }) => role === "encode")) {
    const message =
      "all pools have role encode, whose workers only look at pictures. Add an aggregated pool, or a prefill and a decode pool.";
    return [{ path, message }];
  }
  if (has("aggregated") && (has("prefill") || has("decode"))) {
    const roles = [...new Set(pools.map((pool) => pool.role))].join(", ");
    return [
      {
        path,
        message: `the roles ${roles} do not go together. Use aggregated alone, or prefill and decode together; encode goes with either.`,
      },
    ];
  }
  if (has("prefill") && !has("decode")) return [{ path, message: missingRole("prefill", "decode") }];
  if (has("decode") && !has("prefill")) return [{ path, message: missingRole("decode", "prefill") }];
  return [];
}

function missingRole(role: WorkerRole, missing: WorkerRole): string {
  return `there is a pool with role ${role} and none with role ${missing}; one cannot answer without the other. Add a ${missing} pool, or use role aggregated.`;
}

function sizeProblems({ pools }: Known): Problem[] {
  return (pools ?? []).flatMap((pool, index) => {
    const gpus = gpusPerReplica(pool);
    if (pool.role === "encode" && gpus > 1) {
      const message = `a replica would need ${gpus} GPUs (${PARALLEL_KEYS.join(" × ")}), and an encode worker of Dynamo ${VERSIONS.dynamo} works on one. Leave them at 1, and raise replicas.`;
      return [{ path: ["pools", index], message }];
    }
    if (gpus <= MOST_GPUS_OF_A_REPLICA) return [];
    const message = `a replica would need ${PARALLEL_KEYS.map((key) => pool[key]).join(" × ")} = ${gpus} GPUs (${PARALLEL_KEYS.join(" × ")}). Allowed: at most ${MOST_GPUS_OF_A_REPLICA}. Lower one of them.`;
    return [{ path: ["pools", index], message }];
  });
}

function acceleratorProblems({ pools, placement, cluster, target }: Known): Problem[] {
  if (placement !== "shared" || cluster === undefined) return [];
  return (pools ?? []).flatMap(({ accelerator }, index) => {
    if (accelerator === undefined || accelerator === cluster.accelerator) return [];
    const why =
      target === "local"
        ? "with target local all pools are on this machine's GPUs. Remove it."
        : "with placement shared all pools are on one cluster. Remove it, or set placement to dedicated.";
    const message = `${show(accelerator)} differs from cluster.accelerator ${show(cluster.accelerator)}, and ${why}`;
    return [{ path: ["pools", index, "accelerator"], message }];
  });
}
