/**
 * Failures as SkyPilot 0.14.1 printed them on a real Kubernetes 1.34 (the lab's; names of the registry and of
 * the cluster replaced): each was made to happen there, and `sky launch` recorded.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { classify, explained } from "../../sky/failure";
import type { FailureKind } from "../../sky/failureKinds";

const RECORDED: readonly (readonly [string, FailureKind, string])[] = [
  [
    "image-missing",
    "image",
    'ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "registry.example.com/team/none:1"',
  ],
  [
    "image-private",
    "image",
    'ErrImagePull: failed to pull and unpack image "registry.example.com/private/x:1"',
  ],
  ["too-many", "capacity", "Timed out while waiting for nodes to start."],
  ["taint", "nodes", "Timed out while waiting for nodes to start."],
  // Of the API server's refusals SkyPilot prints the answer, among its log.
  ["quota", "quota", 'pods "first-main-abc123-fcd1e5cf-head" is forbidden: exceeded quota: team, requested:'],
  // What a LimitRange gives a container that names no limit is less than SkyPilot asks for.
  [
    "limits",
    "namespace",
    'Pod "first-main-abc123-fcd1e5cf-head" is invalid: spec.containers[0].resources.requests: Invalid value: "64G": must be less',
  ],
  [
    "podsecurity",
    "namespace",
    'pods "first-main-abc123-fcd1e5cf-head" is forbidden: violates PodSecurity "restricted:latest":',
  ],
];

function recorded(name: string): string {
  return readFileSync(join(__dirname, "skyOnKubernetes", `${name}.txt`), "utf8");
}

describe("a failure on Kubernetes", () => {
  it.each(RECORDED)("%s is known as %s, with its cause", (name, kind, beginning) => {
    const failure = classify(recorded(name).trimEnd().split("\n"));
    expect(failure.kind).toBe(kind);
    expect(failure.cause.slice(0, beginning.length)).toBe(beginning);
  });

  // With control groups v1 the kernel ends one program after the other, and Kubernetes knows nothing of it.
  it("of a pod's limit of memory is known by the log of its set-up, while SkyPilot waits for Ray", () => {
    const waited = classify(["⚙︎ Launching on Kubernetes.", "└── Pod is up."], true);
    expect(waited.kind).toBe("timeout");
    const failure = explained(waited, recorded("oom-setup").trimEnd().split("\n"));
    expect(failure.kind).toBe("memory");
    expect(failure.cause).toMatch(/^\/bin\/bash: line 647: +249 Killed /);
  });

  it("is not known by the name of its cluster", () => {
    const text = recorded("too-many").replaceAll("first-main-abc123", "quota-test-main-abc123");
    expect(classify(text.trimEnd().split("\n")).kind).toBe("capacity");
  });
});
