/**
 * `dynamo-sky pipeline <step>`: the steps of a CI pipeline, as commands that run anywhere; the files in
 * pipelines/ only call them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  CWD,
  collect,
  json,
  NEEDED_STACK,
  POLICY_PACK,
  POLICY_PACK_CONFIG,
  policiesOf,
  timeout,
  verb,
} from "../command";
import { EXIT, exitCodes, fromCaller } from "../commandLine";
import { deploy } from "../pipeline/deploy";
import { drift } from "../pipeline/drift";
import {
  ephemeralDown,
  ephemeralName,
  ephemeralSweep,
  ephemeralUp,
  writeStackFile,
} from "../pipeline/ephemeral";
import { forgeOf } from "../pipeline/forges";
import { PLACES, type Place, post } from "../pipeline/post";
import { preview } from "../pipeline/preview";
import type { Report, Run } from "../pipeline/report";
import { smoke } from "../pipeline/smoke";
import { assertSharedState } from "../pipeline/state";
import { openStack, UsageProblem } from "../pulumi/openStack";
import { cancellation } from "../pulumi/signals";

const TTL_HOURS = 24;
const MOST_HOURS = 24 * 30;
const EXITS = { ok: "it worked", failed: "it failed" };

export const command = verb(
  "pipeline",
  `What a pipeline does, as commands that run anywhere; the files below pipelines/ only call them. A step prints a page of
Markdown, also when it fails: the page says why. Progress goes to standard error.`,
  exitCodes({ ...EXITS, notAsWanted: "a policy refuses what preview was asked about" }),
)
  .addCommand(
    step("preview", "what a change would do and cost, as a comment for a pull request", 900, {
      ...EXITS,
      notAsWanted: "a policy refuses it",
    })
      .addOption(POLICY_PACK)
      .addOption(POLICY_PACK_CONFIG)
      .addOption(NEEDED_STACK)
      .action((given) =>
        tell(given, async (signal) => preview(await runOf(given, given.stack, signal), policiesOf(given))),
      ),
  )
  .addCommand(
    step("deploy", "bring a stack up, smoke-test it, tell its endpoint", 7200)
      .addOption(POLICY_PACK)
      .addOption(POLICY_PACK_CONFIG)
      .option("--wake", "also a stack that is asleep, which else is updated and left asleep", false)
      .addOption(NEEDED_STACK)
      .action((given) =>
        tell(given, async (signal) =>
          deploy(await runOf(given, given.stack, signal), {
            policyPacks: policiesOf(given),
            wake: given.wake,
          }),
        ),
      ),
  )
  .addCommand(
    step("smoke", "ask a running endpoint for its models and an answer", 300)
      .addOption(NEEDED_STACK)
      .action((given) => tell(given, async (signal) => smoke(await runOf(given, given.stack, signal)))),
  )
  .addCommand(
    step("drift", "whether a stack is as its configuration wants it", 900)
      .addHelpText("after", `Not in sync: ${EXIT.drift}; it could not be found out: ${EXIT.failed}.`)
      .addOption(NEEDED_STACK)
      .action((given) => tell(given, async (signal) => drift(await runOf(given, given.stack, signal)))),
  )
  .addCommand(
    step("ephemeral-up", "a stack for a pull request, pr-ID, from another stack's file", 7200)
      .addOption(POLICY_PACK)
      .addOption(POLICY_PACK_CONFIG)
      .requiredOption("--id <n>", "number of the pull request")
      .requiredOption("--base <name>", "stack whose file the pull request's stack is made from")
      .option(
        "--set <key=value>",
        "a setting that differs, such as cluster.nodes=1, in YAML; repeatable",
        collect,
      )
      .option(
        "--ttl-hours <n>",
        "hours after which ephemeral-sweep removes it, counted anew at each ephemeral-up",
        hours,
        TTL_HOURS,
      )
      .action((given) =>
        tell(given, async (signal) => {
          const policies = policiesOf(given);
          const name = ephemeralName(given.id);
          writeStackFile(name, { directory: given.cwd, base: given.base, overrides: given.set ?? [] });
          return ephemeralUp(await runOf(given, name, signal), given.ttlHours, policies, new Date());
        }),
      ),
  )
  .addCommand(
    step("ephemeral-down", "remove it, with everything that it made", 3600)
      .requiredOption("--id <n>", "number of the pull request")
      .action((given) =>
        tell(given, async (signal) => ephemeralDown(await runOf(given, ephemeralName(given.id), signal))),
      ),
  )
  .addCommand(
    step("ephemeral-sweep", "remove those whose time is over", 7200).action((given) =>
      tell(given, async (signal) => {
        const open = (stack: string) => openStack({ projectDir: given.cwd, stack });
        // Listing the stacks works with any stack name.
        return ephemeralSweep(await runOf(given, "sweep", signal), open, new Date());
      }),
    ),
  )
  .addCommand(
    step("post", "put what another step wrote onto a pull request or into an issue", 300)
      .requiredOption("--to <place>", PLACES.join(" or "), placeOf)
      .requiredOption("--file <file>", "Markdown that another step wrote", fromCaller)
      .option("--number <n>", "pull request to comment on (default: the pipeline's own)")
      .option("--title <text>", "title of a new issue (default: the page's heading)")
      .option("--close", "close the issue: what it is about is over", false)
      .addHelpText("after", "The token is taken from GITHUB_TOKEN or GITLAB_TOKEN.")
      .action((given) => tell(given, (signal) => postPage(given, signal))),
  );

/**
 * A step with the common options. @param seconds Default time limit; provisioning has its own
 * (timeouts.provisionMinutes).
 */
