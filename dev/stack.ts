/**
 * `npm run stack -- <verb> [NAME] --stack S [options]`: the program through the real engine, also where the official
 * Pulumi distribution is not installed. See `usage` for the verbs.
 */

import { EXIT, isArgumentError, isUsersMistake, seconds } from "../cli/commandLine";
import { projectIn, readVerb, STACK_OPTIONS, stackIn } from "../cli/options";
import { driftOf } from "../cli/pulumi/drift";
import { type OpenStack, type OperationResult, openStack, UsageProblem } from "../cli/pulumi/openStack";
import { POLICY_OPTIONS, policyPackChoices } from "../cli/pulumi/policyPacks";
import { cancellation } from "../cli/pulumi/signals";
import { writtenInfra } from "../cli/pulumi/writtenConfig";
import { KEY_VARIABLE } from "../components/topology";
import { messageOf } from "../lib/run";

const usage = `Usage: npm run stack -- <verb> --stack NAME [options]

Verbs
  preview          show what up would do
  up               make it so; returns when the cluster answers
  refresh          read what is really there into the state
  drift            say whether the stack is as its configuration wants it, and if not, why
  destroy          remove everything that the stack made
  output [NAME]    print all outputs, or the bare value of one
  env              print the export lines with which plain \`pulumi\` works on the same state
  cancel           remove the lock that a killed operation left

Options
  --stack, -s NAME   the stack; its configuration is Pulumi.NAME.yaml
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --json             print the result as JSON; progress goes to standard error in any case
  --show-secrets     output: print secrets instead of [secret]
  --policy-pack DIR  preview, up: what the stack has to keep to; this repository's is policy (repeatable)
  --policy-pack-config FILE
                     settings of the policies as JSON, one file for each pack, in the same order
  --timeout S        preview, up, refresh, destroy, drift: cancel after that many seconds (default: no limit but the configuration's)
  --remove           destroy: forget the empty stack too, with its history
  --verbose, -v      show the engine's own output

Exit code: 0 it worked, 1 it failed, 2 the command or the configuration is wrong.
For drift: 0 in sync, 2 not in sync, 1 it could not be found out.`;

const operations = ["preview", "up", "refresh", "destroy"] as const;
const verbs = [...operations, "drift", "output", "env", "cancel"] as const;

function readArguments() {
  const read = readVerb({ verbs, options: OPTIONS, mostWords: (verb) => (verb === "output" ? 1 : 0) }, usage);
  if (read === undefined) return undefined;
  const { verb, words, values } = read;
  return {
    ...values,
    verb,
    name: words[0],
    stack: stackIn(values, usage),
    cwd: projectIn(values),
    showSecrets: values["show-secrets"],
    policyPacks: policyPackChoices(values["policy-pack"], values["policy-pack-config"]),
    timeout: values.timeout === undefined ? undefined : seconds("--timeout", values.timeout),
  };
}

type Arguments = NonNullable<ReturnType<typeof readArguments>>;

const OPTIONS = {
  ...STACK_OPTIONS,
  ...POLICY_OPTIONS,
  "show-secrets": { type: "boolean", default: false },
  timeout: { type: "string" },
  remove: { type: "boolean", default: false },
  verbose: { type: "boolean", short: "v", default: false },
  // What a hand used to `pulumi up` types; there is nothing to confirm here.
  yes: { type: "boolean", short: "y", default: false },
} as const;

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
}

function printOutputs(outputs: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(outputs).sort();
  const width = Math.max(0, ...names.map((name) => name.length));
  for (const name of names) {
    console.log(
      `${name.padEnd(width)}  ${asText(outputs[name]).replaceAll("\n", `\n${" ".repeat(width + 2)}`)}`,
    );
  }
}

const told: Readonly<Record<string, string>> = {
  create: "created",
  update: "updated",
  replace: "replaced",
  delete: "deleted",
  same: "unchanged",
};

function summary(verb: string, result: OperationResult): string {
  const parts = Object.entries(result.changes)
    .filter(([, count]) => count > 0)
    .map(
      ([op, count]) =>
        `${count} ${verb === "preview" ? (op === "same" ? "unchanged" : `to ${op}`) : (told[op] ?? op)}`,
    );
  return `${verb}: ${parts.length > 0 ? parts.join(", ") : "nothing to do"} (${result.seconds.toFixed(1)} s)`;
}

