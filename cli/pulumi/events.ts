/**
 * Result of a Pulumi operation, from the event log of the plain CLI (`--event-log`):
 * https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go
 */
import type { DiagnosticEvent, EngineEvent } from "@pulumi/pulumi/automation";
import { masked } from "./secrets";
import { isShown, nameOf, type Step, stepOf } from "./steps";

type PolicyEvent = NonNullable<EngineEvent["policyEvent"]>;

/** A policy violation. */
export interface Violation {
  readonly policy: string;
  /** `mandatory` fails the operation, `advisory` does not. */
  readonly level: string;
  /** Name of the resource within the program. */
  readonly resource: string;
  readonly message: string;
}

/** Observed result of an operation. */
export interface Observed {
  readonly steps: readonly Step[];
  /** Number of resources by operation: `{ create: 2, same: 10 }`. */
  readonly changes: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  readonly violations: readonly Violation[];
  /** Outputs of the stack; secrets are masked. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /**
   * The program's message about a mistake of the user, before anything was done; undefined if there was none.
   */
  readonly mistake: string | undefined;
}

const shownFailureLines = 30;
/** Prefixes of SDK and language host for errors of the program: sdk/nodejs/cmd/run/run.ts. */
const fault =
  /^(Running program .* failed with an unhandled exception|Program exited|Problem executing program)/;
/** First line of what Pulumi's command resources say of a failed command, whose own message follows. */
const commandLine = /^exit status \d+: running ".*":$/;
/** Final messages of the engine that repeat an error without its cause. */
const repeated = /^(update|preview|destroy|refresh|destruction) (failed|canceled)$/;

/** The events of a log, whose last line may be incomplete. */
export function eventsIn(text: string): EngineEvent[] {
  return text.split("\n").flatMap((line) => {
    try {
      return line === "" ? [] : [JSON.parse(line) as EngineEvent];
    } catch {
      return [];
    }
  });
}

/** @param planning Whether it was a preview: then planned steps count, else completed ones. */
export function observedIn(events: readonly EngineEvent[], planning: boolean): Observed {
  const begun = events.flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata ?? []);
  const ended = events.flatMap(({ resOutputsEvent }) => resOutputsEvent?.metadata ?? []);
  const stack = ended.findLast(({ type }) => type === "pulumi:pulumi:Stack");
  const violations = events.flatMap(({ policyEvent }) => (policyEvent ? [violationOf(policyEvent)] : []));
  const errors = events.flatMap(({ diagnosticEvent }) => (diagnosticEvent ? errorsIn(diagnosticEvent) : []));
  const refusals = violations
    .filter(({ level }) => level === "mandatory")
    .map(({ policy, level, message }) => `policy ${policy} (${level}): ${message}`);
  const hasFailed = events.some(({ resOpFailedEvent }) => resOpFailedEvent !== undefined);
  const isMistake = !hasFailed && errors.length > 0 && errors.every(({ isFault }) => !isFault);
  return {
    steps: (planning ? begun : ended).filter(isShown).map(stepOf),
    changes: { ...events.findLast(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges },
    failures: [...errors.map(({ text }) => text), ...refusals],
    violations,
    outputs: record(masked(stack?.new?.outputs)),
    mistake: isMistake ? errors.map(({ message }) => message).join("\n") : undefined,
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Removes the engine's colour marks. */
export function plain(text: string): string {
  return text.replace(/<\{%[^%]*%\}>/g, "").trimEnd();
}

/** A policy violation without the policy's description, with which the engine's message starts. */
function violationOf({ message: text, policyName, enforcementLevel, resourceUrn }: PolicyEvent): Violation {
  const lines = plain(text).split("\n");
  const message = (lines.length > 1 ? lines.slice(1) : lines).join(" ").trim();
  const resource = resourceUrn === undefined ? "" : nameOf(resourceUrn);
  return { policy: policyName, level: enforcementLevel, resource, message };
}

/** An error with its resource, its first line and its last ones. */
function errorsIn({ severity, message: text, urn }: DiagnosticEvent) {
  const message = plain(text);
  if (severity !== "error" || message.trim() === "" || repeated.test(message.trim())) return [];
  const owner = urn && !urn.includes("::pulumi:pulumi:Stack::") ? nameOf(urn) : undefined;
  const all = message.split("\n");
  const lines = all.length > 1 && commandLine.test(all[0] ?? "") ? all.slice(1) : all;
  const hidden = lines.length - shownFailureLines;
  const shown =
    hidden > 0 ? [lines[0], `(${hidden} lines left out)`, ...lines.slice(-shownFailureLines + 1)] : lines;
  const cut = shown.join("\n");
  return [{ message, text: owner === undefined ? cut : `${owner}: ${cut}`, isFault: fault.test(message) }];
}
