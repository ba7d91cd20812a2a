/** A compact plan expands, on the nodes, to the original plan. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { planStack } from "../../cli/plannedStack";
import { readProject, stacksWithFiles } from "../../cli/pulumi/project";
import { recipePath, renderedStacks } from "../../cli/recipe";
import type { ConfigInput } from "../../config/schema";
import { compactPlan, type PlanEntry } from "../../plan/compact";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import type { ClusterPlan, ProgramPlan } from "../../plan/types";
import { skyTask } from "../../sky/task";
import { taskText } from "../../sky/taskText";
import { planIn, programsOfPlans } from "../runtime";
import { SERVICES, SHAPES } from "./planShapes";

const REPOSITORY = join(__dirname, "..", "..");
const MODEL = "Qwen/Qwen3-8B";

const programsByRank = ({ nodes }: ClusterPlan): Record<string, readonly ProgramPlan[]> =>
  Object.fromEntries(
    nodes.filter(({ programs }) => programs.length > 0).map(({ rank, programs }) => [rank, byName(programs)]),
  );
const byName = (programs: readonly ProgramPlan[]) =>
  programs.toSorted((a, b) => a.name.localeCompare(b.name));

/** The nodes' programs of a cluster's plan, after a round trip through text. */
function onNodes(clusters: readonly ClusterPlan[], model?: string): Record<string, readonly ProgramPlan[]>[] {
  const config = parseConfig({ model: MODEL });
  const read = clusters.map((cluster): PlanEntry => {
    const run = { options: [], plan: compactPlan(cluster, model) };
    const text = taskText({ ...skyTask({ cluster, config }), run });
    return parse(planIn(parse(text, { version: "1.1" }).run), { version: "1.1" });
  });
  return programsOfPlans(read, model).map((nodes) =>
    Object.fromEntries(Object.entries(nodes).map(([rank, programs]) => [rank, byName(programs)])),
  );
}

describe("the plan of a task", () => {
  const stacks = stacksWithFiles(readProject(REPOSITORY)).map(
    (stack) => [`stack ${stack}`, planStack(stack, REPOSITORY).plan.clusters] as const,
  );
  const shapes = Object.entries(SHAPES).map(
    ([name, input]) => [`shape ${name}`, plan(parseConfig(input), SERVICES).clusters] as const,
  );

  it.each([...stacks, ...shapes])("gives each program of %s what the plan says", (_name, clusters) => {
    expect(onNodes(clusters)).toEqual(clusters.map(programsByRank));
  });

  it("says the model where the task's environment does, and another one there is another model", () => {
    const [cluster] = plan(parseConfig(SHAPES.multi), SERVICES).clusters;
    if (cluster === undefined) throw new Error("no cluster");
    const compact = compactPlan(cluster, MODEL);
    expect(JSON.stringify(compact)).not.toContain(MODEL);
    const [nodes] = programsOfPlans([compact], "Qwen/Qwen3-32B");
    expect(nodes?.["0"]?.find(({ role }) => role === "aggregated")?.command).toContain("Qwen/Qwen3-32B");
    expect(onNodes([cluster], MODEL)).toEqual([programsByRank(cluster)]);
  });

  it.each(renderedStacks(REPOSITORY))("of the recipe of stack %s can be read in a minute", (stack) => {
    const lines = readFileSync(join(REPOSITORY, recipePath(stack)), "utf8").split("\n").length - 1;
    expect(lines).toBeLessThanOrEqual(["single", "multi"].includes(stack) ? 120 : 200);
  });

  it("says what programs share once, whatever their number", () => {
    const lines = (replicas: number) => {
      const input: ConfigInput = {
        model: MODEL,
        cluster: { gpusPerNode: replicas },
        pools: [{ role: "aggregated", replicas }],
      };
      const [cluster] = plan(parseConfig(input), SERVICES).clusters;
      if (cluster === undefined) throw new Error("no cluster");
      return JSON.stringify(compactPlan(cluster), undefined, 1).match(/dynamo\.sglang|"DYN_\w+"/g)?.length;
    };
    expect(lines(8)).toBe(lines(2));
  });

  it("is the same however a user has written it", () => {
    const text = (engineEnv: Record<string, string>) => {
      const [cluster] = plan(
        parseConfig({ model: MODEL, cluster: { gpusPerNode: 1 }, engineEnv }),
        SERVICES,
      ).clusters;
      return cluster === undefined ? "" : JSON.stringify(compactPlan(cluster));
    };
    expect(text({ NCCL_DEBUG: "INFO", DYN_LOG: "debug" })).toBe(
      text({ DYN_LOG: "debug", NCCL_DEBUG: "INFO" }),
    );
  });

  it.each([
    [{ programs: [{ name: "etcd", command: "etcd", health: "http://x", port: 1 }] }, "unknown field 'port'"],
    [{ programs: [{ name: "etcd", health: "http://x" }] }, "program 'etcd' has no command"],
    [{ programs: [{ name: "a b", command: "x", health: "http://x" }] }, "'a b' is no name of a program"],
    [
      { programs: [1, 2].map(() => ({ name: "etcd", command: "x", health: "http://x" })) },
      "two programs of node 0 are named 'etcd'",
    ],
  ])("%j is refused", (entry, message) => {
    expect(() => programsOfPlans([entry as PlanEntry])).toThrow(message);
  });
});
