/** Report of a node, as written by `runtime/agent.py`. */
import { z } from "zod";
import { historySchema } from "../../local/state";

const programReport = z.object({
  state: z
    .object({ statename: z.string(), pid: z.number(), spawnerr: z.string().default(""), start: z.number() })
    .nullable(),
  /** Null before the first start. */
  history: historySchema.nullable(),
  /** Exits that supervisor has logged, oldest first. */
  exits: z.array(z.object({ at: z.number(), how: z.string() })),
  /** Its last log lines. */
  lines: z.array(z.string()),
});
export type ProgramReport = z.output<typeof programReport>;

const frontendReport = z.object({
  metrics: z.array(z.string()).optional(),
  /** Answer of `/v1/models/<model>/ready`. */
  ready: z.unknown().optional(),
  error: z.string().optional(),
});
export type FrontendReport = z.output<typeof frontendReport>;

export const nodeReport = z.object({
  /** By the node's clock, seconds since 1970. */
  at: z.number(),
  exists: z.boolean(),
  supervisor: z.boolean(),
  /** How soon after its start an exit counts as a crash. */
  crashSeconds: z.number().nullable(),
  programs: z.record(z.string(), programReport),
  frontends: z.record(z.string(), frontendReport),
});
export type NodeReport = z.output<typeof nodeReport>;

/** Two reports of a node, some time apart, or the reason why there are none. */
export type NodeAnswer =
  | { readonly earlier: NodeReport | undefined; readonly now: NodeReport }
  | { readonly unreachable: string };
