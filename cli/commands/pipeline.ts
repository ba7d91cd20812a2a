/**
 * `npm run pipeline -- <verb> …`: what a pipeline does, as commands that run anywhere; the files below pipelines/ only call them.
 * See `usage` for the verbs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { messageOf } from "../../lib/run";
import { EXIT, exitCodes, fromCaller, runTool, seconds } from "../commandLine";
import { projectIn, readVerb, STACK_OPTIONS } from "../options";
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
import { OperationFailed, openStack, UsageProblem } from "../pulumi/openStack";
import { POLICY_OPTIONS, policyPackChoices } from "../pulumi/policyPacks";
import { cancellation } from "../pulumi/signals";

/** Seconds after which a verb gives up. Provisioning has a limit of its own (timeouts.provisionMinutes). */
const SECONDS = {
  preview: 900,
  deploy: 7200,
  smoke: 300,
  drift: 900,
  post: 300,
  "ephemeral-up": 7200,
  "ephemeral-down": 3600,
  "ephemeral-sweep": 7200,
} as const;
const VERBS = [
  ...(["preview", "deploy", "smoke", "drift", "post"] as const),
  ...(["ephemeral-up", "ephemeral-down", "ephemeral-sweep"] as const),
];
const TTL_HOURS = 24;
const MOST_HOURS = 24 * 30;

const usage = `Usage: npm run pipeline -- <verb> [options]

Verbs
  preview          what a change would do and cost, as a comment for a pull request   (--stack, --policy-pack)
  deploy           bring a stack up, smoke-test it, tell its endpoint                 (--stack, --policy-pack)
  smoke            ask a running endpoint for its models and a streamed answer        (--stack)
  drift            whether a stack is as its configuration wants it                   (--stack)
  ephemeral-up     a stack for a pull request, pr-ID, from another stack's file       (--base, --id, --ttl-hours, --set)
  ephemeral-down   remove it, with everything that it made                            (--id)
  ephemeral-sweep  remove those whose time is over
  post             put what another verb wrote onto a pull request or into an issue   (--to, --file)

Options
  --stack, -s NAME      the stack; its configuration is Pulumi.NAME.yaml
  --policy-pack DIR     what the stack has to keep to; this repository's is policy (repeatable)
  --policy-pack-config FILE
                        settings of the policies as JSON, one file for each pack, in the same order
  --id N                number of the pull request
  --base NAME           stack whose file the pull request's stack is made from
  --set KEY=VALUE       a setting that differs from the base, such as cluster.nodes=1; the value is YAML (repeatable)
  --ttl-hours N         hours after which ephemeral-sweep removes it, counted anew at each ephemeral-up (default: ${TTL_HOURS})
  --to PLACE            ${PLACES.join(" or ")}
  --file FILE           Markdown that another verb wrote
  --number N            pull request to comment on (default: the pipeline's own)
  --title TEXT          title of a new issue (default: the page's heading)
  --close               close the issue: what it is about is over
  --output FILE         write the Markdown there instead of to standard output
  --json                print the result as JSON
  --timeout S           give up after this many seconds (default: ${Object.entries(SECONDS)
    .map(([verb, limit]) => `${verb} ${limit}`)
    .join(", ")})
  --cwd, -C DIR         directory of Pulumi.yaml (default: this repository)

The page is written also when the verb fails: it says why. Progress goes to standard error. post takes its token from GITHUB_TOKEN or GITLAB_TOKEN.

${exitCodes({ ok: "it worked", failed: "it failed", notAsWanted: "a policy refuses what preview was asked about" })}
For drift: ${EXIT.ok} in sync, ${EXIT.drift} not in sync, ${EXIT.failed} it could not be found out.`;

const OPTIONS = {
  ...STACK_OPTIONS,
  ...POLICY_OPTIONS,
  id: { type: "string" },
  base: { type: "string" },
  set: { type: "string", multiple: true },
  "ttl-hours": { type: "string" },
  to: { type: "string" },
  file: { type: "string" },
  number: { type: "string" },
  title: { type: "string" },
  close: { type: "boolean", default: false },
  output: { type: "string" },
  timeout: { type: "string" },
} as const;

