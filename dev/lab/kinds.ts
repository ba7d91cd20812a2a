/** What can be done with each lab. */
import { existsSync } from "node:fs";
import type { Progress } from "../../lib/progress";
import { KUBERNETES_NODE, KUBERNETES_NODES } from "../../toolchain/kubernetesLabLayout";
import { LAB_PARTITIONS } from "../../toolchain/labLayout";
import { KUBERNETES, type Lab, SLURM } from "../../toolchain/labs";
import { labDaemons } from "./daemons";
import { labDown } from "./down";
import { kubernetesDaemons } from "./kubernetes/daemons";
import { kubernetesDown } from "./kubernetes/down";
import { kubernetesUp } from "./kubernetes/up";
import type { Daemon } from "./processes";
import { findLabTools, installedSky } from "./tools";
import { labUp } from "./up";

export interface LabKind {
  readonly lab: Lab;
  readonly up: (progress: Progress, signal: AbortSignal) => Promise<void>;
  readonly down: (progress: Progress, signal: AbortSignal) => Promise<void>;
  readonly daemons: () => readonly Daemon[];
  /** Its nodes, in words. */
  readonly nodes: string;
  /** The stack for it in `examples/stacks`. */
  readonly stack: string;
}

export const SLURM_KIND: LabKind = {
  lab: SLURM,
  up: (progress, signal) => labUp(() => findLabTools(progress), progress, signal),
  down: labDown,
  daemons: () => labDaemons(installedSky(SLURM)),
  nodes: LAB_PARTITIONS.map(
    ({ nodes, accelerator, gpus }) => `${nodes.length} nodes with ${accelerator}:${gpus}`,
  ).join(", "),
  stack: "lab",
};

export const KUBERNETES_KIND: LabKind = {
  lab: KUBERNETES,
  up: kubernetesUp,
  down: kubernetesDown,
  daemons: () => kubernetesDaemons(installedSky(KUBERNETES)),
  nodes: `${KUBERNETES_NODES.length} nodes with ${KUBERNETES_NODE.accelerator}:${KUBERNETES_NODE.gpus}`,
  stack: "kubernetes",
};

export function isSetUp({ root }: Lab): boolean {
  return existsSync(root);
}
