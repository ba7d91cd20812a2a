/** `dynamo-sky logs`: logs of all programs of a deployment, merged by time, wherever it runs. */
import { stripControls } from "../../lib/progress";
import { causesOf, nextOf, titledOf } from "../../sky/failure";
import { CWD, collect, json, STACK, STATE, timeout, verb } from "../command";
import { EXIT, exitCodes, wholeNumber } from "../commandLine";
import { deployedFrom } from "../deployment/outputs";
import { type Reach, reach } from "../deployment/reach";
import { type LogSource, sinceOf, sourcesOf } from "../logs/options";
import { printer } from "../logs/print";
import { nodesOfSources, readLogs } from "../logs/read";
import { hasColour, stopOnSignal } from "../status/watch";

const TAIL = 20;
const MOST_LINES = 1_000_000;
/** Of each program, in which a cause is looked for. */
const KEPT_LINES = 2000;

export const command = verb(
  "logs",
  `Prints what the programs of a deployment have written, in one order by the times that the lines say; lines that say none stay
behind the one before them. Values of the deployment's secrets are left out. Where the lines name a cause that is known, it and
what to do stand at the end, on standard error.`,
  exitCodes({ ok: "all logs were read", failed: "some could not be read" }),
)
  .addOption(STACK)
  .addOption(STATE)
  .addOption(CWD)
  .option(
    "-r, --role <role>",
    "only programs of this role: frontend, prefill, decode, etcd …; repeatable",
    collect,
  )
  .option("-p, --program <name>", "only this program: decode-1 …; repeatable", collect)
  .option("-n, --node <n>", "only programs of the node of this rank; with several clusters CLUSTER/N")
  .option(
    "--since <t>",
    "only lines of that time and later: 30s, 10m, 2h, 1d ago, or a date such as 2026-01-31T12:00:00Z",
    (written: string) => sinceOf(written, Date.now()),
  )
  .option("--tail <n>", `only the last N lines of each program (default: ${TAIL}; with --since all)`, tailOf)
  .option("-f, --follow", "go on with what is written from now on, until Ctrl-C", false)
  .addOption(timeout(120, "seconds after which reading what is there is given up"))
  .addOption(json("an object a line, {time,cluster,node,program,role,line}"))
  .action(async (options) => {
    const {
      follow,
      role: roles = [],
      program: programs = [],
      node,
      since,
      timeout: timeoutSeconds,
    } = options;
    const tail = options.tail ?? (since === undefined ? TAIL : undefined);
    const deployed = await deployedFrom(options);
    const sources = sourcesOf(deployed, { roles, programs, node });
    const signal = stopOnSignal();
    const place = await reach(deployed, signal);
    try {
      const shell = await shellOf(place);
      const shown = new Map<string, string[]>();
      const show = printer(sources, { json: options.json, colour: hasColour() });
      const complete = await readLogs(nodesOfSources(sources, shell), {
        tail,
        since,
        follow,
        timeoutSeconds,
        signal,
        onLines: (lines) => {
          process.stdout.write(lines.map((line) => `${show(line)}\n`).join(""));
          for (const { source, text } of lines) keep(shown, sources[source]?.name, text);
        },
        onProblem: (message) => process.stderr.write(`${message}\n`),
      });
      const logs = [...shown].map(([program, lines]) => ({ program, lines }));
      for (const cause of causesOf(logs))
        process.stderr.write(`\n${stripControls(titledOf(cause))}\n${nextOf(cause)}\n`);
      process.exitCode = complete ? EXIT.ok : EXIT.failed;
    } finally {
      place.close();
    }
  });

/** The last lines of a program that were shown. */
function keep(shown: Map<string, string[]>, program: string | undefined, line: string): void {
  if (program === undefined) return;
  const lines = shown.get(program) ?? [];
  shown.set(program, lines);
  if (lines.push(line) >= 2 * KEPT_LINES) lines.splice(0, KEPT_LINES);
}

function tailOf(written: string): number {
  return wholeNumber("--tail", written, { least: 0, most: MOST_LINES });
}

/** Queries SkyPilot first: a cluster that is not up has no readable nodes. */
async function shellOf(place: Reach) {
  const states = await place.clusters();
  return (source: LogSource) =>
    states[source.cluster]?.status === "UP" ? place.shell({ ...source, programs: [] }) : undefined;
}
