/** Which models `size` was asked about, and what the real AIConfigurator has answered: recordSizes.ts. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { SizeRecord } from "../cli/size/best";
import type { Sources } from "../cli/size/size";
import { packageRoot } from "../lib/root";

const RECORDS = join(packageRoot(), "test", "unit", "aiconfigurator");

interface SizedModel {
  /** Of its records: `NAME-GPUS-ENGINE.json`. */
  readonly name: string;
  /** Of its tables. */
  readonly title: string;
  /** As AIConfigurator knows it. */
  readonly model: string;
  /** Milliseconds for each token that are promised. */
  readonly tpot: number;
  /** Numbers of H100 whose best layouts stacks without pools get. */
  readonly gpus: readonly number[];
}

export const SIZED_MODELS: readonly SizedModel[] = [
  { name: "qwen3-8b", title: "Qwen3-8B", model: "Qwen/Qwen3-8B", tpot: 20, gpus: [8, 16, 32] },
  {
    ...{ name: "llama-70b", title: "Llama 3.1 and 3.3 70B", model: "meta-llama/Meta-Llama-3.1-70B" },
    ...{ tpot: 40, gpus: [8, 16, 32] },
  },
  {
    ...{ name: "gpt-oss-120b", title: "gpt-oss-120b", model: "openai/gpt-oss-120b" },
    ...{ tpot: 20, gpus: [8, 16, 32] },
  },
  // It does not fit on eight.
  {
    ...{ name: "deepseek-r1", title: "DeepSeek-R1", model: "deepseek-ai/DeepSeek-R1" },
    ...{ tpot: 40, gpus: [16, 32] },
  },
];

/** In the order of their names. */
export function sizeRecords(): SizeRecord[] {
  const files = readdirSync(RECORDS).filter((file) => file.endsWith(".json"));
  return files.toSorted().map((file) => readRecord(file.replace(/\.json$/, "")));
}

export function readRecord(name: string): SizeRecord {
  return JSON.parse(readFileSync(join(RECORDS, `${name}.json`), "utf8")) as SizeRecord;
}

export function writeRecord(name: string, record: object): void {
  writeFileSync(join(RECORDS, `${name}.json`), `${JSON.stringify(record, undefined, 1)}\n`);
}

/** Whoever asks something else than what was recorded gets no answer; prices are those that are said. */
export function recordedSources(records: readonly SizeRecord[]): Sources {
  return {
    predict: async (question) => {
      const record = records.find((one) => isDeepStrictEqual(one.question, question));
      if (record === undefined) throw new Error(`not recorded: ${JSON.stringify(question)}`);
      return record.said;
    },
    costs: async () => undefined,
    say: () => undefined,
  };
}
