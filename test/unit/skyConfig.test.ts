/** Parts of SkyPilot's own configuration (`sky.config`) that do not fit a pod or a job are rejected. */

import { describe, expect, test } from "vitest";
import { messageOf } from "./configMessages";

const podConfig = (pod_config: object) => ({ sky: { infra: "k8s", config: { kubernetes: { pod_config } } } });
const sbatch = (sbatch_options: object) => ({
  sky: { infra: "slurm/hpc", config: { slurm: { sbatch_options } } },
});
const UNFIT: readonly (readonly [title: string, written: object, message: string])[] = [
  [
    "a misspelt part of a pod",
    podConfig({ specs: {} }),
    'kubernetes.pod_config.specs: is nothing that a pod has here. Did you mean "spec"?',
  ],
  [
    "a part of its specification above it",
    podConfig({ tolerations: [] }),
    'kubernetes.pod_config.tolerations: is nothing that a pod has here. Did you mean "spec.tolerations"?',
  ],
  [
    "what no pod has",
    podConfig({ zzz: 1 }),
    "kubernetes.pod_config.zzz: is nothing that a pod has. Allowed: apiVersion, kind, metadata, spec, status.",
  ],
  [
    "a misspelt part of its specification",
    podConfig({ spec: { nodeSelectors: {} } }),
    'kubernetes.pod_config.spec.nodeSelectors: is nothing that a pod has here. Did you mean "nodeSelector"?',
  ],
  [
    "a job of many",
    sbatch({ array: "0-3" }),
    "slurm.sbatch_options.array: makes several jobs of one, and SkyPilot knows one: the others would hold nodes without a cluster. Remove it.",
  ],
  [
    "a job that is held",
    sbatch({ H: true }),
    "slurm.sbatch_options.H: keeps the job from starting, and SkyPilot waits for it. Remove it.",
  ],
  [
    "tasks of Slurm",
    sbatch({ ntasks_per_node: 8 }),
    "slurm.sbatch_options.ntasks_per_node: has SkyPilot's own commands run several times a node, which it runs once. Remove it; pools say how many workers a node has.",
  ],
  [
    "GPUs by Slurm's other way",
    sbatch({ "gpus-per-node": "h100:8" }),
    "slurm.sbatch_options.gpus-per-node: asks for GPUs a second time: SkyPilot does, by --gres. Remove it; use cluster.accelerator and cluster.gpusPerNode instead.",
  ],
  [
    "a job without a number",
    sbatch({ parsable: true }),
    "slurm.sbatch_options.parsable: hides the job's number, by which SkyPilot knows the job: it would hold its nodes without a cluster. Remove it.",
  ],
];

describe("sky.config", () => {
  test.each(UNFIT)("is refused: %s", (_title, written, message) => {
    expect(messageOf(written)).toBe(`dynamo-sky:sky.config.${message}`);
  });

  test("suggests a key by its last part", () => {
    const told = (config: object) => messageOf({ sky: { infra: "k8s", config } });
    expect(told({ kubernetes: { ports: "x" } })).not.toContain("Did you mean");
    expect(told({ kubernetes: { pod_confg: {} } })).toContain('Did you mean "kubernetes.pod_config"?');
    expect(told({ kubernets: {} })).toContain('Did you mean "kubernetes"?');
    expect(told({ pod_config: {} })).toContain('Did you mean "kubernetes.pod_config"?');
  });
});
