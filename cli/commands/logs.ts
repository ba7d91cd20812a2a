/**
 * `npm run logs -- --stack S [--role R] [--follow]`: the logs of every program of a deployment, merged by time, from wherever it runs.
 */
import { EXIT, exitCodes, runTool, seconds, wholeNumber } from "../commandLine";
import { DEPLOYMENT_OPTIONS, DEPLOYMENT_USAGE, deployedFrom } from "../deployment/outputs";
import { type Reach, reach } from "../deployment/reach";
import { type LogSource, sinceOf, sourcesOf } from "../logs/options";
import { printer } from "../logs/print";
import { nodesOfSources, readLogs } from "../logs/read";
import { readOptions } from "../options";
import { hasColour, stopOnSignal } from "../status/watch";

const TAIL = 20;
const MOST_LINES = 1_000_000;
const TIMEOUT = 120;

const usage = `Usage: npm run logs -- --stack NAME [options]

Prints what the programs of a deployment have written, in one order by the times that the lines say; lines that say none stay
behind the one before them. Values of the deployment's secrets are left out.

Options
${DEPLOYMENT_USAGE}
  --role, -r ROLE    only programs of this role: frontend, prefill, decode, etcd …; may be given several times
  --program, -p NAME only this program: decode-1 …; may be given several times
  --node, -n N       only programs of the node of this rank; with several clusters CLUSTER/N
  --since T          only lines of that time and later: 30s, 10m, 2h, 1d ago, or a date such as 2026-01-31T12:00:00Z
  --tail N           only the last N lines of each program (default: ${TAIL}; with --since all)
  --follow, -f       go on with what is written from now on, until Ctrl-C
  --timeout S        seconds after which reading what is there is given up (default: ${TIMEOUT})
  --json             print an object a line: {time,cluster,node,program,role,line}

${exitCodes({ ok: "all logs were read", failed: "some could not be read" })}`;

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  role: { type: "string", short: "r", multiple: true },
  program: { type: "string", short: "p", multiple: true },
  node: { type: "string", short: "n" },
  since: { type: "string" },
  tail: { type: "string" },
  follow: { type: "boolean", short: "f", default: false },
  timeout: { type: "string" },
} as const;

async function main(): Promise<void> {
  const values = readOptions(OPTIONS, usage);
  if (values === undefined) return;
  const { json, follow, role: roles = [], program: programs = [], node } = values;
  const since = values.since === undefined ? undefined : sinceOf(values.since, Date.now());
  const wanted = values.tail ?? (since === undefined ? String(TAIL) : undefined);
  const tail =
    wanted === undefined ? undefined : wholeNumber("--tail", wanted, { least: 0, most: MOST_LINES });
  const timeoutSeconds = seconds("--timeout", values.timeout ?? String(TIMEOUT));
  const deployed = await deployedFrom(values, usage);
  const sources = sourcesOf(deployed, { roles, programs, node });
  const signal = stopOnSignal();
  const place = await reach(deployed, signal);
  try {
    const shell = await shellOf(place);
    const show = printer(sources, { json, colour: hasColour() });
    const complete = await readLogs(nodesOfSources(sources, shell), {
      tail,
      since,
      follow,
      timeoutSeconds,
      signal,
      onLines: (lines) => process.stdout.write(lines.map((line) => `${show(line)}\n`).join("")),
      onProblem: (message) => process.stderr.write(`${message}\n`),
    });
    process.exitCode = complete ? EXIT.ok : EXIT.failed;
  } finally {
    place.close();
  }
}

/** SkyPilot is asked first: a cluster that is not up has no node that could be read. */
async function shellOf(place: Reach) {
  const states = await place.clusters();
  return (source: LogSource) =>
    states[source.cluster]?.status === "UP" ? place.shell({ ...source, programs: [] }) : undefined;
}

if (require.main === module) runTool(main, usage);
