/**
 * A cluster's programs → the compact plan of its task, with each program once, and shared fields once. Pure.
 * `runtime/plan.py` expands it again, and documents the fields.
 */
import { quotedForShlex } from "../lib/shell";
import {
  type ClusterPlan,
  type NodePlan,
  type Probe,
  type ProgramPlan,
  type Wait,
  WORKER_ROLES,
} from "./types";

type Env = Readonly<Record<string, string>>;

/** A program, or the shared fields of several. Missing fields have the defaults of `runtime/plan.py`. */
export interface PlanEntry {
  readonly name?: string;
  readonly node?: number;
  readonly gpus?: readonly number[];
  readonly ports?: Readonly<Record<string, number | string>>;
  /** Words, quoted as in a shell. */
  readonly command?: string;
  readonly env?: Env;
  readonly secrets?: readonly string[];
  /** Probes by name; in the format of `health`. */
  readonly waits?: Readonly<Record<string, string | { readonly at: string; readonly seconds: number }>>;
  /** `http://…` or `tcp://host:port`. */
  readonly health?: string;
  readonly files?: Env;
  readonly lockstep?: ProgramPlan["lockstep"];
  readonly mpi?: ProgramPlan["mpi"];
  readonly watch?: ProgramPlan["watch"];
  readonly stopSeconds?: number;
  readonly programs?: readonly PlanEntry[];
}

/** Placeholder for the task's environment variable with the model. */
const MODEL = "{{MODEL}}";

/** Defaults of `runtime/plan.py`. */
const DEFAULT_STOP_SECONDS = 30;
const DEFAULT_WAIT_SECONDS = 120;

interface Placed {
  readonly node: NodePlan["rank"];
  readonly program: ProgramPlan;
}

/**
 * @param model Replaced by a placeholder, so that the task's environment sets it. Default: written unchanged.
 */
export function compactPlan(cluster: ClusterPlan, model?: string): PlanEntry {
  const all: readonly Placed[] = cluster.nodes.flatMap(({ rank, programs }) =>
    programs.map((program) => ({ node: rank, program: withModel(program, model) })),
  );
  // Every Dynamo process waits for the control plane.
  const dynamo = all.filter(({ program }) => program.waitsFor.length > 0);
  const workers = dynamo.filter(({ program }) => WORKER_ROLES.some((role) => role === program.role));
  const others = dynamo.filter((one) => !workers.includes(one));
  const blocks = [...grouped(others), ...factored(grouped(workers, workers.length > 1))];
  const alone = all.filter((one) => !dynamo.includes(one));
  return { programs: [...grouped(alone), ...factored(blocks)].map(inOrder) };
}

function withModel(program: ProgramPlan, model: string | undefined): ProgramPlan {
  const put = (text: string) => {
    if (text === model) return MODEL;
    // `--flag=MODEL`.
    return model !== undefined && text.startsWith("--") && text.endsWith(`=${model}`)
      ? `${text.slice(0, -model.length)}${MODEL}`
      : text;
  };
  return { ...program, command: program.command.map(put), env: mapValues(program.env, put) };
}

/** Entries of programs; those that differ only in their placement become one entry, with a line for each. */
function grouped(placed: readonly Placed[], isTemplated = false): PlanEntry[] {
  const groups = new Map<string, Placed[]>();
  for (const one of placed) {
    const key = JSON.stringify(inOrder(bodyOf(templated(one.program))));
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].map((members): PlanEntry => {
    const [first] = members;
    if (first === undefined) throw new RangeError("a group has no member");
    if (members.length > 1) return { ...bodyOf(templated(first.program)), programs: members.map(placeOf) };
    const { env, health, ...plain } = bodyOf(first.program);
    const { env: own, health: ownHealth } = bodyOf(isTemplated ? templated(first.program) : first.program);
    return {
      ...placeOf(first),
      ...plain,
      ...(own === undefined ? {} : { env: own }),
      ...(ownHealth === undefined ? {} : { health: ownHealth }),
    };
  });
}

/** Groups the entries under one with their shared fields. */
function factored(entries: readonly PlanEntry[]): PlanEntry[] {
  const [first, ...rest] = entries;
  if (first === undefined || rest.length === 0) return [...entries];
  const inAll = (field: "env" | "waits") =>
    Object.fromEntries(
      Object.entries(first[field] ?? {}).filter(([name, value]) =>
        rest.every((entry) => same(entry[field]?.[name], value)),
      ),
    );
  const common: PlanEntry = {
    env: inAll("env") as Env,
    waits: inAll("waits"),
    ...Object.fromEntries(
      (["secrets", "health", "watch", "stopSeconds"] as const)
        .filter(
          (field) => first[field] !== undefined && rest.every((entry) => same(entry[field], first[field])),
        )
        .map((field) => [field, first[field]]),
    ),
  };
  return [withoutEmpty({ ...common, programs: entries.map((entry) => without(entry, common)) })];
}

