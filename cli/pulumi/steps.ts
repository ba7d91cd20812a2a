import type { PropertyDiff, StepEventMetadata } from "@pulumi/pulumi/automation";
import { masked } from "./secrets";

/** One actual or planned operation of the engine on a resource. */
export interface Step {
  readonly urn: string;
  /** Name within the program: `dynamo-decode-1`. */
  readonly name: string;
  readonly type: string;
  /** `create`, `update`, `delete`, `replace`, `refresh` … */
  readonly op: string;
  /** Properties that differ, as `path: old → new` if the values are short. */
  readonly changes: readonly string[];
}

const shownValueLength = 100;
const shownChanges = 12;

/** Name of a resource, from its URN. */
export function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}

/** Whether a step is printed: a resource that changes, and one line for all steps of a replacement. */
export function isShown(metadata: StepEventMetadata): boolean {
  const state = metadata.new ?? metadata.old;
  if (metadata.type.startsWith("pulumi:providers:") || state?.custom !== true) return false;
  return !["same", "read", "refresh", "replace", "discard-replaced", "remove-pending-replace"].includes(
    metadata.op,
  );
}

/** Splits a property path of the engine (`environment.A`, `list[0]`, `map["a.b"]`). */
function pathParts(path: string): string[] {
  return [...path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
    ([, quoted, index, plain]) => quoted ?? index ?? plain ?? "",
  );
}

function valueAt(value: unknown, parts: readonly string[]): unknown {
  let current = masked(value);
  for (const part of parts) {
    if (typeof current !== "object" || current === null) return undefined;
    current = (current as Record<string, unknown>)[part];
  }
  return current;
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return "(nothing)";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length <= shownValueLength && !text.includes("\n") ? text : undefined;
}

function describeChange(metadata: StepEventMetadata, path: string, diff: PropertyDiff | undefined): string {
  const parts = pathParts(path);
  const before = shown(
    valueAt(diff?.inputDiff === false ? metadata.old?.outputs : metadata.old?.inputs, parts),
  );
  const after = shown(valueAt(metadata.new?.inputs, parts));
  return before === undefined || after === undefined || before === after
    ? path
    : `${path}: ${before} → ${after}`;
}

/** Descriptions of the differences. The engine has already masked secrets. */
function changesOf(metadata: StepEventMetadata): string[] {
  if (!["update", "replace", "create-replacement", "delete-replaced"].includes(metadata.op)) return [];
  const paths = Object.keys(metadata.detailedDiff ?? {});
  const all = paths.length > 0 ? paths : (metadata.diffs ?? metadata.keys ?? []);
  const described = all
    .slice(0, shownChanges)
    .map((path) => describeChange(metadata, path, metadata.detailedDiff?.[path]));
  return all.length > shownChanges ? [...described, `and ${all.length - shownChanges} more`] : described;
}

/** The step of an engine event. */
export function stepOf(metadata: StepEventMetadata): Step {
  const { urn, type, op } = metadata;
  return { urn, name: nameOf(urn), type, op, changes: changesOf(metadata) };
}
