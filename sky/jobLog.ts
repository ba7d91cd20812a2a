/** Parses the log of a job: what each program says; which rank failed, and its last lines. Pure. */
import type { ProgramLog } from "../lib/logs";

export interface FailedPart {
  /** `rank 1`, `the set-up`, or `the task` if the rank is unknown. */
  readonly who: string;
  readonly lines: readonly string[];
}

const LINES = 15;
/** `(head, rank=0, pid=24327) text` and `(worker1, rank=1, pid=1, ip=…) text`. */
const RANK_LINE = /^\((?:[^()]*\b)?rank=(\d+)[^()]*\) ?(.*)$/;
const RANK = "rank";
/** `(setup pid=25671) text`. */
const SETUP_LINE = /^\(setup\b[^()]*\) ?(.*)$/;

/** `==> logs/decode-1.log <==`: the lines that follow are of this program (`tail` of several files). */
const PROGRAM_LINE = /^==> logs\/(.+)\.log <==$/;

/**
 * What each program of a job has said. The log of a node with a single program has no headings: that program
 * is `rank N`.
 */
export function programLogs(log: readonly string[]): ProgramLog[] {
  const current = new Map<string, string>();
  const found = new Map<string, string[]>();
  for (const line of log) {
    const [, rank = "", text = ""] = RANK_LINE.exec(line) ?? [];
    const program = PROGRAM_LINE.exec(text)?.[1];
    if (program !== undefined) current.set(rank, program);
    else if (rank !== "" && text.trim() !== "") {
      const name = current.get(rank) ?? `${RANK} ${rank}`;
      const lines = found.get(name) ?? [];
      found.set(name, lines);
      lines.push(text);
    }
  }
  return [...found].map(([program, lines]) => ({ program, lines }));
}

/**
 * Whether a program is of a component: `frontend-0` of `frontend`, `decode-1-rank1` of `decode`; one whose
 * name is not known may be of any.
 */
export function isOf(component: string, program: string): boolean {
  return program === component || program.startsWith(`${component}-`) || program.startsWith(`${RANK} `);
}

/** The last lines of the part that failed. */
export function failedPart(log: readonly string[], status: string): FailedPart {
  if (status === "FAILED_SETUP") {
    const lines = log.flatMap((line) => SETUP_LINE.exec(line)?.[1] ?? []);
    return { who: "the set-up", lines: (lines.length > 0 ? lines : log).slice(-LINES) };
  }
  const rank = failedRank(log);
  const own = log.flatMap((line) => {
    const match = RANK_LINE.exec(line);
    return match !== null && (rank === undefined || Number(match[1]) === rank) ? (match[2] ?? "") : [];
  });
  const lines = (own.length > 0 ? own : log).slice(-LINES);
  return { who: rank === undefined ? "the task" : `rank ${rank}`, lines };
}

/**
 * The rank that failed first: Slurm names it; elsewhere SkyPilot lists the return codes by rank, where 137
 * and 143 mean a rank that was stopped because another one failed.
 */
export function failedRank(log: readonly string[]): number | undefined {
  for (const line of log) {
    const task = /srun: error: .*: task (\d+): Exited with exit code [1-9]/.exec(line)?.[1];
    if (task !== undefined) return Number(task);
    const codes = /failed with return code list:.*\[([\d, -]+)\]/.exec(line)?.[1]?.split(",").map(Number);
    if (codes !== undefined && codes.length > 1) {
      const own = codes.findIndex(
        (code) => code !== 0 && code !== 137 && code !== 143 && code !== -15 && code !== -9,
      );
      return own >= 0 ? own : codes.findIndex((code) => code !== 0);
    }
  }
  return undefined;
}
