/** The stages of a launch, recognised in what `sky launch` prints. Pure. */

export const STAGES = ["optimising", "provisioning", "setting up", "syncing", "starting", "ready"] as const;
export type Stage = (typeof STAGES)[number];

/** What each stage begins with, in SkyPilot 0.14. A line that is not known changes nothing. */
const BEGINNINGS: readonly (readonly [Stage, RegExp])[] = [
  ["optimising", /^(Running on cluster|Considered resources|YAML to run)/],
  ["provisioning", /Launching on|Provisioning|Retrying provisioning/],
  ["setting up", /Instances? (is|are) up|Pods? (is|are) up|Preparing SkyPilot runtime|Cluster launched/],
  ["syncing", /Syncing files|Mounting files/],
  ["starting", /Job submitted|Setup detached/],
];

/** The stage that a line begins; undefined when it begins none. */
export function stageOf(line: string): Stage | undefined {
  return BEGINNINGS.find(([, pattern]) => pattern.test(line))?.[0];
}

/** Follows the output of a launch; stages are told once each, in order, and never go back. */
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

/** What of a line is worth telling: where the cluster is launched. */
function detailOf(line: string): string {
  return /Launching on (.*?)\.?$/.exec(line)?.[1] ?? "";
}
