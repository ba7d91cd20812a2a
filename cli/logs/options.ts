/** Selection of logs: programs and time. Pure. */
import type { Deployed, DeployedProgram } from "../deployment/deployed";
import { UsageProblem } from "../pulumi/problem";

export interface LogFilter {
  readonly roles: readonly string[];
  readonly programs: readonly string[];
  /** `1`, or with the name of the cluster in the plan `decode-0/1`. */
  readonly node: string | undefined;
}

/** A program whose log to read. */
export interface LogSource extends Pick<DeployedProgram, "name" | "role"> {
  /** The cluster's full name. */
  readonly cluster: string;
  readonly rank: number;
}

/**
 * The programs selected by a filter.
 * @throws UsageProblem for an unknown name, with the known ones.
 */
export function sourcesOf({ topology }: Pick<Deployed, "topology">, filter: LogFilter): LogSource[] {
  const all = topology.flatMap(({ name: plan, cluster, nodes }) =>
    nodes.flatMap(({ rank, programs }) =>
      programs.map(({ name, role }) => ({
        name,
        role,
        cluster,
        rank,
        nodes: [String(rank), `${plan}/${rank}`],
      })),
    ),
  );
  const unique = (words: readonly string[]) => [...new Set(words)].join(", ");
  const check = (option: string, wanted: readonly string[], known: readonly string[]) => {
    const unknown = wanted.find((word) => !known.includes(word));
    if (unknown === undefined) return;
    throw new UsageProblem(`${option} ${unknown}: the deployment has none. It has ${unique(known)}.`);
  };
  const { roles, programs, node } = filter;
  check(
    "--role",
    roles,
    all.map(({ role }) => role),
  );
  check(
    "--program",
    programs,
    all.map(({ name }) => name),
  );
  if (node !== undefined)
    check(
      "--node",
      [node],
      all.flatMap(({ nodes }) => nodes),
    );
  const found = all.filter(
    (program) =>
      (roles.length === 0 || roles.includes(program.role)) &&
      (programs.length === 0 || programs.includes(program.name)) &&
      (node === undefined || program.nodes.includes(node)),
  );
  if (found.length === 0) throw new UsageProblem("No program is all of what the options say. Leave one out.");
  return found.map(({ nodes: _, ...source }) => source);
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * A time in the past: `30s`, `10m`, `2h`, `1d` before now, or a date with a time (ISO 8601). Milliseconds
 * since 1970.
 * @throws UsageProblem if it is neither.
 */
export function sinceOf(written: string, now: number): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(written) ?? [];
  if (amount !== undefined) return now - Number(amount) * (UNITS[unit] ?? 0) * 1000;
  const time = /^\d{4}-\d\d-\d\d/.test(written) ? Date.parse(written) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new UsageProblem(
    `--since ${JSON.stringify(written)} is no time. Allowed: 30s, 10m, 2h, 1d, or a date such as 2026-01-31T12:00:00Z.`,
  );
}
