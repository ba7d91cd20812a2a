/** The stages of a launch, parsed from the output of `sky launch`. Pure. */

export const STAGES = ["optimising", "provisioning", "setting up", "syncing", "starting", "ready"] as const;
export type Stage = (typeof STAGES)[number];

/** The line that starts each stage, in SkyPilot 0.14. Unknown lines are ignored. */
const BEGINNINGS: readonly (readonly [Stage, RegExp])[] = [
  ["optimising", /^(Running on cluster|Considered resources|YAML to run)/],
  ["provisioning", /Launching on|Provisioning|Retrying provisioning/],
  ["setting up", /Instances? (is|are) up|Pods? (is|are) up|Preparing SkyPilot runtime|Cluster launched/],
  ["syncing", /Syncing files|Mounting files/],
  ["starting", /Job submitted|Setup detached/],
];

/** The stage that a line starts; undefined if it starts none. */
export function stageOf(line: string): Stage | undefined {
  return BEGINNINGS.find(([, pattern]) => pattern.test(line))?.[0];
}

/** Follows the output of a launch; reports each stage once, in order, and never goes back. */
export class StageTracker {
  private index = -1;

  constructor(private readonly tell: (stage: Stage, detail: string) => void) {}

  get stage(): Stage {
    return STAGES[Math.max(this.index, 0)] ?? "optimising";
  }

  readonly line = (line: string): void => {
    const stage = stageOf(line);
    if (stage !== undefined) this.enter(stage, detailOf(line));
  };

  enter(stage: Stage, detail = ""): void {
    const index = STAGES.indexOf(stage);
    if (index <= this.index) return;
    this.index = index;
    this.tell(stage, detail);
  }
}

/** The part of a line worth reporting: where the cluster is launched. */
function detailOf(line: string): string {
  return /Launching on (.*?)\.?$/.exec(line)?.[1] ?? "";
}
