/**
 * `npm run bench -- --stack S`: a load on a running deployment, measured with aiperf; `npm run bench -- compare A B`: whether two
 * runs differ. See `usage` in cli/bench/options.ts.
 */
import { runCompare } from "../bench/compareCommand";
import { readOptions, usage } from "../bench/options";
import { runLoads } from "../bench/runCommand";
import { runTool } from "../commandLine";

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) console.log(usage);
  else if (options.kind === "compare") await runCompare(options);
  else await runLoads(options);
}

runTool(main, usage);
