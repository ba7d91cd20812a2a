import { expect, it } from "vitest";
import { driftOf } from "../../cli/pulumi/drift";
import type { Step } from "../../cli/pulumi/steps";

const step = (op: string, ...changes: string[]): Step => ({
  urn: "urn:pulumi:dev::p::t::launch",
  name: "launch",
  type: "t",
  op,
  changes,
});

it("is empty when a preview would do nothing", () => {
  expect(driftOf([])).toEqual([]);
});

it("tells what was lost by the reason that the program gave", () => {
  const mark = "environment.DYNAMO_SKY_OBSERVED: healthy → SkyPilot knows no such cluster, seen 2026-01-01";
  expect(driftOf([step("update", "stdin", mark)])).toEqual([
    { resource: "launch", kind: "lost", reason: "SkyPilot knows no such cluster, seen 2026-01-01" },
  ]);
});

it("tells what was configured and not applied", () => {
  expect(driftOf([step("update", "stdin"), step("create")])).toEqual([
    { resource: "launch", kind: "pending", reason: "to update: stdin" },
    { resource: "launch", kind: "pending", reason: "to create" },
  ]);
});
