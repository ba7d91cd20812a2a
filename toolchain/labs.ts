/** The two labs of this machine, Slurm's and Kubernetes': what all commands need to know of each. */
import { delimiter } from "node:path";
import {
  KUBERNETES_LAB,
  KUBERNETES_LAB_INFRA,
  KUBERNETES_LAB_LOCK,
  KUBERNETES_SKY_ENVIRONMENT,
  KUBERNETES_SKYPILOT_PORT,
  KUBERNETES_TEAM_INFRA,
} from "./kubernetesLabLayout";
import { LAB, LAB_INFRA, LAB_LOCK, LAB_PORTS, SKY_ENVIRONMENT } from "./labLayout";

export interface Lab {
  readonly kind: "slurm" | "kubernetes";
  /** As in `sky.infra`. */
  readonly infra: string;
  /** Other names of it there. Default: none. */
  readonly otherInfras?: readonly string[];
  readonly root: string;
  /** Exists while it is set up. */
  readonly etc: string;
  /** Output of its daemons. */
  readonly log: string;
  /** Held while it is used or changed, since there is one per machine. */
  readonly lock: string;
  /** Exists while it was started for a test or a benchmark, which stops it at its end. */
  readonly borrowed: string;
  /** SkyPilot's API server, on loopback. */
  readonly skyPilotPort: number;
  /** Environment of its `sky`, in addition to the user's. */
  readonly skyEnvironment: Readonly<Record<string, string>>;
  /** Programs that its `sky` calls by name; default: those of the machine. */
  readonly programs?: string;
  /** Clouds that its SkyPilot supports. */
  readonly clouds: readonly string[];
  /** Starts it. */
  readonly up: string;
}

export const SLURM: Lab = {
  kind: "slurm",
  infra: LAB_INFRA,
  root: LAB.root,
  etc: LAB.etc,
  log: LAB.log,
  lock: LAB_LOCK,
  borrowed: `${LAB.root}/borrowed`,
  skyPilotPort: LAB_PORTS.skypilot,
  skyEnvironment: SKY_ENVIRONMENT,
  clouds: ["slurm"],
  up: "npm run lab -- up",
};

export const KUBERNETES: Lab = {
  kind: "kubernetes",
  infra: KUBERNETES_LAB_INFRA,
  otherInfras: [KUBERNETES_TEAM_INFRA],
  root: KUBERNETES_LAB.root,
  etc: KUBERNETES_LAB.etc,
  log: KUBERNETES_LAB.log,
  lock: KUBERNETES_LAB_LOCK,
  borrowed: `${KUBERNETES_LAB.root}/borrowed`,
  skyPilotPort: KUBERNETES_SKYPILOT_PORT,
  skyEnvironment: KUBERNETES_SKY_ENVIRONMENT,
  programs: KUBERNETES_LAB.bin,
  clouds: ["kubernetes"],
  up: "npm run lab -- up --kubernetes",
};

export const LABS: readonly Lab[] = [SLURM, KUBERNETES];

/** Environment of a lab's `sky`, with the PATH on which it finds the lab's programs. */
export function skyEnvironmentOf({ skyEnvironment, programs }: Lab): Readonly<Record<string, string>> {
  if (programs === undefined) return skyEnvironment;
  return { ...skyEnvironment, PATH: [programs, process.env["PATH"]].filter(Boolean).join(delimiter) };
}
