/** The committed stacks: each describes its purpose, has a plan, and leaves no GPU idle. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { planStack } from "../../cli/plannedStack";
import { readProject, stackFile, stacksWithFiles } from "../../cli/pulumi/project";
import { outOfDate, recipePath, renderedFiles } from "../../cli/recipe";
import { packageRoot } from "../../lib/root";
import type { DeploymentPlan } from "../../plan/types";

const root = packageRoot();
const stacks = stacksWithFiles(readProject(root));

/** `2 × 8 GPUs: 2 prefill of 4, 2 decode of 4`: summary of a plan. */
function summary({ engine, clusters }: DeploymentPlan): string {
  const nodes = clusters.flatMap((cluster) => cluster.nodes);
  const replicas = new Map<string, number>();
  for (const { programs } of nodes)
    for (const { role, replica, gpus } of programs) {
      const key = `${role} ${replica}`;
      if (gpus.length > 0) replicas.set(key, (replicas.get(key) ?? 0) + gpus.length);
    }
  const sizes = new Map<string, number>();
  for (const [key, gpus] of replicas) {
    const kind = `${key.split(" ")[0]} of ${gpus}`;
    sizes.set(kind, (sizes.get(kind) ?? 0) + 1);
  }
  const pools = [...sizes].map(([kind, count]) => `${count} ${kind}`).join(", ");
  return `${engine} on ${nodes.length} × ${nodes[0]?.gpus}: ${pools}`;
}

const documented: Readonly<Record<string, string>> = {
  disagg: "sglang on 1 × 8: 1 prefill of 4, 1 decode of 4",
  "disagg-multi": "sglang on 2 × 8: 2 prefill of 4, 2 decode of 4",
  "one-gpu": "sglang on 1 × 1: 1 prefill of 1, 1 decode of 1",
  tp2: "sglang on 2 × 8: 8 aggregated of 2",
  "deepseek-r1": "sglang on 4 × 8: 1 prefill of 16, 1 decode of 16",
  vllm: "vllm on 1 × 8: 2 prefill of 2, 2 decode of 2",
  trtllm: "trtllm on 1 × 8: 2 prefill of 2, 2 decode of 2",
  "trtllm-multi": "trtllm on 2 × 8: 1 aggregated of 16",
};

describe("the committed stacks", () => {
  it("are there for every documented shape", () => {
    expect(stacks).toEqual(expect.arrayContaining([...Object.keys(documented), "dev"]));
  });

  it.each(Object.entries(documented))("%s is %s", (stack, shape) => {
    expect(summary(planStack(stack, root).plan)).toBe(shape);
  });

  it.each(stacks)("%s has a plan in which every GPU is at work", (stack) => {
    const { config, plan } = planStack(stack, root);
    const nodes = plan.clusters.flatMap((cluster) => cluster.nodes);
    expect(nodes.length).toBeGreaterThan(0);
    for (const node of nodes) {
      expect(node.idleGpus).toEqual([]);
      const given = node.programs.flatMap((program) => program.gpus);
      expect(new Set(given).size).toBe(node.gpus);
      expect(given).toHaveLength(node.gpus * config.cluster.workersPerGpu);
    }
  });

  it.each(stacks)("%s begins with what it is for", (stack) => {
    const lines = readFileSync(stackFile(readProject(root), stack) ?? "", "utf8").split("\n");
    const head = lines.slice(
      0,
      lines.findIndex((line) => !line.startsWith("#")),
    );
    expect(head.filter((line) => /^# [A-Z]/.test(line)).length).toBeGreaterThan(0);
  });

  it.each(stacks)("%s has its picture and its recipe as they are rendered now: npm run recipes", (stack) => {
    expect(outOfDate(renderedFiles(stack, root), root)).toEqual([]);
  });

  it("tells what is out of date by its name", () => {
    const files = new Map([
      ["README.md", "another text"],
      ["docs/pictures/there-is-none.svg", ""],
    ]);
    expect(outOfDate(files, root)).toEqual([...files.keys()]);
    expect([...renderedFiles("single", root).keys()]).toEqual([
      "docs/pictures/single.svg",
      recipePath("single"),
    ]);
    expect([...renderedFiles("dev", root).keys()]).toEqual(["docs/pictures/dev.svg"]);
  });
});
