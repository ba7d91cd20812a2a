/** The tables of docs/sizing.md. */
import { drawTable } from "../cli/size/draw";
import { checkedOptions } from "../cli/size/options";
import { type Sources, size } from "../cli/size/size";
import { recordedSources, SIZED_MODELS, sizeRecords } from "./sizeRecords";

const BEGIN = "<!-- begin: sizes, written by `npx tsx dev/sizeTables.ts` -->";
const END = "<!-- end: sizes -->";

/** Rows of a table. */
const SHOWN = 5;
const GPUS = [16, 32] as const;
const COMMON = { ttft: "1000", accelerator: ["H100"], price: ["2.50"] };

type Model = (typeof SIZED_MODELS)[number];

/** The page with the tables that `size` draws of AIConfigurator's recorded answers. */
export async function withTables(page: string): Promise<string> {
  const [start, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (start < 0 || end < start) throw new Error("docs/sizing.md lacks the comments around the tables");
  const sources = recordedSources(sizeRecords());
  const tables: string[] = [];
  for (const model of SIZED_MODELS) for (const gpus of GPUS) tables.push(await tableOf(model, gpus, sources));
  return `${page.slice(0, start + BEGIN.length)}\n\n${tables.join("\n\n")}\n\n${page.slice(end)}`;
}

async function tableOf({ title, model, tpot }: Model, gpus: number, sources: Sources): Promise<string> {
  const options = checkedOptions({ ...COMMON, model, tpot: String(tpot), gpus: String(gpus) });
  const { layouts, notes } = await size(options, sources);
  const heading = `**${title}, ${gpus} H100 (${tpot} ms for each token)**`;
  const table = layouts.length > 0 ? drawTable(layouts.slice(0, SHOWN)) : "No layout keeps the promise.";
  const absent = options.engines
    .filter((engine) => !layouts.some((layout) => layout.engine === engine))
    .flatMap((engine) => notes.filter((note) => note.startsWith(`${engine} on `)))
    .map((note) => `- ${note}`);
  return [heading, table, ...(absent.length > 0 ? [absent.join("\n")] : [])].join("\n\n");
}
