/** What the tests of `size` ask, and what the real AIConfigurator has answered. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import type { SizeRecord } from "../../cli/size/best";
import { checkedOptions, type SizeOptions, type Written } from "../../cli/size/options";
import type { Sources } from "../../cli/size/size";
import { packageRoot } from "../../lib/root";

const ASKED: Written = {
  ttft: "1000",
  tpot: "20",
  model: "Qwen/Qwen3-8B",
  gpus: "16",
  accelerator: ["H100"],
};

export const sizeOptions = (written: Partial<Written> = {}): SizeOptions =>
  checkedOptions({ ...ASKED, ...written });

const RECORDS = join(packageRoot(), "test", "unit", "aiconfigurator");

const recordsIn = (directory: string): string[] =>
  readdirSync(directory)
    .filter((file) => file.endsWith(".json"))
    .map((file) => readFileSync(join(directory, file), "utf8"));

/** Of the model that {@link sizeOptions} asks about, and of others. */
export const sizeRecords = recordsIn(RECORDS).map((text) => JSON.parse(text) as SizeRecord);

/** Whoever asks something else than what was recorded gets no answer. */
export const recordedSources: Sources = {
  predict: async (question) => {
    const record = sizeRecords.find((one) => isDeepStrictEqual(one.question, question));
    if (record === undefined) throw new Error(`not recorded: ${JSON.stringify(question)}`);
    return record.said;
  },
  costs: async () => undefined,
  say: () => undefined,
};

/** The configuration of a written stack, as `plan` reads it. */
export function configIn(text: string): object {
  const { config } = parse(text) as { readonly config: Readonly<Record<string, unknown>> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.split(":")[1] ?? "", value]));
}
