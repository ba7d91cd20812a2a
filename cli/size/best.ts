/** What `size` puts first, as an entry of the table of `plan/bestLayouts.json`. */
import type { BestLayout } from "../../plan/usualPools";
import { ACCELERATORS } from "./accelerators";
import type { Question, Said } from "./aiconfigurator";
import { layoutText } from "./draw";
import { stackNames } from "./models";
import { checkedOptions } from "./options";
import { size } from "./size";

/** An answer of AIConfigurator, recorded by `npx tsx dev/recordSizes.ts`. */
export interface SizeRecord {
  readonly question: Question;
  readonly said: Said;
}

/** The best layout of each recorded question about GPUs, in their order. */
export async function bestLayouts(records: readonly SizeRecord[]): Promise<BestLayout[]> {
  const found: BestLayout[] = [];
  for (const record of records) found.push(...(await bestOf(record)));
  return found;
}

async function bestOf({ question, said }: SizeRecord): Promise<BestLayout[]> {
  const { model, need, isl, osl, ttft, tpot, curve, pairs } = question;
  const [pair] = pairs;
  if (pair === undefined || !("gpus" in need) || curve) return [];
  const accelerator = Object.keys(ACCELERATORS).find((name) => ACCELERATORS[name] === pair.system) ?? "";
  const options = checkedOptions({
    ...{ model, isl: String(isl), osl: String(osl), ttft: String(ttft), tpot: String(tpot) },
    ...{ gpus: String(need.gpus), engine: [pair.backend], accelerator: [accelerator] },
  });
  const sources = { predict: async () => said, costs: async () => undefined, say: () => undefined };
  const [best] = (await size(options, sources)).layouts;
  if (best === undefined) return [];
  const { cluster, pools = [] } = best.config;
  const { nodes = 1, gpusPerNode = need.gpus } = cluster ?? {};
  const where = { engine: best.engine, accelerator, nodes, gpusPerNode };
  const layout = { ...where, isl, osl, ttft, tpot, layout: layoutText(best), pools };
  return stackNames(model).map((name) => ({ model: name, ...layout }));
}