function step(
  name: string,
  about: string,
  seconds: number,
  exits: { readonly ok: string; readonly failed: string; readonly notAsWanted?: string } = EXITS,
) {
  return verb(name, `${about.slice(0, 1).toUpperCase()}${about.slice(1)}.`, exitCodes(exits))
    .summary(about)
    .addOption(CWD)
    .option("--output <file>", "write the Markdown there instead of to standard output", fromCaller)
    .addOption(timeout(seconds))
    .addOption(json("the result"));
}

interface Given {
  readonly cwd: string;
  readonly output?: string | undefined;
  readonly timeout: number;
  readonly json: boolean;
}

/** Runs a step within its time limit, and reports the result. */
async function tell(
  { cwd, timeout: limit, output, json: isJson }: Given,
  work: (signal: AbortSignal) => Promise<Report>,
): Promise<void> {
  const { signal } = cancellation(limit);
  // Programs expect to run in their project's directory, as under the official CLI.
  process.chdir(cwd);
  const report = await work(signal);
  if (output !== undefined) writeFileSync(output, report.markdown);
  if (isJson) console.log(JSON.stringify(report.json, undefined, 2));
  else if (output === undefined) process.stdout.write(report.markdown);
  if (report.exitCode === EXIT.ok) return;
  if (output !== undefined || isJson) process.stderr.write(report.markdown);
  process.exitCode = report.exitCode;
}

async function runOf({ cwd }: Given, name: string, signal: AbortSignal): Promise<Run> {
  const stack = await openStack({ projectDir: cwd, stack: name });
  assertSharedState(stack.backend, process.env);
  return { stack, signal };
}

function hours(written: string): number {
  const number = Number(written);
  if (written.trim() !== "" && number > 0 && number <= MOST_HOURS) return number;
  throw new UsageProblem(
    `--ttl-hours ${JSON.stringify(written)} is not a number that is allowed: more than 0, at most ${MOST_HOURS}.`,
  );
}

interface Page {
  readonly to: Place;
  readonly file: string;
  readonly number?: string | undefined;
  readonly title?: string | undefined;
  readonly close: boolean;
}

function postPage({ to: place, file, number, close, ...given }: Page, signal: AbortSignal): Promise<Report> {
  const text = readPage(file);
  const title = given.title ?? /^#+ (.+)$/m.exec(text)?.[1]?.replaceAll("\\", "") ?? "dynamo-sky";
  return post(forgeOf(process.env, place, number, signal), { place, text, title, close });
}

function placeOf(written: string): Place {
  const place = PLACES.find((known) => known === written);
  if (place !== undefined) return place;
  throw new UsageProblem(`--to ${JSON.stringify(written)}: allowed are ${PLACES.join(" and ")}.`);
}

function readPage(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new UsageProblem(`--file: ${file} cannot be read. Write it with --output of another step.`);
  }
}
