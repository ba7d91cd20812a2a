/**
 * What an operation of Pulumi did, by the log of its events, which the plain CLI writes (`--event-log`):
 * https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go
 */
import type { DiagnosticEvent, EngineEvent } from "@pulumi/pulumi/automation";
import { isShown, masked, nameOf, type Step, stepOf } from "./steps";

type PolicyEvent = NonNullable<EngineEvent["policyEvent"]>;

/** What a policy found. */
export interface Violation {
  readonly policy: string;
  /** `mandatory` ends the operation, `advisory` does not. */
  readonly level: string;
  /** Name of the resource within the program. */
  readonly resource: string;
  readonly message: string;
}

/** What an operation was seen to do. */
export interface Observed {
  readonly steps: readonly Step[];
  /** Number of resources by what happened to them: `{ create: 2, same: 10 }`. */
  readonly changes: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  readonly violations: readonly Violation[];
  /** Outputs of the stack; the values of secrets are masked. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** What the program said of a mistake of the user's, before anything was done; undefined where it said nothing of the kind. */
  readonly mistake: string | undefined;
}

const shownFailureLines = 30;
/** How the SDK and the language host begin what they say of a fault of the program: sdk/nodejs/cmd/run/run.ts. */
const fault =
  /^(Running program .* failed with an unhandled exception|Program exited|Problem executing program)/;
/** What the engine says once more at the end, without a cause. */
const repeated = /^(update|preview|destroy|refresh|destruction) (failed|canceled)$/;

/** The events of a log, of which the last line may be half written. */
export function eventsIn(text: string): EngineEvent[] {
  return text.split("\n").flatMap((line) => {
    try {
      return line === "" ? [] : [JSON.parse(line) as EngineEvent];
    } catch {
      return [];
    }
  });
}

/** @param planning Whether it was a preview: then what would be done counts, else what was done to its end. */
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

/** A text of the engine without its colour marks. */
export function plain(text: string): string {
  return text.replace(/<\{%[^%]*%\}>/g, "").trimEnd();
}

/** A policy's finding, without the policy's description, with which the engine begins the message. */
function violationOf({ message: text, policyName, enforcementLevel, resourceUrn }: PolicyEvent): Violation {
  const lines = plain(text).split("\n");
  const message = (lines.length > 1 ? lines.slice(1) : lines).join(" ").trim();
  const resource = resourceUrn === undefined ? "" : nameOf(resourceUrn);
  return { policy: policyName, level: enforcementLevel, resource, message };
}

/** An error, with the resource that it is about, its first line and its last ones. */
function errorsIn({ severity, message: text, urn }: DiagnosticEvent) {
  const message = plain(text);
  if (severity !== "error" || message.trim() === "" || repeated.test(message.trim())) return [];
  const owner = urn && !urn.includes("::pulumi:pulumi:Stack::") ? nameOf(urn) : undefined;
  const lines = message.split("\n");
  const left = lines.length - shownFailureLines;
  const shown =
    left > 0 ? [lines[0], `(${left} lines left out)`, ...lines.slice(-shownFailureLines + 1)] : lines;
  const cut = shown.join("\n");
  return [{ message, text: owner === undefined ? cut : `${owner}: ${cut}`, isFault: fault.test(message) }];
}