// Whoever reads the output may be gone, as in a lost connection: what is being done is still brought to its end.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

async function operate(stack: OpenStack, verb: (typeof operations)[number], args: Arguments): Promise<void> {
  const { verbose, policyPacks } = args;
  const result = await stack[verb]({ verbose, policyPacks, ...cancellation(args.timeout) });
  if (verb === "destroy" && args.remove) await stack.remove();
  process.stderr.write(`${summary(verb, result)}\n`);
  const { changes, outputs, seconds, steps, violations } = result;
  const told = { verb, changes, seconds, steps, violations, outputs };
  if (args.json) console.log(JSON.stringify(told, undefined, 2));
  else if (verb === "up") printOutputs(outputs);
  if (verb === "up" && outputs["apiKey"] !== undefined) process.stderr.write(keyHint(args.stack));
}

/** How the key comes to where the `chat` output looks for it. */
function keyHint(stack: string): string {
  return `The endpoint asks for a key: export ${KEY_VARIABLE}=$(npm run -s stack -- output apiKey --stack ${stack} --show-secrets)\n`;
}

/** What has to be done to a stack: its own exit code, so that a pipeline can act on it. */
async function reportDrift(stack: OpenStack, args: Arguments): Promise<void> {
  const { steps, seconds } = await stack.preview({ verbose: args.verbose, ...cancellation(args.timeout) });
  const drift = driftOf(steps);
  if (args.json) console.log(JSON.stringify({ inSync: drift.length === 0, drift, seconds }, undefined, 2));
  else if (drift.length === 0) console.log(`${args.stack} is in sync (${seconds.toFixed(1)} s)`);
  else
    for (const { resource, kind, reason } of drift)
      console.log(`${args.stack} ${kind}: ${resource}: ${reason}`);
  process.exitCode = drift.length === 0 ? 0 : EXIT.drift;
}

async function printOutput(stack: OpenStack, args: Arguments): Promise<void> {
  const outputs = await stack.outputs({ showSecrets: args.showSecrets });
  if (args.name === undefined) {
    if (args.json) console.log(JSON.stringify(outputs, undefined, 2));
    else printOutputs(outputs);
    return;
  }
  if (!Object.hasOwn(outputs, args.name)) {
    const names = Object.keys(outputs).sort().join(", ") || "none: has `up` been run?";
    throw new UsageProblem(`Stack ${args.stack} has no output ${args.name}. It has ${names}`);
  }
  const value = outputs[args.name];
  console.log(args.json ? JSON.stringify(value) : asText(value));
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** What will be asked of SkyPilot needs it loaded, which can go on beside the start of the engine. */
async function preload({ stack, cwd }: Arguments): Promise<void> {
  const infra = writtenInfra(stack, cwd);
  if (infra === undefined) return;
  const { preloadSkyPilot } = await import("../sky/preloaded.js");
  await preloadSkyPilot(infra);
}

async function main(): Promise<void> {
  const args = readArguments();
  if (args === undefined) return;
  if (args.verb === "drift" || operations.some((verb) => verb === args.verb)) await preload(args);
  const stack = await openStack({ projectDir: args.cwd, stack: args.stack });
  // Programs expect to run in their project's directory, as under the official CLI.
  process.chdir(args.cwd);
  const operation = operations.find((verb) => verb === args.verb);
  if (operation !== undefined) return operate(stack, operation, args);
  if (args.verb === "drift") return reportDrift(stack, args);
  if (args.verb === "output") return printOutput(stack, args);
  if (args.verb === "cancel") {
    await stack.cancel();
    if (args.json) console.log(JSON.stringify({ verb: args.verb }));
    return;
  }
  const environment = stack.environment();
  if (args.json) console.log(JSON.stringify(environment, undefined, 2));
  else
    for (const [name, value] of Object.entries(environment)) console.log(`export ${name}=${quoted(value)}`);
}

main().then(
  () => process.exit(process.exitCode ?? 0),
  (error: unknown) => {
    const isUsage = isUsersMistake(error);
    console.error(messageOf(error));
    if (isArgumentError(error)) console.error(`\n${usage}`);
    // For drift, 2 has another meaning, and what cannot be found out is never "not in sync".
    const isDrift = process.argv.slice(2).includes("drift");
    process.exit(isUsage && !isDrift ? EXIT.usage : EXIT.failed);
  },
);
