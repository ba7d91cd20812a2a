/** Checks of placement, nodes and resource requests. */
import { engines, realEngines } from "../../engines";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

export function placementChecks(known: Known): Problem[] {
  return [...dedicatedProblems(known), ...skyProblems(known), ...offloadProblems(known)];
}

function dedicatedProblems({ target, placement, cluster }: Known): Problem[] {
  if (placement !== "dedicated") return [];
  const problems: Problem[] = [];
  if (target === "local") {
    problems.push({
      path: ["placement"],
      message:
        'dedicated needs machines of their own, and target local has one. Set it to "shared", or target to "sky".',
    });
  }
  if (cluster !== undefined && cluster.nodes > 1) {
    problems.push({
      path: ["cluster", "nodes"],
      message: `${cluster.nodes} has no effect with placement dedicated: each replica gets a cluster with as many nodes as its GPUs need. Remove it, or set placement to "shared".`,
    });
  }
  return problems;
}

function skyProblems({ sky }: Known): Problem[] {
  if (sky === undefined) return [];
  const problems: Problem[] = [];
  for (const key of ["cpus", "memory"] as const) {
    const value = sky[key];
    if (sky.instanceType === undefined || value === undefined) continue;
    const message = `${show(value)} goes beside sky.instanceType ${show(sky.instanceType)}, which sets it already. Remove one of the two.`;
    problems.push({ path: ["sky", key], message });
  }
  if (!sky.autostopDown && sky.autostopMinutes === undefined) {
    problems.push({
      path: ["sky", "autostopDown"],
      message: "false has no effect without sky.autostopMinutes. Set that too, or remove this.",
    });
  }
  return problems;
}

/** Engines that keep KV blocks on disks, for a message. */
const withDisk = () =>
  realEngines()
    .filter((name) => engines[name].disk?.refused === undefined)
    .join(" or ");

function offloadProblems({ kvOffload, engine, router }: Known): Problem[] {
  if (kvOffload === undefined) return [];
  const { hostMemoryGB, diskGB, diskPath } = kvOffload;
  const problems: Problem[] = [];
  if (diskGB !== undefined && hostMemoryGB === undefined) {
    problems.push({
      path: ["kvOffload", "diskGB"],
      message: `${diskGB} needs kvOffload.hostMemoryGB: blocks reach the disk through host memory. Set both.`,
    });
  }
  const isSet = diskGB !== undefined && hostMemoryGB !== undefined;
  const { needsBlockSize, refused } = (engine && engines[engine].disk) ?? {};
  if (isSet && needsBlockSize !== undefined && router !== undefined && router.blockSize === undefined) {
    problems.push({
      path: ["router", "blockSize"],
      message:
        `is needed with kvOffload.diskGB: ${needsBlockSize}. ` +
        "Set it, such as to 64, or remove kvOffload.diskGB.",
    });
  }
  if (isSet && refused !== undefined) {
    problems.push({
      path: ["kvOffload", "diskGB"],
      message: `${diskGB} is not possible with engine ${engine}, ${refused}. Remove it, or use engine ${withDisk()}.`,
    });
  }
  if (diskPath !== undefined && diskGB === undefined) {
    problems.push({
      path: ["kvOffload", "diskPath"],
      message: `${show(diskPath)} has no effect without kvOffload.diskGB. Set that too, or remove this.`,
    });
  }
  return problems;
}
