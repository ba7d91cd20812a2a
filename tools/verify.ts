/**
 * `npm run verify -- --stack S [--json]`: whether the router of a running deployment looks at the workers' caches, shown by
 * what Dynamo itself says of requests that begin alike.
 */
import { parseArgs } from "node:util";
import { EXIT, exitCodes, runTool, wholeNumber } from "./commandLine";
import { deploymentOf, outputsOf } from "./deployment";
import { deployedOf } from "./nodes/deployed";
import { openStack, UsageProblem } from "./pulumi/openStack";
import { packageRoot } from "./toolchain/index";
import { judge } from "./verify/judge";
import { withNodeLogs } from "./verify/nodeLogs";
import { asJson, asText } from "./verify/report";
import { promptWorkers, sendPrefixes, withLogs } from "./verify/send";

const PREFIXES = 6;
const FOLLOW_UPS = 2;

const usage = `Usage: npm run verify -- --stack NAME [options]

Sends prompts with shared beginnings to a running deployment and prints, from Dynamo's own answers and logs, which worker
computed each prompt, how much of it that worker had cached, and which worker wrote the answer.

Options
  --stack, -s NAME   the stack, which has to be up
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --prefixes N       different beginnings (default: ${PREFIXES})
  --follow-ups N     requests with each beginning after the first (default: ${FOLLOW_UPS})
  --json             print JSON: {cacheAware,reason,followUps,held,chance,workers,disaggregated,requests:[…]}

${exitCodes({
  ok: "routing is cache-aware",
  failed: "the deployment did not answer",
  notAsWanted: "it is not cache-aware",
})}`;

interface Arguments {
  readonly stack: string;
  readonly cwd: string;
  readonly prefixes: number;
  readonly followUps: number;
  readonly json: boolean;
}

function readArguments(argv: string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: argv,
    options: {
      stack: { type: "string", short: "s" },
      cwd: { type: "string", short: "C" },
      prefixes: { type: "string" },
      "follow-ups": { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { stack, cwd = packageRoot(), json } = values;
  if (stack === undefined) throw new UsageProblem(`--stack is missing: which stack?\n\n${usage}`);
  return {
    stack,
    cwd,
    json,
    prefixes: count("--prefixes", values.prefixes, PREFIXES),
    followUps: count("--follow-ups", values["follow-ups"], FOLLOW_UPS),
  };
}

const MOST = 1000;

function count(option: string, written: string | undefined, usual: number): number {
  return written === undefined ? usual : wholeNumber(option, written, { least: 1, most: MOST });
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2));
  if (args === undefined) {
    console.log(usage);
    return;
  }
  const stack = await openStack({ projectDir: args.cwd, stack: args.stack });
  const outputs = await outputsOf(stack);
  const deployment = deploymentOf(outputs);
  const sent = await sendPrefixes(deployment, args);
  // Once, after all requests: where the nodes are machines of their own, asking them takes seconds.
  const groups = await withNodeLogs(deployedOf(outputs), (logs) => withLogs(sent, logs));
  const seen = new Set(groups.flatMap(({ requests }) => requests.map(({ prefillWorker }) => prefillWorker)));
  const verdict = judge(groups, (await promptWorkers(deployment)) ?? seen.size);
  process.stdout.write((args.json ? asJson : asText)(groups, verdict));
  process.exitCode = verdict.cacheAware ? EXIT.ok : EXIT.notAsWanted;
}

runTool(main, usage);
