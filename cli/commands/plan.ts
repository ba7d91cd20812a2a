/**
 * `dynamo-sky plan`: what a stack would run where. Reads the stack's file, and SkyPilot's catalogs where they
 * are; Pulumi is not needed.
 */

import { writeFileSync } from "node:fs";
import type { DeploymentConfig } from "../../config/deployment";
import { cautionsOf } from "../../plan/cautions";
import { costLine, type DeploymentCost } from "../../plan/cost";
import { drawPicture } from "../../plan/drawing/picture";
import { drawPlan } from "../../plan/drawing/text";
import { nightCautions } from "../../plan/schedule";
import { costByCatalogs } from "../catalogs";
import { CWD, json, NEEDED_STACK, verb } from "../command";
import { exitCodes, fromCaller } from "../commandLine";
import { planStack } from "../plannedStack";

export const command = verb(
  "plan",
  "Draws what a stack would run where, before anything is provisioned. Reads the stack's file, and what SkyPilot knows of the clouds' machines where it is installed.",
  exitCodes({ ok: "there is a plan" }),
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .option("--commands", "also print every program's command and environment", false)
  .option("--svg <file>", "write the plan as a picture", fromCaller)
  .addOption(json("{clusters:[{name,nodes:[{rank,programs:[{name,role,replica,command,env,gpus,ports}]}]}]}"))
  .action(async ({ stack, cwd, svg, ...options }) => {
    const { config, plan: planned, poolsNote } = planStack(stack, cwd);
    const { cost, cautions } = await costByCatalogs(config, planned);
    if (svg !== undefined) {
      writeFileSync(svg, drawPicture(planned));
      if (!options.json) return console.log(svg);
    }
    const text = options.json
      ? `${JSON.stringify(planned, undefined, 2)}\n`
      : `${drawPlan(planned, { width: process.stdout.columns ?? 120, commands: options.commands })}${whereAndCost(config, cost)}${poolsNote === undefined ? "" : `${poolsNote}\n`}`;
    process.stdout.write(text);
    // Those of `pulumi preview`.
    const all = [...cautionsOf(config, planned), ...cautions, ...nightCautions(config, new Date())];
    for (const caution of all) console.error(`Caution: ${caution}`);
  });

/** The plan itself knows neither. */
function whereAndCost({ target, sky }: DeploymentConfig, cost: DeploymentCost | undefined): string {
  if (target === "local") return "";
  const infra = sky.infra.length === 0 ? "any that SkyPilot may use" : sky.infra.join(", ");
  const price = cost === undefined ? "cost: `pulumi preview` asks SkyPilot" : costLine(cost);
  return `\ninfra: ${infra}\n${price}\n`;
}
