/** Report of a node, as written by `runtime/agent.py`. */
import { z } from "zod";

/** Content of `run/<name>.json`, written by `History` in `runtime/launch.py`. */
const historySchema = z.object({
  starts: z.number(),
  /** Number of consecutive crashes right after its start. */
  crashes: z.number(),
  /** GPUs of the last start, as CUDA knows them on that machine: indices or UUIDs; empty without GPUs. */
  gpus: z.array(z.string()).optional(),
  /** Time of the last start, seconds since 1970. */
  at: z.number().default(0),
});

const programReport = z.object({
  /** As in `lib/nodeUnits.ts`. */
  state: z.string(),
  /** When supervisor started its launcher, seconds since 1970; 0 before; null if it does not know it. */
  start: z.number().nullable(),
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
  /** What its check before the start has found. */
  notes: z.array(z.string()).default([]),
  programs: z.record(z.string(), programReport),
  frontends: z.record(z.string(), frontendReport),
});
export type NodeReport = z.output<typeof nodeReport>;

/** Two reports of a node, some time apart, or the reason why there are none. */
export type NodeAnswer =
  | { readonly earlier: NodeReport | undefined; readonly now: NodeReport }
  | { readonly unreachable: string };
