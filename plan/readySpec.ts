/** What the `ready` verb reads from standard input. */
import { z } from "zod";
import { TASKS } from "../config/task";
import { nameSchema } from "./node/schema";

const count = z.int().min(0);

/** When a deployment counts as ready, and where to look when it does not become so. */
export const readySchema = z.strictObject({
  /** Base URL of the endpoint, with or without `/v1`. */
  endpoint: z.url({ protocol: /^https?$/ }),
  /** Name that clients put into a request. */
  model: z.string().min(1),
  /** What it is asked for. Default: chat. */
  task: z.enum(TASKS).default("chat"),
  /** Dynamo namespace in which the workers register. */
  namespace: z.string().min(1),
  /** Workers that must be registered, by role. */
  expectedWorkers: z.strictObject({
    aggregated: count,
    prefill: count,
    decode: count,
    encode: count.default(0),
  }),
  /** Bound on the whole wait, seconds. Default 600. */
  timeoutSeconds: z.number().positive().default(600),
  /** Sent as `Authorization: Bearer`. Never printed. */
  apiKey: z.string().optional(),
  /** SHA-256 of the certificate that the endpoint shows; asked for before the key is sent. Default: what the system trusts. */
  fingerprint: z.string().optional(),
  /** Names of the local clusters that are noted as proven once the deployment is ready. */
  localClusters: z.array(nameSchema).default([]),
  /** The deployment's SkyPilot clusters, the one with the endpoint first. Default: it runs on this machine. */
  sky: z.strictObject({ infra: z.array(z.string()), clusters: z.array(z.string()).min(1) }).optional(),
  /** Log files by component (`prefill`, `frontend`); the last lines of the one waited for are part of the error. */
  logs: z.record(z.string(), z.array(z.string())).default({}),
});
export type ReadySpec = z.input<typeof readySchema>;
export type ReadyInput = z.output<typeof readySchema>;
