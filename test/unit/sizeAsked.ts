/** What the tests of `size` ask, and what the real AIConfigurator has answered. */
import { parse } from "yaml";
import { checkedOptions, type SizeOptions, type Written } from "../../cli/size/options";
import type { Sources } from "../../cli/size/size";
import { sizeRecords as readRecords, recordedSources as recordedSourcesOf } from "../../dev/sizeRecords";

const ASKED: Written = {
  ttft: "1000",
  tpot: "20",
  model: "Qwen/Qwen3-8B",
  gpus: "16",
  accelerator: ["H100"],
};

export const sizeOptions = (written: Partial<Written> = {}): SizeOptions =>
  checkedOptions({ ...ASKED, ...written });

/** Of the model that {@link sizeOptions} asks about, and of others. */
export const sizeRecords = readRecords();

export const recordedSources: Sources = recordedSourcesOf(sizeRecords);

/** The configuration of a written stack, as `plan` reads it. */
export function configIn(text: string): object {
  const { config } = parse(text) as { readonly config: Readonly<Record<string, unknown>> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.split(":")[1] ?? "", value]));
}
