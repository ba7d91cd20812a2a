/** Options of sbatch in SkyPilot's configuration (`slurm.sbatch_options`). Pure. */
import { spelling } from "./reserved";
import { show } from "./values";

/**
 * Options of sbatch that SkyPilot 0.14.1 sets itself and ignores here (`_SBATCH_PROTECTED_OPTIONS`), and
 * what to use:
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/provision/slurm/instance.py
 */
export const IGNORED_SBATCH: Readonly<Record<string, string | undefined>> = {
  "job-name": undefined,
  output: undefined,
  error: undefined,
  nodes: "cluster.nodes",
  "wait-all-nodes": undefined,
  "no-requeue": undefined,
  "cpus-per-task": "sky.cpus",
  mem: "sky.memory",
  gres: "cluster.accelerator and cluster.gpusPerNode",
  partition: "sky.infra: slurm/CLUSTER/PARTITION",
};

const BY_GRES =
  "asks for GPUs a second time: SkyPilot does, by --gres. Remove it; use cluster.accelerator and cluster.gpusPerNode instead";
const BY_MEM =
  "excludes --mem, which SkyPilot gives. Remove it; use sky.memory instead, which is that of a node";
const TASKS =
  "has SkyPilot's own commands run several times a node, which it runs once. Remove it; pools say how many workers a node has";
const NO_NUMBER =
  "hides the job's number, by which SkyPilot knows the job: it would hold its nodes without a cluster. Remove it";
const NO_JOB = "makes no job. Remove it";

/**
 * Options that SkyPilot passes on, and that contradict how it submits the job, waits for it and uses its
 * nodes (`submit_job` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/adaptors/slurm.py, and the script of
 * `provision/slurm/instance.py`); what they do: https://slurm.schedmd.com/sbatch.html.
 */
export const CONFLICTING_SBATCH: Readonly<Record<string, string>> = {
  array:
    "makes several jobs of one, and SkyPilot knows one: the others would hold nodes without a cluster. Remove it",
  hold: "keeps the job from starting, and SkyPilot waits for it. Remove it",
  requeue:
    "starts the job again on other nodes, where nothing is of what SkyPilot has set up; it says --no-requeue for that. Remove it",
  wait: "keeps sbatch from ending before the job, and SkyPilot waits for sbatch. Remove it",
  clusters:
    "submits the job to another cluster than the one that SkyPilot watches. Remove it; use sky.infra: slurm/CLUSTER instead",
  parsable: NO_NUMBER,
  quiet: NO_NUMBER,
  "test-only": NO_JOB,
  help: NO_JOB,
  usage: NO_JOB,
  version: NO_JOB,
  wrap: "is a script of its own, and SkyPilot submits one. Remove it",
  ntasks: TASKS,
  "ntasks-per-node": TASKS,
  "ntasks-per-socket": TASKS,
  "ntasks-per-core": TASKS,
  "ntasks-per-gpu": TASKS,
  gpus: BY_GRES,
  "gpus-per-node": BY_GRES,
  "gpus-per-task": BY_GRES,
  "gpus-per-socket": BY_GRES,
  "mem-per-cpu": BY_MEM,
  "mem-per-gpu": BY_MEM,
  "cpus-per-gpu":
    "excludes --cpus-per-task, which SkyPilot gives. Remove it; use sky.cpus instead, which is those of a node",
};

/**
 * Options of one letter, by the name that SkyPilot has to have: it writes `--t=60`, which sbatch refuses, and
 * looks for its own among the long ones. https://slurm.schedmd.com/sbatch.html
 */
const LONG_NAMES: Readonly<Record<string, string>> = {
  ...{ A: "account", a: "array", b: "begin", B: "extra-node-info", C: "constraint", c: "cpus-per-task" },
  ...{ D: "chdir", d: "dependency", e: "error", F: "nodefile", G: "gpus", H: "hold", i: "input" },
  ...{ J: "job-name", k: "no-kill", L: "licenses", M: "clusters", m: "distribution", N: "nodes" },
  ...{ n: "ntasks", O: "overcommit", o: "output", p: "partition", Q: "quiet", q: "qos", S: "core-spec" },
  ...{ s: "oversubscribe", t: "time", v: "verbose", W: "wait", w: "nodelist", x: "exclude" },
};

/** What SkyPilot and sbatch take: `validate_sbatch_time` of sky/provision/slurm/utils.py. */
const TIME = /^(\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2})$/;

/** Why SkyPilot or sbatch would not take an option; undefined if they would. */
export function sbatchProblem(name: string, value: unknown): string | undefined {
  const option = spelling(name);
  if (option.length === 1) {
    const long = Object.hasOwn(LONG_NAMES, option) ? LONG_NAMES[option] : undefined;
    const letter = `is an option of one letter: SkyPilot writes --${option}=…, which sbatch does not know. Use ${long ?? "its long name"} instead.`;
    return long === undefined ? letter : (ignoredOption(long) ?? conflictingOption(long) ?? letter);
  }
  if (value === null)
    return "null has no effect: SkyPilot leaves the option out. Write true for an option without a value, or remove it.";
  if ((option === "time" || option === "time-min") && value !== false && !TIME.test(String(value)))
    return `${show(value)} is no time of Slurm. Allowed: minutes, or text such as "12:00:00" (hours:minutes:seconds), "2-00" (days-hours) or "2-12:30:00".`;
  return ignoredOption(option) ?? (value === false ? undefined : conflictingOption(option));
}

function ignoredOption(option: string): string | undefined {
  if (!Object.hasOwn(IGNORED_SBATCH, option)) return undefined;
  const instead = IGNORED_SBATCH[option];
  return `is set by SkyPilot, which ignores it here. Remove it${instead === undefined ? "" : `; use ${instead} instead`}.`;
}

function conflictingOption(option: string): string | undefined {
  return Object.hasOwn(CONFLICTING_SBATCH, option) ? `${CONFLICTING_SBATCH[option]}.` : undefined;
}
