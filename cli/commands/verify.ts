/**
 * `dynamo-sky verify`: whether the router of a running deployment uses the workers' caches, from Dynamo's own
 * data about requests with shared prefixes.
 */
import { tasks } from "../../config/task";
import { CWD, json, NEEDED_STACK, timeout, verb } from "../command";
import { EXIT, exitCodes, wholeNumber, withTimeout } from "../commandLine";
import { deployedOf } from "../deployment/deployed";
import { deploymentOf, outputsOf } from "../deployment/running";
import { openStack } from "../pulumi/openStack";
import { OperationFailed } from "../pulumi/problem";
import { judge } from "../verify/judge";
import { withCauses, withNodeLogs } from "../verify/nodeLogs";
import { asJson, asText } from "../verify/report";
import { promptWorkers, type SendOptions, sendPrefixes, withLogs } from "../verify/send";

const MOST = 1000;
const count = (option: string) => (written: string) => wholeNumber(option, written, { least: 1, most: MOST });

export const command = verb(
  "verify",
  `Sends prompts with shared beginnings to a running deployment and prints, from Dynamo's own answers and logs, which worker
computed each prompt, how much of it that worker had cached, and which worker wrote the answer.`,
  exitCodes({
    ok: "routing is cache-aware",
    failed: "the deployment did not answer",
    notAsWanted: "it is not cache-aware",
  }),
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .option("--prefixes <n>", "different beginnings", count("--prefixes"), 6)
  .option("--follow-ups <n>", "requests with each beginning after the first", count("--follow-ups"), 2)
  .addOption(timeout(300))
  .addOption(json("{cacheAware,reason,followUps,held,chance,workers,disaggregated,requests:[…]}"))
  .action(async (options) => {
    const { prefixes, followUps } = options;
    const outputs = await outputsOf(await openStack({ projectDir: options.cwd, stack: options.stack }));
    const { groups, verdict } = await withCauses(outputs, () =>
      withTimeout(options.timeout, (signal) => verified(outputs, { prefixes, followUps }, signal)),
    );
    process.stdout.write((options.json ? asJson : asText)(groups, verdict));
    process.exitCode = verdict.cacheAware ? EXIT.ok : EXIT.notAsWanted;
  });

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
  // Once, after all requests: querying remote nodes takes seconds.
  const groups = await withNodeLogs(deployedOf(outputs), { signal }, (logs) => withLogs(sent, logs));
  const seen = new Set(groups.flatMap(({ requests }) => requests.map(({ prefillWorker }) => prefillWorker)));
  return { groups, verdict: judge(groups, (await promptWorkers(target)) ?? seen.size) };
}
