/**
 * `npm run status -- --stack S [--watch] [--json]`: what of a deployment runs where, from its stack's outputs alone.
 */
import { EXIT, exitCodes, runTool, seconds } from "../commandLine";
import { DEPLOYMENT_OPTIONS, DEPLOYMENT_USAGE, deployedFrom } from "../deployment/outputs";
import { readOptions } from "../options";
import { showOnce, watch } from "../status/watch";

const INTERVAL = 2;
const TIMEOUT = 60;

const usage = `Usage: npm run status -- --stack NAME [options]

Shows what runs where: clusters, nodes, programs with their state and restarts, workers ready of wanted, requests a second,
time to first token (TTFT) and between tokens (ITL), cache hit rate, dollars an hour and so far. Changes nothing.

Options
${DEPLOYMENT_USAGE}
  --watch, -w        look again and again, until Ctrl-C; without a terminal, one block after the other
  --interval S       seconds between two looks, over which rates are measured (default: ${INTERVAL})
  --timeout S        seconds after which a node that does not answer counts as unreachable (default: ${TIMEOUT})
  --json             print JSON: {at,healthy,problems,endpoint,model,roles,requests,cost,clusters:[{nodes:[{programs}]}]}; with
                     --watch one object a line

${exitCodes({ ok: "everything is as it should be", failed: "it could not be found out", notAsWanted: "something is not as it should be" })}`;

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  watch: { type: "boolean", short: "w", default: false },
  interval: { type: "string" },
  timeout: { type: "string" },
} as const;

async function main(): Promise<void> {
  const values = readOptions(OPTIONS, usage);
  if (values === undefined) return;
  const { json } = values;
  const options = {
    title: values.stack ?? "deployment",
    json,
    interval: seconds("--interval", values.interval ?? String(INTERVAL)),
    timeout: seconds("--timeout", values.timeout ?? String(TIMEOUT)),
  };
  const deployed = await deployedFrom(values, usage);
  if (values.watch) return watch(deployed, options);
  const healthy = await showOnce(deployed, options);
  process.exitCode = healthy ? EXIT.ok : EXIT.notAsWanted;
}

if (require.main === module) runTool(main, usage);
