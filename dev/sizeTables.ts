/**
 * `npx tsx dev/sizeTables.ts`: asks the real AIConfigurator for the tables of docs/sizing.md, and writes them
 * there. Minutes; to be run when its version changes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { predict } from "../cli/size/aiconfigurator";
import { drawTable } from "../cli/size/draw";
import { checkedOptions } from "../cli/size/options";
import { size } from "../cli/size/size";
import { Progress } from "../lib/progress";
import { packageRoot } from "../lib/root";

const PAGE = join(packageRoot(), "docs", "sizing.md");
const BEGIN = "<!-- begin: sizes, written by `npx tsx dev/sizeTables.ts` -->";
const END = "<!-- end: sizes -->";

/** Rows of a table. */
const SHOWN = 5;

/** The model, its name where AIConfigurator knows one of the same shape, and ms for each token. */
const MODELS = [
  { title: "Qwen3-8B", model: "Qwen/Qwen3-8B", tpot: 20 },
  { title: "Llama 3.1 and 3.3 70B", model: "meta-llama/Meta-Llama-3.1-70B", tpot: 40 },
  { title: "gpt-oss-120b", model: "openai/gpt-oss-120b", tpot: 20 },
  { title: "DeepSeek-R1", model: "deepseek-ai/DeepSeek-R1", tpot: 40 },
] as const;
const GPUS = [16, 32] as const;
const COMMON = { ttft: "1000", accelerator: ["H100"], price: ["2.50"] };

async function tableOf({ title, model, tpot }: (typeof MODELS)[number], gpus: number): Promise<string> {
  const { line } = new Progress();
  line(`${title}, ${gpus} GPUs`);
  const options = checkedOptions({ ...COMMON, model, tpot: String(tpot), gpus: String(gpus) });
  const sources = { predict: (question: Parameters<typeof predict>[0]) => predict(question, line) };
  const { layouts, notes } = await size(options, { ...sources, costs: async () => undefined, say: line });
  const heading = `**${title}, ${gpus} H100 (${tpot} ms for each token)**`;
  const table = layouts.length > 0 ? drawTable(layouts.slice(0, SHOWN)) : "No layout keeps the promise.";
  const absent = options.engines
    .filter((engine) => !layouts.some((layout) => layout.engine === engine))
    .flatMap((engine) => notes.filter((note) => note.startsWith(`${engine} on `)))
    .map((note) => `- ${note}`);
  return [heading, table, ...(absent.length > 0 ? [absent.join("\n")] : [])].join("\n\n");
}

async function write(): Promise<void> {
  const tables: string[] = [];
  for (const model of MODELS)
    for (const gpus of GPUS) {
      const table = await tableOf(model, gpus);
      console.log(`${table}\n`);
      tables.push(table);
    }
  const page = readFileSync(PAGE, "utf8");
  const [start, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (start < 0 || end < start) throw new Error("docs/sizing.md lacks the comments around the tables");
  writeFileSync(
    PAGE,
    `${page.slice(0, start + BEGIN.length)}\n\n${tables.join("\n\n")}\n\n${page.slice(end)}`,
  );
}

write().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
