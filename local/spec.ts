/**
 * Input of the driver's `local` verbs, read from standard input. Built by the components, checked by the
 * driver.
 */
import { z } from "zod";
import { broughtSchema } from "../lib/broughtFiles";
import { nameSchema, programSchema, rolloutSchema } from "../plan/node/schema";

/** A loopback address: a local cluster must not be reachable from other machines. */
const addressSchema = z
  .string()
  .regex(/^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/, "must be a loopback address (127.x.y.z)");

const nodeFields = {
  /** Rank in the cluster; 0 is the head. */
  rank: z.int().min(0),
  /** The node's own loopback address. Default: 127.0.0.(1 + rank). */
  address: addressSchema.optional(),
};

const portSchema = z.strictObject({
  /** Program that listens on it. */
  program: nameSchema,
  /** Purpose: `http`, `client`. */
  purpose: z.string(),
  port: z.int().min(1).max(65535),
  /** The setting for another port (`frontend.port`), named in the error if this one is in use. */
  configKey: z.string().optional(),
});

/** `local lease` and `local release`: the nodes of one cluster. */
export const localLeaseSchema = z.strictObject({
  /** Full name, unique on this machine; also the name of the directory. */
  cluster: nameSchema,
  /** Address of the control plane, if it is in another cluster. Default: the address of rank 0. */
  headAddress: addressSchema.optional(),
  nodes: z.array(z.strictObject({ ...nodeFields, ports: z.array(portSchema).default([]) })).min(1),
  /**
   * Units of the deployment; any other running unit is stopped. Pulumi deletes removed resources last, while
   * they still hold ports that their replacements need. Default: none is stopped.
   */
  units: z.array(nameSchema).optional(),
  /** Values of the programs' `secretEnv`, kept in a file readable by its owner only (mode 0600). */
  secrets: z.record(z.string(), z.string()).default({}),
  /** Model whose tokenizer must be in the cache. Default: not checked. */
  model: z.string().optional(),
  /** Whether etcd and NATS are needed; file discovery needs neither. Default: true. */
  services: z.boolean().default(true),
  /** Whether nginx is needed. Default: false. */
  gateway: z.boolean().default(false),
  /** Whether Dynamo's planner is needed. Default: false. */
  planner: z.boolean().default(false),
  /** Whether Prometheus is needed. Default: false. */
  prometheus: z.boolean().default(false),
  /** Which of them are changed one after the other. Default: none, each is changed at once. */
  rollout: rolloutSchema.optional(),
  /** Time limit of the whole verb, seconds. Default 900: the first start installs Python packages. */
  timeoutSeconds: z.number().positive().default(900),
});
export type LocalLeaseSpec = z.input<typeof localLeaseSchema>;
export type LocalLease = z.output<typeof localLeaseSchema>;

/** `local apply` and `local remove`: the programs of one unit (a service, or one replica of a pool). */
export const localProgramsSchema = z.strictObject({
  cluster: nameSchema,
  nodes: z.array(z.strictObject({ ...nodeFields, programs: z.array(programSchema) })).min(1),
  /** Local files read by its programs, by name. Default: none. */
  files: z.record(z.string().regex(/^[A-Za-z0-9][\w.-]*$/), broughtSchema).default({}),
  /** Name of the unit, unique in the cluster; its programs are applied and removed together. */
  unit: nameSchema,
  /** Time limit for all programs of the unit to become healthy, seconds. Default 180. */
  timeoutSeconds: z.number().positive().default(180),
});
export type LocalProgramsSpec = z.input<typeof localProgramsSchema>;
export type LocalPrograms = z.output<typeof localProgramsSchema>;

/** `local observe`: which clusters to look at. */
export const localObserveSchema = z.strictObject({ clusters: z.array(nameSchema) });
