/** What the `local` verbs of the driver read from standard input. The components build these, the driver checks them. */
import { z } from "zod";
import { broughtSchema } from "../lib/broughtFiles";
import { nameSchema, programSchema } from "../plan/node/schema";

/** An address of this machine's loopback network; nothing of a local cluster may be reached from elsewhere. */
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
  /** What for: `http`, `client`. */
  purpose: z.string(),
  port: z.int().min(1).max(65535),
  /** The setting with which to choose another port (`frontend.port`), named in the error when this one is taken. */
  configKey: z.string().optional(),
});

/** `local lease` and `local release`: the nodes of one cluster. */
export const localLeaseSchema = z.strictObject({
  /** Full name, unique on this machine; also the name of the directory. */
  cluster: nameSchema,
  /** Address of the control plane, where that is in another cluster. Default: the address of rank 0. */
  headAddress: addressSchema.optional(),
  nodes: z.array(z.strictObject({ ...nodeFields, ports: z.array(portSchema).default([]) })).min(1),
  /**
   * Units of the deployment; any other that still runs is stopped. Pulumi deletes what a deployment no longer has at the
   * very end, when that still holds the ports which what comes in its place needs. Default: none is stopped.
   */
  units: z.array(nameSchema).optional(),
  /** Values for the programs' `secretEnv`, kept in a file that only the owner can read (mode 0600). */
  secrets: z.record(z.string(), z.string()).default({}),
  /** Model whose tokenizer the cache must hold. Default: none is looked for. */
  model: z.string().optional(),
  /** Whether etcd and NATS are needed; file discovery needs neither. Default: true. */
  services: z.boolean().default(true),
  /** Whether nginx is needed. Default: false. */
  gateway: z.boolean().default(false),
  /** Whether Prometheus is needed. Default: false. */
  prometheus: z.boolean().default(false),
  /** Bound on the whole verb, seconds. Default 900: a first start installs Python packages. */
  timeoutSeconds: z.number().positive().default(900),
});
export type LocalLeaseSpec = z.input<typeof localLeaseSchema>;
export type LocalLease = z.output<typeof localLeaseSchema>;

/** `local apply` and `local remove`: the programs of one unit (a service, or one replica of a pool). */
export const localProgramsSchema = z.strictObject({
  cluster: nameSchema,
  nodes: z.array(z.strictObject({ ...nodeFields, programs: z.array(programSchema) })).min(1),
  /** Files of this machine that its programs read, by name. Default: none. */
  files: z.record(z.string().regex(/^[A-Za-z0-9][\w.-]*$/), broughtSchema).default({}),
  /** Name of the unit, unique in the cluster; what is applied together and removed together. */
  unit: nameSchema,
  /** Seconds in which all programs of the unit must be healthy. Default 180. */
  timeoutSeconds: z.number().positive().default(180),
});
export type LocalProgramsSpec = z.input<typeof localProgramsSchema>;
export type LocalPrograms = z.output<typeof localProgramsSchema>;

/** `local observe`: which clusters to look at. */
export const localObserveSchema = z.strictObject({ clusters: z.array(nameSchema) });
export type LocalObserveSpec = z.input<typeof localObserveSchema>;
