/** `dynamo-sky status`: state of a deployment's programs, from its stack's outputs alone. */
import { CWD, json, STACK, STATE, timeout, verb } from "../command";
import { EXIT, exitCodes, seconds } from "../commandLine";
import { deployedFrom } from "../deployment/outputs";
import { showOnce, watch } from "../status/watch";

export const command = verb(
  "status",
  `Shows what runs where: clusters, nodes, programs with their state and restarts, workers ready of wanted, requests a second,
time to first token (TTFT) and between tokens (ITL), cache hit rate, dollars an hour and so far. Changes nothing.`,
  exitCodes({
    ok: "everything is as it should be",
    failed: "it could not be found out",
    notAsWanted: "something is not as it should be",
  }),
)
  .addOption(STACK)
  .addOption(STATE)
  .addOption(CWD)
  .option(
    "-w, --watch",
    "look again and again, until Ctrl-C; without a terminal, one block after the other",
    false,
  )
  .option("--interval <s>", "seconds between two looks, over which rates are measured", interval, 2)
  .addOption(timeout(60, "seconds after which a node that does not answer counts as unreachable"))
  .addOption(
    json(
      "{at,healthy,problems,notes,causes:[{program,title,said,advice}],endpoint,model,roles,requests,cost,clusters:[{nodes:[{programs}]}]}; with --watch one object a line",
    ),
  )
  .action(async (given) => {
    const options = {
      title: given.stack ?? "deployment",
      json: given.json,
      interval: given.interval,
      timeout: given.timeout,
    };
    const deployed = await deployedFrom(given);
    if (given.watch) return watch(deployed, options);
    const healthy = await showOnce(deployed, options);
    process.exitCode = healthy ? EXIT.ok : EXIT.notAsWanted;
  });

function interval(written: string): number {
  return seconds("--interval", written);
}
