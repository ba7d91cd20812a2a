import type { DiagnosticEvent, EngineEvent, StepEventMetadata } from "@pulumi/pulumi/automation";
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
}

const marks: Readonly<Record<string, string>> = {
  create: "+",
  "create-replacement": "+",
  update: "~",
  delete: "-",
  "delete-replaced": "-",
  import: "=",
};
const doing: Readonly<Record<string, string>> = {
  create: "creating",
  "create-replacement": "creating anew",
  update: "updating",
  delete: "deleting",
  "delete-replaced": "deleting the old one",
};
const done: Readonly<Record<string, string>> = {
  create: "created",
  "create-replacement": "created anew",
  update: "updated",
  delete: "deleted",
  "delete-replaced": "old one deleted",
};
const shownLineLength = 400;
const shownLinesPerResource = 200;
const shownFailureLines = 30;

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** A text of the engine without its colour marks. */
export function plain(text: string): string {
  return text.replace(/<\{%[^%]*%\}>/g, "").trimEnd();
}

/** A policy's finding, without the policy's description, with which the engine begins the message. */
function violationOf(event: PolicyEvent): Violation {
  const lines = plain(event.message).split("\n");
  const message = (lines.length > 1 ? lines.slice(1) : lines).join(" ").trim();
  const { policyName, enforcementLevel, resourceUrn } = event;
  return {
    policy: policyName,
    level: enforcementLevel,
    resource: resourceUrn === undefined ? "" : nameOf(resourceUrn),
    message,
  };
}

/** Turns the engine's events into lines for a person, and remembers what happened. */
export class ProgressReport {
  private readonly started = Date.now();
  private readonly startedAt = new Map<string, number>();
  private readonly lineCounts = new Map<string, number>();
  private readonly lastLine = new Map<string, string>();
  private readonly steps: Step[] = [];
  private readonly failures: string[] = [];
  private readonly violations: Violation[] = [];
  private changes: Readonly<Record<string, number>> = {};
  private outputs: Readonly<Record<string, unknown>> = {};

  /**
   * @param planning True for a preview: nothing is done, so no times are shown.
   * @param write Receives each line.
   */
  constructor(
    private readonly planning: boolean,
    private readonly write: (line: string) => void,
  ) {}

  /** To be given as `onEvent` to an operation of the Automation API. */
  readonly onEvent = (event: EngineEvent): void => {
    if (event.resourcePreEvent) this.begin(event.resourcePreEvent.metadata);
    if (event.resOutputsEvent) this.end(event.resOutputsEvent.metadata);
    if (event.resOpFailedEvent) this.fail(event.resOpFailedEvent.metadata);
    if (event.diagnosticEvent) this.diagnose(event.diagnosticEvent);
    if (event.policyEvent) this.judge(event.policyEvent);
    if (event.summaryEvent) this.changes = { ...event.summaryEvent.resourceChanges };
  };

  /** All that was seen so far. */
  observed(): Observed {
    const { steps, changes, failures, violations, outputs } = this;
    return { steps, changes, failures, violations, outputs };
  }

  /** Seconds since the report was made. */
  elapsed(): number {
    return (Date.now() - this.started) / 1000;
  }

  private secondsOf(urn: string): string {
    return `${((Date.now() - (this.startedAt.get(urn) ?? this.started)) / 1000).toFixed(1)} s`;
  }

  private begin(metadata: StepEventMetadata): void {
    if (!isShown(metadata)) return;
    const step = stepOf(metadata);
    this.startedAt.set(step.urn, Date.now());
    const action = this.planning ? step.op : `${doing[step.op] ?? step.op}…`;
    if (!this.planning || step.op !== "refresh")
      this.write(`${marks[step.op] ?? "·"} ${step.name} ${action}`);
    for (const change of step.changes) this.write(`    ${change}`);
    if (this.planning) this.steps.push(step);
  }

  private end(metadata: StepEventMetadata): void {
    if (metadata.type === "pulumi:pulumi:Stack") this.outputs = record(masked(metadata.new?.outputs));
    if (!isShown(metadata) || this.planning) return;
    const step = stepOf(metadata);
    this.steps.push(step);
    this.write(
      `${marks[step.op] ?? "·"} ${step.name} ${done[step.op] ?? step.op} (${this.secondsOf(step.urn)})`,
    );
  }

  private fail(metadata: StepEventMetadata): void {
    const name = nameOf(metadata.urn);
    this.write(
      `✗ ${name} failed (${doing[metadata.op] ?? metadata.op}, after ${this.secondsOf(metadata.urn)})`,
    );
  }

  private judge(event: PolicyEvent): void {
    const violation = violationOf(event);
    this.violations.push(violation);
    const text = `policy ${violation.policy} (${violation.level}): ${violation.message}`;
    this.write(text);
    if (violation.level === "mandatory") this.failures.push(text);
  }

  private diagnose(event: DiagnosticEvent): void {
    const message = plain(event.message);
    if (message.trim() === "") return;
    const owner = event.urn && !event.urn.includes("::pulumi:pulumi:Stack::") ? nameOf(event.urn) : undefined;
    // The engine also sends `debug`, which its types do not know.
    if (event.severity === "error") this.addFailure(owner, message);
    if (event.severity === "warning") this.warn(message);
    if (event.severity === "info" || event.severity === "info#err") {
      for (const line of message.split("\n")) this.stream(event.urn ?? "", owner, line);
    }
  }

  private warn(message: string): void {
    // That is how the stand-in plugins are found, and has been said.
    if (/^using pulumi-(?:resource|analyzer)-\S+ from \$PATH/.test(message)) return;
    const interrupted = [...message.matchAll(/^ {2}\* (\S+), interrupted while (\w+)$/gm)];
    // The engine's own text speaks of AWS, and of a prompt that is not shown here.
    const names = interrupted.map(([, urn, action]) => `${nameOf(urn ?? "")} (while ${action})`);
    const interruption = `an earlier operation was interrupted at ${names.join(", ")}; \`refresh\` clears this mark`;
    this.write(`warning: ${interrupted.length > 0 ? interruption : message}`);
  }

  /** A line that a resource's command wrote, with the time since it started. */
  private stream(urn: string, owner: string | undefined, text: string): void {
    if (text.trim() === "" || this.lastLine.get(urn) === text) return;
    this.lastLine.set(urn, text);
    const count = (this.lineCounts.get(urn) ?? 0) + 1;
    this.lineCounts.set(urn, count);
    if (count > shownLinesPerResource) return;
    const line = text.length > shownLineLength ? `${text.slice(0, shownLineLength)}…` : text;
    const label = owner === undefined ? "" : `${owner} ${this.secondsOf(urn)} │ `;
    this.write(`    ${label}${line}`);
    if (count === shownLinesPerResource)
      this.write(`    ${label}(more lines left out; --verbose shows them)`);
  }

  private addFailure(owner: string | undefined, message: string): void {
    // Said by the engine once more at the end, without a cause.
    if (/^(update|preview|destroy|refresh|destruction) failed$/.test(message.trim())) return;
    const lines = message.split("\n");
    const left = lines.length - shownFailureLines;
    const shown =
      left > 0 ? [lines[0], `(${left} lines left out)`, ...lines.slice(-shownFailureLines + 1)] : lines;
    const text = shown.join("\n");
    this.failures.push(owner === undefined ? text : `${owner}: ${text}`);
  }
}
