/** `dynamo-sky size`: from a load and a promise to layouts with their prices, and to a stack. */
import { writeFileSync } from "node:fs";
import { deployedVersion } from "../../engines";
import { codeOf } from "../../lib/errors";
import { Progress } from "../../lib/progress";
import { counted } from "../../lib/words";
import { costsByCatalogs } from "../catalogs";
import { collect, json, verb } from "../command";
import { EXIT, exitCodes, fromCaller } from "../commandLine";
import { UsageProblem } from "../pulumi/problem";
import { ACCELERATORS } from "../size/accelerators";
import { estimates, predict } from "../size/aiconfigurator";
import { withCaches } from "../size/cached";
import { chartSpec } from "../size/chart";
import { asJson, drawTable, versionLines } from "../size/draw";
import type { Priced } from "../size/layouts";
import { checkedOptions, LENGTHS, overwrites, type SizeOptions } from "../size/options";
import { prefixLoadOf } from "../size/prefixes";
import { dynamoPython, replay } from "../size/replay";
import { type Sized, size } from "../size/size";
import { stackText } from "../size/stackFile";
import { chartLibraries, svgOf } from "../vega";

/** Rows of the table. */
const SHOWN = 12;

const DESCRIPTION = `Says which layouts serve a load within a promise, what they give, and what a million generated tokens cost: those that a
stack can have and that leave no GPU idle, by NVIDIA's AIConfigurator. It is installed when it is first used, runs on this
machine without a GPU, and takes half a minute for each engine on each accelerator. The numbers are predictions:
docs/sizing.md says what they leave out.`;

export const command = verb(
  "size",
  DESCRIPTION,
  exitCodes({
    ok: "there are layouts",
    failed: "AIConfigurator failed",
    notAsWanted: "no layout keeps the promise",
  }),
)
  .option("--model <name>", "the model, as on the hub")
  .option("--gpus <n>", "GPUs of the deployment: up to 8, or a multiple of 8")
  .option("--rate <n>", "instead of --gpus: requests a second that it has to carry")
  .option("--concurrency <n>", "instead of --gpus: requests at a time that it has to carry")
  .option("--isl <tokens>", `length of a prompt (default: ${LENGTHS.isl})`)
  .option("--osl <tokens>", `length of an answer, at least 2 (default: ${LENGTHS.osl})`)
  .option("--shared-prefix <tokens>", "how many of a prompt's tokens, its first ones, other prompts have too")
  .option("--prefixes <n>", "how many different such beginnings there are; with --shared-prefix")
  .option(
    "--trace <file>",
    "requests, from which lengths, and with hash_ids shared prefixes, are taken: JSON lines with input_length and output_length",
    fromCaller,
  )
  .option("--ttft <ms>", "longest time to the first token", "1000")
  .option("--tpot <ms>", "longest time for each of the others", "20")
  .option("--engine <name>", "an engine to try; may be repeated (default: all real ones)", collect)
  .option(
    "--accelerator <name>",
    `an accelerator to try, of ${Object.keys(ACCELERATORS).join(", ")}; may be repeated (default: all)`,
    collect,
  )
  .option("--price <dollars>", "of a GPU for an hour: 2.50, or H100=2.50; may be repeated", collect)
  .option(
    "--infra <name>",
    "where to run it, which SkyPilot's catalogs have prices of; may be repeated",
    collect,
  )
  .option(
    "--write <file>",
    "write a layout as a stack: Pulumi.NAME.yaml, which must not be there",
    fromCaller,
  )
  .option("--chart <file>", "draw what speed costs: NAME.svg, which must not be there", fromCaller)
  .option("--choose <n>", "which one, by its number in the table (default: 1)")
  .addOption(
    json(
      [
        "{layouts:[{engine,version,deployedVersion,accelerator,mode,roles,gpus,nodes,tokensPerSecondPerGpu,tokensPerSecondPerUser,ttft,tpot,requestsPerSecond,concurrency,dollarsPerHour,dollarsPerMillionTokens,spotDollarsPerHour,spotDollarsPerMillionTokens,cached?,config}],notes};",
        "version: of the engine whose data it is, deployedVersion: that a stack runs (null if not known); tokensPerSecondPerUser: of one client;",
        "concurrency: requests at a time that the numbers are with; ttft, tpot: milliseconds",
      ].join(" "),
    ),
  )
  .action(async ({ json: isJson, ...written }) => {
    const options = checkedOptions(written);
    const progress = new Progress();
    // A missing program is told before minutes of work.
    if (options.chart !== undefined) await chartLibraries();
    if (prefixLoadOf(options) !== undefined) await dynamoPython(progress.line);
    const sized = await size(options, {
      predict: (question) => predict(question, progress.line),
      costs: costsByCatalogs,
      say: progress.line,
    });
    const { layouts, notes } = await cachesOf(sized, options, progress);
    const all = layouts.map((layout) => asJson(layout, deployedVersion));
    if (isJson) console.log(JSON.stringify({ layouts: all, notes }, undefined, 2));
    else print(layouts, notes, options);
    if (options.chart !== undefined) await draw(sized.curve, options, options.chart);
    if (layouts.length === 0) process.exitCode = EXIT.notAsWanted;
    else if (options.write !== undefined) write(layouts, options, options.write);
  });

