/**
 * Programs of a plan → the files of a node's directory. Pure. The files hold no address and no path, so they are the same
 * on every machine: what is known only on the node is in the environment that `runtime/node.py` sets.
 *
 *     supervisord.conf            includes units/<unit>/<program>.conf
 *     units/<unit>/<program>.conf supervisor's section: how to keep it running
 *     units/<unit>/<program>.json the program itself, read by launch.py
 *     launch.py, lockstep.py, …   as they are in this directory
 *     logs/<program>.log           output, size-limited
 *     run/<program>.json          when it was started, and how often
 */
import { createHash } from "node:crypto";
import { withEscapes } from "../../lib/printable";
import type { ProgramPlan } from "../types";

/** File contents by path relative to the node's directory. */
export type NodeFiles = Readonly<Record<string, string>>;

/** Where a program's output goes, relative to the node's directory. */
export function programLog(program: string): string {
  return `logs/${program}.log`;
}

/** The supervisor's own log, relative to the node's directory. */
export const SUPERVISOR_LOG = "logs/supervisord.log";

/** Directory of all units, relative to the node's. */
export const UNITS = "units";

/** Where the files of a unit are, relative to the node's directory. */
export function unitDirectory(unit: string): string {
  return `${UNITS}/${unit}`;
}

// http://supervisord.org/configuration.html; `silent` keeps its log out of its own standard output.
const SUPERVISORD_CONF = `[supervisord]
nodaemon=true
silent=true
umask=077
logfile=${SUPERVISOR_LOG}
logfile_maxbytes=5MB
logfile_backups=1
pidfile=run/supervisord.pid
minfds=1024

[unix_http_server]
file=%(ENV_DYNAMO_SKY_SOCKET)s
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%(ENV_DYNAMO_SKY_SOCKET)s

[include]
files=${UNITS}/*/*.conf
`;

/** `supervisord.conf`, the same for every node. */
export function renderSupervisord(): NodeFiles {
  return { "supervisord.conf": SUPERVISORD_CONF };
}

/**
 * The files of one unit: programs that are started, changed and removed together.
 *
 * @throws Error if a unit's or program's name could be anything but a plain name, or two programs share one.
 */
export function renderUnit(unit: string, programs: readonly ProgramPlan[]): NodeFiles {
  assertName("unit", unit);
  const files: Record<string, string> = {};
  for (const program of programs) {
    assertName("program", program.name);
    const path = `${unitDirectory(unit)}/${program.name}`;
    if (files[`${path}.json`] !== undefined) {
      throw new Error(`Two programs of unit '${unit}' are named '${program.name}'.`);
    }
    files[`${path}.conf`] = programConf(unit, program);
    files[`${path}.json`] = programSpec(program);
  }
  return files;
}

/**
 * What an engine's launcher may take to stop beyond the engine's `stopSeconds`: it ends what the engine has left, and in a
 * replica over several nodes lets rank 0 stop first, and then has `GRACE_SECONDS` of `runtime/lockstep.py` for itself.
 * Unit: seconds.
 */
const LAUNCHER_STOP_SECONDS = 10;

/** All files of a node whose programs are given by unit, without `launch.py` and `node.py`. */
export function renderNode(units: Readonly<Record<string, readonly ProgramPlan[]>>): NodeFiles {
  const rendered = Object.entries(units).map(([unit, programs]) => renderUnit(unit, programs));
  return Object.assign({}, renderSupervisord(), ...rendered);
}

/**
 * One program's section. Supervisor's own give-up logic (`startsecs`, `startretries`, FATAL) is switched off: a program is
 * started for as long as its node runs, whatever its exit code, and launch.py slows a crashing one down. It is told to stop by one
 * signal to its main process, which knows in which order its others end (`runtime/child.py`). The digest makes supervisor see a
 * change of the specification, which is in a file of its own.
 */
function programConf(unit: string, program: ProgramPlan): string {
  return `[program:${program.name}]
command=python3 launch.py ${unitDirectory(unit)}/${program.name}.json
environment=DYNAMO_SKY_SPEC="${specDigest(program)}"
autostart=true
autorestart=true
startsecs=0
startretries=1000000
stopsignal=TERM
stopwaitsecs=${Math.ceil(program.stopSeconds) + (hasLauncher(program) ? LAUNCHER_STOP_SECONDS : 0)}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=${programLog(program.name)}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
`;
}

/** Whether `launch.py` stays the program's parent instead of becoming it. */
function hasLauncher({ gpus, lockstep }: ProgramPlan): boolean {
  return gpus.length > 0 || lockstep !== undefined;
}

/** What launch.py reads. Keys are sorted, so that the order in which a plan was written does not restart anything. */
function programSpec(program: ProgramPlan): string {
  return `${withEscapes(JSON.stringify(sorted(program), null, 2))}\n`;
}

/** Digest of what a running program was started with; a change of it restarts the program, and nothing else does. */
export function specDigest(program: ProgramPlan): string {
  const { name, command, env, secretEnv, files, gpus, waitsFor, lockstep, mpi } = program;
  const text = JSON.stringify(
    sorted({ name, command, env, secretEnv, files, gpus, waitsFor, lockstep, mpi }),
  );
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, entry]) => [key, sorted(entry)]));
}

function assertName(what: string, name: string): void {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
    throw new Error(
      `'${name}' is no name for a ${what}: it must consist of lower-case letters, digits and single hyphens.`,
    );
  }
}