function readArguments() {
  const read = readVerb({ verbs: VERBS, options: OPTIONS, mostWords: () => 0 }, usage);
  return read && { ...read.values, verb: read.verb, cwd: projectIn(read.values) };
}

type Arguments = NonNullable<ReturnType<typeof readArguments>>;

function needed(args: Arguments, option: "stack" | "id" | "base" | "to" | "file"): string {
  const value = args[option];
  if (value !== undefined && value !== "") return value;
  throw new UsageProblem(`${args.verb} needs --${option}. See: npm run pipeline -- --help`);
}

function positive(option: string, written: string | undefined, usual: number, most: number): number {
  const number = written === undefined ? usual : Number(written);
  if (Number.isFinite(number) && number > 0 && number <= most) return number;
  throw new UsageProblem(
    `--${option} ${JSON.stringify(written)} is not a number that is allowed: more than 0, at most ${most}.`,
  );
}

async function runOf(args: Arguments, name: string, signal: AbortSignal): Promise<Run> {
  const stack = await openStack({ projectDir: args.cwd, stack: name });
  assertSharedState(stack.backend, process.env);
  return { stack, signal };
}

async function carryOut(args: Arguments, signal: AbortSignal): Promise<Report> {
  const policies = policyPackChoices(args["policy-pack"], args["policy-pack-config"]);
  const named = () => runOf(args, needed(args, "stack"), signal);
  const ephemeral = () => runOf(args, ephemeralName(needed(args, "id")), signal);
  switch (args.verb) {
    case "preview":
      return preview(await named(), policies);
    case "deploy":
      return deploy(await named(), policies);
    case "smoke":
      return smoke(await named());
    case "drift":
      return drift(await named());
    case "ephemeral-up": {
      const hours = positive("ttl-hours", args["ttl-hours"], TTL_HOURS, MOST_HOURS);
      const name = ephemeralName(needed(args, "id"));
      const source = { directory: args.cwd, base: needed(args, "base"), overrides: args.set ?? [] };
      writeStackFile(name, source);
      return ephemeralUp(await ephemeral(), hours, policies, new Date());
    }
    case "ephemeral-down":
      return ephemeralDown(await ephemeral());
    case "ephemeral-sweep": {
      const open = (stack: string) => openStack({ projectDir: args.cwd, stack });
      // Any name will do to ask which stacks there are.
      return ephemeralSweep(await runOf(args, "sweep", signal), open, new Date());
    }
    case "post":
      return postPage(args, signal);
  }
}

function postPage(args: Arguments, signal: AbortSignal): Promise<Report> {
  const place = placeOf(needed(args, "to"));
  const file = fromCaller(needed(args, "file"));
  const text = readPage(file);
  const title = args.title ?? /^#+ (.+)$/m.exec(text)?.[1]?.replaceAll("\\", "") ?? "dynamo-sky";
  const forge = forgeOf(process.env, place, args.number, signal);
  return post(forge, { place, text, title, close: args.close });
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
    throw new UsageProblem(`--file: ${file} cannot be read. Write it with --output of another verb.`);
  }
}

async function main(): Promise<void> {
  const args = readArguments();
  if (args === undefined) return;
  const limit = args.timeout === undefined ? SECONDS[args.verb] : seconds("--timeout", args.timeout);
  const { signal } = cancellation(limit);
  const output = args.output === undefined ? undefined : fromCaller(args.output);
  // Programs expect to run in their project's directory, as under the official CLI.
  process.chdir(args.cwd);
  const report = await carryOut(args, signal);
  if (output !== undefined) writeFileSync(output, report.markdown);
  if (args.json) console.log(JSON.stringify(report.json, undefined, 2));
  else if (output === undefined) process.stdout.write(report.markdown);
  if (report.exitCode === EXIT.ok) return;
  if (output !== undefined || args.json) process.stderr.write(report.markdown);
  process.exitCode = report.exitCode;
}

/** For drift, 2 has another meaning, and what cannot be found out is never "not in sync". */
async function guarded(): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!process.argv.slice(2).includes("drift")) throw error;
    throw new OperationFailed(messageOf(error));
  }
}

runTool(guarded, usage);
