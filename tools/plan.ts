/**
 * `npm run plan -- --stack S [--json] [--commands] [--svg FILE]`: what a stack would run where, before anything is provisioned. Reads the
 * stack's file and nothing else; Pulumi is not needed.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { drawPicture } from "../plan/drawing/picture";
import { drawPlan } from "../plan/drawing/text";
import { exitCodes, runTool } from "./commandLine";
import { planStack } from "./plannedStack";
import { UsageProblem } from "./pulumi/problem";
import { packageRoot } from "./toolchain/index";

const usage = `Usage: npm run plan -- --stack NAME [options]

Options
  --stack, -s NAME   the stack; its configuration is Pulumi.NAME.yaml
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --commands         also print every program's command and environment
  --json             print the plan as JSON: {clusters:[{name,nodes:[{rank,programs:[{name,role,replica,command,env,gpus,ports}]}]}]}
  --svg FILE         write the plan as a picture

${exitCodes({ ok: "there is a plan" })}`;

interface Arguments {
  readonly stack: string;
  readonly cwd: string;
  readonly commands: boolean;
  readonly json: boolean;
  readonly svg: string | undefined;
}

function readArguments(argv: string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: argv,
    options: {
      stack: { type: "string", short: "s" },
      cwd: { type: "string", short: "C" },
      commands: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      svg: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { stack, cwd = packageRoot(), commands, json, svg } = values;
  if (stack === undefined) throw new UsageProblem(`--stack is missing: which stack?\n\n${usage}`);
  const calledFrom = process.env["DYNAMO_SKY_CALLED_FROM"] ?? process.cwd();
  return { stack, cwd, commands, json, svg: svg && resolve(calledFrom, svg) };
}

function main(): void {
  const args = readArguments(process.argv.slice(2));
  if (args === undefined) {
    console.log(usage);
    return;
  }
  const { plan: planned } = planStack(args.stack, args.cwd);
  if (args.svg !== undefined) {
    writeFileSync(args.svg, drawPicture(planned));
    if (!args.json) {
      console.log(args.svg);
      return;
    }
  }
  const text = args.json
    ? `${JSON.stringify(planned, undefined, 2)}\n`
    : drawPlan(planned, { width: process.stdout.columns ?? 120, commands: args.commands });
  process.stdout.write(text);
}

if (require.main === module) runTool(main, usage);
