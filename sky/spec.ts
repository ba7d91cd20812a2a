/** What the `sky` verbs read from standard input. */
import { z } from "zod";
import { broughtSchema } from "../lib/broughtFiles";
import type { ServedCertificate } from "../lib/tls/served";
import type { PlanEntry } from "../plan/compact";

/** Valid on every cloud, and harmless as a part of a path. https://docs.skypilot.co/en/latest/reference/yaml-spec.html */
const clusterName = z
  .string()
  .max(80)
  .regex(/^[a-z]([a-z0-9-]*[a-z0-9])?$/);
const seconds = z.number().positive();

/** Where the cluster may be, as in the configuration; it decides which `sky` is run. */
const infra = z.array(z.string());

/** Input of `sky lease` and of `sky down`, which undoes it. */
export const skyLeaseSchema = z.strictObject({
  /** Full name of the SkyPilot cluster. */
  cluster: clusterName,
  infra,
  /** Bound on the checks before a launch, seconds; the first time SkyPilot is installed in it. Default 900. */
  leaseTimeoutSeconds: seconds.default(900),
  /** Bound on the teardown, seconds. Default 1800. */
  downTimeoutSeconds: seconds.default(1800),
});
export type SkyLeaseSpec = z.input<typeof skyLeaseSchema>;
export type SkyLease = z.output<typeof skyLeaseSchema>;

const names = z.record(z.string(), z.string());
const anything = z.record(z.string(), z.unknown());

/** A task of SkyPilot as data: `task.ts` makes it, `taskText.ts` writes it. https://docs.skypilot.co/en/latest/reference/yaml-spec.html */
export const skyTaskSchema = z.strictObject({
  num_nodes: z.int().min(1),
  resources: anything,
  config: anything.exactOptional(),
  envs: names.exactOptional(),
  /** Names; the values come with the launch (`secrets.ts`; of a recipe by `--secret NAME`), and never stand in a task. */
  secrets: z.array(z.string()).exactOptional(),
  file_mounts: anything.exactOptional(),
  /** Prepares a node. */
  setup: z.string().exactOptional(),
  /** A command, or what `runtime/start.py` is given on each node. */
  run: z
    .union([z.string(), z.strictObject({ options: z.array(z.string()), plan: z.custom<PlanEntry>() })])
    .exactOptional(),
});
export type SkyTask = Readonly<z.output<typeof skyTaskSchema>>;

/** Input of `sky launch`. */
export const skyLaunchSchema = z.strictObject({
  cluster: clusterName,
  infra,
  /** Holds no secret. */
  task: skyTaskSchema,
  /** Digests of the files of `runtime/`, by name: other files are another task. Default: it needs none. */
  runtime: names.default({}),
  /** Files of this machine that the nodes are given, by name. Default: none. */
  files: z.record(z.string().regex(/^[A-Za-z0-9][\w.-]*$/), broughtSchema).default({}),
  /** Values of the task's secrets, by name. Reach the nodes in a private file, the login of a registry SkyPilot alone; no command line. */
  secrets: z.record(z.string(), z.string()).default({}),
  /**
   * Present where the endpoint speaks TLS. With a seed, a certificate is made for the address that the cluster has got, and reaches the
   * nodes as one of the secrets. Default: plain HTTP.
   */
  tls: z.strictObject({ seed: z.string().optional(), names: z.array(z.string()).default([]) }).optional(),
  /** Tries again until there is capacity, within the time limit. Default false. */
  retryUntilUp: z.boolean().default(false),
  /** The port whose address is wanted. */
  port: z.int().min(1).max(65_535),
  /** Bound on provisioning and setting up, seconds. Default 3600. */
  timeoutSeconds: seconds.default(3600),
});
export type SkyLaunchSpec = z.input<typeof skyLaunchSchema>;
export type SkyLaunch = z.output<typeof skyLaunchSchema>;

/** Result of `sky launch`, on standard output. */
export interface SkyLaunched {
  /** Address of rank 0. */
  readonly headAddress: string;
  /** URL of the port that was asked for. */
  readonly endpoint: string;
  /** SkyPilot's identity of the cluster: another one is another set of machines. */
  readonly clusterHash: string;
  /** What clients see of a certificate that was made. */
  readonly certificate?: ServedCertificate;
}

/** Input of `sky observe`. */
export const skyObserveSchema = z.strictObject({
  /** Beginning of the names of the clusters that are meant. */
  prefix: z.string().min(1),
  infra,
  /** Bound, seconds. Default 120. */
  timeoutSeconds: seconds.default(120),
});
export type SkyObserveSpec = z.input<typeof skyObserveSchema>;
