import type { Problem } from "../problems";
import { tasks } from "../task";
import type { Known } from ".";

/** Rejects settings that need token generation and a KV cache, if the task has neither. */
export function taskChecks({ task, pools, router, kvOffload }: Known): Problem[] {
  if (task === undefined || tasks[task].generates) return [];
  const problems: Problem[] = [];
  const add = (path: Problem["path"], message: string) => problems.push({ path, message });
  for (const [index, { role }] of (pools ?? []).entries()) {
    if (role !== "aggregated")
      add(
        ["pools", index, "role"],
        `"${role}" is not possible with task ${task}, which has no phases that could be apart. Use role aggregated.`,
      );
  }
  // Dynamo answers every such request with 500: 'KV routing should not call generate on PushRouter'.
  if (router?.mode === "kv")
    add(
      ["router", "mode"],
      `"kv" does not work with task ${task}, which has no KV cache to route by. Remove it, or use "round-robin" or "least-loaded".`,
    );
  if (kvOffload?.hostMemoryGB !== undefined)
    add(
      ["kvOffload", "hostMemoryGB"],
      `${kvOffload.hostMemoryGB} has no effect with task ${task}, which keeps no KV cache. Remove it.`,
    );
  return problems;
}
