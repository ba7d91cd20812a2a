/** Input of the `ready` verb, read from standard input. */
import { z } from "zod";
import { TASKS } from "../config/task";
import { nameSchema } from "./node/schema";

const count = z.int().min(0);

/** When a deployment counts as ready, and where to look for the cause if it does not. */
export const readySchema = z.strictObject({
  /** Base URL of the endpoint, with or without `/v1`. */
  endpoint: z.url({ protocol: /^https?$/ }),
  /** Name of the model in requests. */
  model: z.string().min(1),
  /** Task of the test request. Default: chat. */
  task: z.enum(TASKS).default("chat"),
  /** Dynamo namespace of the workers. */
  namespace: z.string().min(1),
  /** Workers that must be registered, by role. */
  expectedWorkers: z.strictObject({
    aggregated: count,
    prefill: count,
    decode: count,
    encode: count.default(0),
  }),
  /**
   * Seconds after which more than the expected workers are accepted: those lost before are no longer listed
   * then, and the others are on clusters that go when the update ends. Default: never.
   */
  surplusSeconds: z.number().positive().optional(),
  /** Time limit, seconds. Default 600. */
  timeoutSeconds: z.number().positive().default(600),
  /** Sent as `Authorization: Bearer`. Never printed. */
  apiKey: z.string().optional(),
  /**
   * SHA-256 fingerprint of the endpoint's certificate; verified before the key is sent. Default: the system's
   * trust store.
   */
  fingerprint: z.string().optional(),
  /** Names of the local clusters to mark as proven once the deployment is ready. */
  localClusters: z.array(nameSchema).default([]),
  /**
   * The deployment's SkyPilot clusters, the one with the endpoint first. Default: it runs on this machine.
   */
  sky: z.strictObject({ infra: z.array(z.string()), clusters: z.array(z.string()).min(1) }).optional(),
  /**
   * Log files by component (`prefill`, `frontend`); the error includes the last lines of the one that is not
   * ready.
   */
  logs: z.record(z.string(), z.array(z.string())).default({}),
});
export type ReadySpec = z.input<typeof readySchema>;
export type ReadyInput = z.output<typeof readySchema>;
