/** Input of the `sky` verbs, read from standard input. */
import { z } from "zod";
import { broughtSchema } from "../lib/broughtFiles";
import type { ServedCertificate } from "../lib/tls/served";
import type { PlanEntry } from "../plan/compact";
import { nameSchema, programSchema, rolloutSchema } from "../plan/node/schema";

/**
 * Valid on every cloud, and safe as a part of a path.
 * https://docs.skypilot.co/en/latest/reference/yaml-spec.html
 */
const clusterName = z
  .string()
  .max(80)
  .regex(/^[a-z]([a-z0-9-]*[a-z0-9])?$/);
const seconds = z.number().positive();

/** Candidate infras, as in the configuration; they decide which `sky` is run. */
const infra = z.array(z.string());

/** Input of `sky lease` and its counterpart `sky down`. */
export const skyLeaseSchema = z.strictObject({
  /** Full name of the SkyPilot cluster. */
  cluster: clusterName,
  infra,
  /**
   * Time limit of the checks before a launch, seconds; includes the first installation of SkyPilot. Default
   * 900.
   */
  leaseTimeoutSeconds: seconds.default(900),
  /** Time limit of the teardown, seconds. Default 1800. */
  downTimeoutSeconds: seconds.default(1800),
  /**
   * How long its programs may take to stop before the teardown, so that requests which they have come to
   * their end, seconds. Default: all end with the cluster.
   */
  drainSeconds: seconds.exactOptional(),
});
export type SkyLease = z.output<typeof skyLeaseSchema>;

const names = z.record(z.string(), z.string());
const anything = z.record(z.string(), z.unknown());

/**
 * A SkyPilot task as data: built by `task.ts`, rendered by `taskText.ts`.
 * https://docs.skypilot.co/en/latest/reference/yaml-spec.html
 */
export const skyTaskSchema = z.strictObject({
  num_nodes: z.int().min(1),
  resources: anything,
  config: anything.exactOptional(),
  envs: names.exactOptional(),
  /**
   * Names only; the values come with the launch (`secrets.ts`; for a recipe `--secret NAME`), and are never
   * part of a task.
   */
  secrets: z.array(z.string()).exactOptional(),
  file_mounts: anything.exactOptional(),
  volumes: anything.exactOptional(),
  /** Prepares a node. */
  setup: z.string().exactOptional(),
  /** A command, or the input of `runtime/start.py` on each node. */
  run: z
    .union([
      z.string(),
      z.strictObject({
        options: z.array(z.string()),
        /** Absent if `up` gives the nodes their units afterwards. */
        plan: z.custom<PlanEntry>().exactOptional(),
      }),
    ])
    .exactOptional(),
});
export type SkyTask = Readonly<z.output<typeof skyTaskSchema>>;

/** Input of `sky launch`. */
export const skyLaunchSchema = z.strictObject({
  cluster: clusterName,
  infra,
  /** Holds no secret. */
  task: skyTaskSchema,
  /** Digests of the files of `runtime/`, by name: a changed file makes another task. Default: none needed. */
  runtime: names.default({}),
  /**
   * Values of the task's secrets, by name: never on a command line. Of `up` only the login of a registry,
   * which SkyPilot alone gets; nodes are given theirs by `sky nodes`.
   */
  secrets: z.record(z.string(), z.string()).default({}),
  /** Whether the endpoint uses TLS. Default: plain HTTP. */
  tls: z.boolean().default(false),
  /** Retries until there is capacity, within the time limit. Default false. */
  retryUntilUp: z.boolean().default(false),
  /** Port of the endpoint. */
  port: z.int().min(1).max(65_535),
  /** Time limit of provisioning and set-up, seconds. Default 3600. */
  timeoutSeconds: seconds.default(3600),
});
export type SkyLaunchSpec = z.input<typeof skyLaunchSchema>;
export type SkyLaunch = z.output<typeof skyLaunchSchema>;

/** Result of `sky launch`, on standard output. */
export interface SkyLaunched {
  /** Address of rank 0. */
  readonly headAddress: string;
  /** URL of the requested port. */
  readonly endpoint: string;
  /** SkyPilot's hash of the cluster: it differs for another set of machines. */
  readonly clusterHash: string;
}

/** Input of `sky nodes`. */
export const skyNodesSchema = z.strictObject({
  cluster: clusterName,
  infra,
  /** All nodes, each with the names of the secrets that its programs have. */
  nodes: z.array(z.strictObject({ rank: z.int().min(0), secrets: z.array(z.string()) })).min(1),
  /** Units of the deployment; any other is taken off. */
  units: z.array(nameSchema),
  /** Names of its files; any other that was brought is removed. Default: none. */
  files: z.array(z.string()).default([]),
  /** Values of the secrets. They go through ssh's standard input. */
  secrets: names.default({}),
  /** URL for clients. */
  endpoint: z.string(),
  /** Address of rank 0. */
  headAddress: z.string(),
  /** How to issue the gateway's certificate for those. Default: none is issued. */
  tls: z.strictObject({ seed: z.string(), names: z.array(z.string()).default([]) }).optional(),
  /**
   * How the deployment's units are changed one after the other; null if all are at once. Absent for clusters
   * without frontends.
   */
  rollout: rolloutSchema.nullable().exactOptional(),
  /** Time limit, seconds; includes the wait for a task that has just started. Default 600. */
  timeoutSeconds: seconds.default(600),
});
export type SkyNodesSpec = z.input<typeof skyNodesSchema>;
export type SkyNodes = z.output<typeof skyNodesSchema>;

/** Result of `sky nodes`, on standard output. */
export interface SkyNodesResult {
  /** The public part of an issued certificate. */
  readonly certificate?: ServedCertificate;
}

/** Input of `sky apply` and `sky remove`: the programs of one unit (a service, or one replica of a pool). */
export const skyUnitSchema = z.strictObject({
  cluster: clusterName,
  infra,
  /** Unique in the cluster; its programs are applied and removed together. */
  unit: nameSchema,
  /**
   * Full name of the cluster with the frontends, whose first node knows how the unit is changed. Default: the
   * unit is changed at once.
   */
  home: clusterName.exactOptional(),
  nodes: z.array(z.strictObject({ rank: z.int().min(0), programs: z.array(programSchema) })).min(1),
  /** Local files that its programs read, by name. Default: none. */
  files: z.record(z.string().regex(/^[A-Za-z0-9][\w.-]*$/), broughtSchema).default({}),
  /** Time limit for all programs of the unit to become healthy, seconds. Default 600. */
  timeoutSeconds: seconds.default(600),
  /**
   * Models on the hub that the programs load, as `runtime/fetch_model.py` takes them, and the time limit to
   * download them. A node that has them downloads nothing. Default: none.
   */
  weights: z.strictObject({ models: z.array(z.string()).min(1), seconds }).exactOptional(),
});
export type SkyUnit = z.output<typeof skyUnitSchema>;
export type SkyUnitSpec = z.input<typeof skyUnitSchema>;

/** Input of `sky observe`. */
export const skyObserveSchema = z.strictObject({
  /** Prefix of the clusters' names. */
  prefix: z.string().min(1),
  infra,
  /** Time limit, seconds. Default 120. */
  timeoutSeconds: seconds.default(120),
});
