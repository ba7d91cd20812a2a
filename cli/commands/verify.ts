/**
 * `npm run verify -- --stack S [--json]`: whether the router of a running deployment looks at the workers' caches, shown by
 * what Dynamo itself says of requests that begin alike.
 */
import { tasks } from "../../config/task";
import { EXIT, exitCodes, runTool, wholeNumber, withTimeout } from "../commandLine";
import { deployedOf } from "../deployment/deployed";
import { deploymentOf, outputsOf } from "../deployment/running";
import { projectIn, readOptions, STACK_OPTIONS, stackIn } from "../options";
import { openStack } from "../pulumi/openStack";
import { OperationFailed } from "../pulumi/problem";
import { judge } from "../verify/judge";
import { withNodeLogs } from "../verify/nodeLogs";
import { asJson, asText } from "../verify/report";
import { promptWorkers, type SendOptions, sendPrefixes, withLogs } from "../verify/send";

const PREFIXES = 6;
const FOLLOW_UPS = 2;
const TIMEOUT = 300;

const usage = `Usage: npm run verify -- --stack NAME [options]

Sends prompts with shared beginnings to a running deployment and prints, from Dynamo's own answers and logs, which worker
computed each prompt, how much of it that worker had cached, and which worker wrote the answer.

Options
  --stack, -s NAME   the stack, which has to be up
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --prefixes N       different beginnings (default: ${PREFIXES})
  --follow-ups N     requests with each beginning after the first (default: ${FOLLOW_UPS})
  --timeout S        give up after this many seconds (default: ${TIMEOUT})
  --json             print JSON: {cacheAware,reason,followUps,held,chance,workers,disaggregated,requests:[…]}

${exitCodes({
  ok: "routing is cache-aware",
  failed: "the deployment did not answer",
  notAsWanted: "it is not cache-aware",
})}`;

const OPTIONS = {
  ...STACK_OPTIONS,
  prefixes: { type: "string" },
  "follow-ups": { type: "string" },
  timeout: { type: "string" },
} as const;

const MOST = 1000;

function count(option: string, written: string | undefined, usual: number): number {
  return written === undefined ? usual : wholeNumber(option, written, { least: 1, most: MOST });
}

async function main(): Promise<void> {
  const args = readOptions(OPTIONS, usage);
  if (args === undefined) return;
  const amounts = {
    prefixes: count("--prefixes", args.prefixes, PREFIXES),
    followUps: count("--follow-ups", args["follow-ups"], FOLLOW_UPS),
  };
  const name = stackIn(args, usage);
  const { groups, verdict } = await withTimeout(args.timeout, TIMEOUT, async (signal) => {
    const stack = await openStack({ projectDir: projectIn(args), stack: name });
    return verified(await outputsOf(stack), amounts, signal);
  });
  process.stdout.write((args.json ? asJson : asText)(groups, verdict));
  process.exitCode = verdict.cacheAware ? EXIT.ok : EXIT.notAsWanted;
}

async function verified(
  outputs: Readonly<Record<string, unknown>>,
  amounts: SendOptions,
  signal: AbortSignal,
) {
  const target = { ...deploymentOf(outputs), signal };
  if (!tasks[target.task].generates)
    throw new OperationFailed(
      `There is nothing to verify: with task ${target.task} no worker keeps a cache that the router could look at.`,
    );
  const sent = await sendPrefixes(target, amounts);
  // Once, after all requests: where the nodes are machines of their own, asking them takes seconds.
  const groups = await withNodeLogs(deployedOf(outputs), signal, (logs) => withLogs(sent, logs));
  const seen = new Set(groups.flatMap(({ requests }) => requests.map(({ prefillWorker }) => prefillWorker)));
  return { groups, verdict: judge(groups, (await promptWorkers(target)) ?? seen.size) };
}

runTool(main, usage);
