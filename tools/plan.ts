/**
 * `npm run plan -- --stack S [--json] [--commands]`: what a stack would run where, before anything is provisioned. Reads the
 * stack's file and nothing else; Pulumi is not needed.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { parseConfig } from "../plan/config";
import { drawPlan } from "../plan/draw";
import { factsOf } from "../plan/facts";
import { plan } from "../plan/plan";
import { CONFIG_NAMESPACE, ConfigError } from "../plan/problems";
import type { DeploymentPlan } from "../plan/types";
import { UsageProblem } from "./pulumi/problem";
import { checkStackName, readProject, stackFile, stacksWithFiles } from "./pulumi/project";
import { locateTools, packageRoot } from "./toolchain/index";

const usage = `Usage: npm run plan -- --stack NAME [options]

Options
  --stack, -s NAME   the stack; its configuration is Pulumi.NAME.yaml
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --commands         also print every program's command and environment
  --json             print the plan as JSON: {clusters:[{name,nodes:[{rank,programs:[{name,role,replica,command,env,gpus,ports}]}]}]}

Exit code: 0 there is a plan, 2 the command or the configuration is wrong.`;

interface Arguments {
  readonly stack: string;
  readonly cwd: string;
  readonly commands: boolean;
  readonly json: boolean;
}

function readArguments(argv: string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: argv,
    options: {
      stack: { type: "string", short: "s" },
      cwd: { type: "string", short: "C" },
      commands: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { stack, cwd = packageRoot(), commands, json } = values;
  if (stack === undefined) throw new UsageProblem(`--stack is missing: which stack?\n\n${usage}`);
  return { stack, cwd, commands, json };
}

/** The settings of this program's namespace in a stack's file, without the namespace. */
function writtenConfig(file: string): Record<string, unknown> {
  const content: unknown = parse(readFileSync(file, "utf8"));
  const config = asRecord(asRecord(content)["config"]);
  const prefix = `${CONFIG_NAMESPACE}:`;
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), withoutSecret(value)]] : [],
    ),
  );
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** An encrypted value stays encrypted: that there is one is all that a plan needs. */
function withoutSecret(value: unknown): unknown {
  return asRecord(value)["secure"] === undefined ? value : true;
}

/**
 * Plans a stack from its file.
 * @throws UsageProblem when there is no such stack, ConfigError when its configuration cannot be planned.
 */
export function planStack(stack: string, directory: string): DeploymentPlan {
  checkStackName(stack);
  const project = readProject(directory);
  const file = stackFile(project, stack);
  if (file === undefined) {
    const known = stacksWithFiles(project);
    throw new UsageProblem(
      `${project.directory} has no Pulumi.${stack}.yaml. Stacks there: ${known.length > 0 ? known.join(", ") : "none"}.`,
    );
  }
  const config = parseConfig(writtenConfig(file));
  return plan(
    config,
    factsOf(config, () => locateTools().servicesObtainable),
  );
}

function main(): void {
  const args = readArguments(process.argv.slice(2));
  if (args === undefined) {
    console.log(usage);
    return;
  }
  const planned = planStack(args.stack, args.cwd);
  const text = args.json
    ? `${JSON.stringify(planned, undefined, 2)}\n`
    : drawPlan(planned, { width: process.stdout.columns ?? 120, commands: args.commands });
  process.stdout.write(text);
}

function isExpected(error: unknown): error is Error {
  const isWrongOption =
    error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
  return isWrongOption || error instanceof UsageProblem || error instanceof ConfigError;
}

if (require.main === module) {
  try {
    main();
  } catch (error) {
    if (!isExpected(error)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