/** Where it is known what prompts share, the layouts that are shown are put in order by their caches. */
async function cachesOf(sized: Sized, options: SizeOptions, { line }: Progress) {
  const load = prefixLoadOf(options);
  if (load === undefined) return sized;
  const cached = await withCaches(
    sized.layouts.slice(0, SHOWN),
    { load, options },
    {
      replay: (question) => replay(question, line),
      estimates: (questions) => estimates(questions, line),
      say: line,
    },
  );
  return {
    layouts: [...cached.layouts, ...sized.layouts.slice(SHOWN)],
    notes: [...cached.notes, ...sized.notes],
  };
}

function print(layouts: readonly Priced[], notes: readonly string[], { need }: SizeOptions): void {
  const shown = layouts.slice(0, SHOWN);
  if (layouts.length === 0)
    console.log(
      `No layout keeps the promise. Allow more time (--ttft, --tpot), ${"gpus" in need ? "more GPUs (--gpus)" : "a smaller load"}, shorter prompts, or another accelerator.`,
    );
  else console.log(drawTable(shown));
  const more = layouts.length > SHOWN ? [`${counted(layouts.length - SHOWN, "more layout")}: --json`] : [];
  const lines = [...more, ...versionLines(shown, deployedVersion), ...notes];
  if (lines.length > 0) console.log(`\n${lines.join("\n")}`);
}

function write(layouts: readonly Priced[], options: SizeOptions, file: string): void {
  const { choose } = options;
  const layout = layouts[choose - 1];
  if (layout === undefined)
    throw new UsageProblem(
      `--choose ${choose}: there ${layouts.length === 1 ? "is" : "are"} only ${counted(layouts.length, "layout")}. Nothing was written.`,
    );
  const deployed = deployedVersion(layout.engine) ?? "another version";
  writeNew("--write", file, stackText(layout, options, { rank: choose, of: layouts.length, deployed }));
}

async function draw(curve: readonly Priced[], options: SizeOptions, file: string): Promise<void> {
  const isPriced = curve.some(({ dollarsPerMillionTokens }) => dollarsPerMillionTokens !== null);
  if (isPriced) writeNew("--chart", file, await svgOf(chartSpec(curve, options)));
  else process.stderr.write(`--chart ${file}: not drawn, for there is no layout with a price.\n`);
}

function writeNew(option: string, file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw new UsageProblem(overwrites(option, file));
    throw error;
  }
  process.stderr.write(`${file}\n`);
}