function without(entry: PlanEntry, common: PlanEntry): PlanEntry {
  const own = (field: "env" | "waits") =>
    Object.fromEntries(
      Object.entries(entry[field] ?? {}).filter(([name]) => !Object.hasOwn(common[field] ?? {}, name)),
    );
  const rest = Object.entries(entry).filter(([field]) => !Object.hasOwn(common, field));
  return withoutEmpty({ ...Object.fromEntries(rest), env: own("env") as Env, waits: own("waits") });
}

/** The placement of a program. */
function placeOf({ node, program }: Placed): PlanEntry {
  return withoutEmpty({
    name: program.name,
    ...(node === 0 ? {} : { node }),
    gpus: program.gpus,
    ports: inRanges(program.ports),
  });
}

/** All fields except its placement. */
function bodyOf(program: ProgramPlan): PlanEntry {
  const { role, replica, rank, name, lockstep, mpi, watch, stopSeconds, files = {} } = program;
  const expected = [role, `${role}-${replica}`, `${role}-${replica}-rank${rank}`];
  if (!expected.includes(name)) throw new RangeError(`the name ${name} does not tell role, replica and rank`);
  return withoutEmpty({
    command: program.command.map(quotedForShlex).join(" "),
    env: program.env,
    secrets: program.secretEnv,
    files,
    waits: Object.fromEntries(program.waitsFor.map((wait) => [wait.name, waitOf(wait)])),
    health: urlOf(program.health),
    ...(lockstep === undefined ? {} : { lockstep }),
    ...(mpi === undefined ? {} : { mpi }),
    ...(watch === undefined ? {} : { watch }),
    ...(stopSeconds === DEFAULT_STOP_SECONDS ? {} : { stopSeconds }),
  });
}

/** The program with placeholders for its own ports. */
function templated(program: ProgramPlan): ProgramPlan {
  const put = (text: string): string =>
    Object.entries(program.ports).reduce(
      (result, [purpose, port]) =>
        result.replaceAll(new RegExp(`(?<![\\w.])${port}(?![\\w.])`, "g"), `{{PORT.${purpose}}}`),
      text,
    );
  const { health } = program;
  return {
    ...program,
    command: program.command.map(put),
    env: mapValues(program.env, put),
    health: health.kind === "http" ? { ...health, url: put(health.url) } : health,
  };
}

/** `mpi`, `mpi1`, `mpi2` with consecutive ports become a range. */
function inRanges(ports: ProgramPlan["ports"]): Record<string, number | string> {
  const covered = new Set<string>();
  const ranges = Object.entries(ports).map(([purpose, port]) => {
    let last = port;
    for (; ports[`${purpose}${last + 1 - port}`] === last + 1; last += 1)
      covered.add(`${purpose}${last + 1 - port}`);
    return [purpose, last === port ? port : `${port}-${last}`] as const;
  });
  return Object.fromEntries(ranges.filter(([purpose]) => !covered.has(purpose)));
}

function waitOf({ probe, timeoutSeconds: seconds }: Wait) {
  return seconds === DEFAULT_WAIT_SECONDS ? urlOf(probe) : { at: urlOf(probe), seconds };
}

function urlOf(probe: Probe): string {
  return probe.kind === "http" ? probe.url : `tcp://${probe.host}:${probe.port}`;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function mapValues(values: Env, put: (value: string, name: string) => string): Record<string, string> {
  const entries = Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, value]) => [name, put(value, name)]));
}

function withoutEmpty(entry: PlanEntry): PlanEntry {
  return Object.fromEntries(
    Object.entries(entry).filter(([, value]) => typeof value !== "object" || Object.keys(value).length > 0),
  );
}

const ORDER: readonly string[] = [
  ...["name", "node", "gpus", "command", "ports", "env", "secrets", "files", "waits", "health", "watch"],
  ...["lockstep", "mpi", "stopSeconds", "programs"],
];

/** Fields in a readable, fixed order, independent of the plan's. */
function inOrder(entry: PlanEntry): PlanEntry {
  const fields = Object.entries(entry).toSorted(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
  return Object.fromEntries(
    fields.map(([field, value]) => [
      field,
      field === "programs" ? (value as PlanEntry[]).map(inOrder) : value,
    ]),
  );
}
