/**
 * `npm run plan -- --stack S [--json] [--commands] [--svg FILE]`: what a stack would run where, before anything is provisioned. Reads the
 * stack's file and nothing else; Pulumi is not needed.
 */
import { writeFileSync } from "node:fs";
import { drawPicture } from "../../plan/drawing/picture";
import { drawPlan } from "../../plan/drawing/text";
import { exitCodes, fromCaller, runTool } from "../commandLine";
import { projectIn, readOptions, STACK_OPTIONS, stackIn } from "../options";
import { planStack } from "../plannedStack";

const usage = `Usage: npm run plan -- --stack NAME [options]

Options
  --stack, -s NAME   the stack; its configuration is Pulumi.NAME.yaml
  --cwd, -C DIR      directory of Pulumi.yaml (default: this repository)
  --commands         also print every program's command and environment
  --json             print the plan as JSON: {clusters:[{name,nodes:[{rank,programs:[{name,role,replica,command,env,gpus,ports}]}]}]}
  --svg FILE         write the plan as a picture

${exitCodes({ ok: "there is a plan" })}`;

const OPTIONS = {
  ...STACK_OPTIONS,
  commands: { type: "boolean", default: false },
  svg: { type: "string" },
} as const;

function main(): void {
  const args = readOptions(OPTIONS, usage);
  if (args === undefined) return;
  const { plan: planned } = planStack(stackIn(args, usage), projectIn(args));
  if (args.svg !== undefined) {
    const file = fromCaller(args.svg);
    writeFileSync(file, drawPicture(planned));
    if (!args.json) {
      console.log(file);
      return;
    }
  }
  const text = args.json
    ? `${JSON.stringify(planned, undefined, 2)}\n`
    : drawPlan(planned, { width: process.stdout.columns ?? 120, commands: args.commands });
  process.stdout.write(text);
}

if (require.main === module) runTool(main, usage);
