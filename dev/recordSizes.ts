/**
 * `npx tsx dev/recordSizes.ts [NAME…]`: asks the real AIConfigurator what the tests of `size` and of `bench`
 * need, and records its answers in test/unit/aiconfigurator. Minutes; to be run when its version changes,
 * then `npm run fix`.
 */
import { join } from "node:path";
import { LOADS } from "../cli/bench/loads";
import { questionOf as benchQuestion } from "../cli/bench/prediction";
import { estimate, estimates, predict, type Question } from "../cli/size/aiconfigurator";
import { type CacheRecord, withCaches } from "../cli/size/cached";
import { checkedOptions, type Written } from "../cli/size/options";
import { prefixLoadOf } from "../cli/size/prefixes";
import { replay } from "../cli/size/replay";
import { questionOf, size } from "../cli/size/size";
import { gpusPerReplica } from "../config/pools";
import { realEngines } from "../engines";
import { Progress } from "../lib/progress";
import type { DeployedLayout } from "../plan/outputs";
import { readRecord, SIZED_MODELS, writeRecord } from "./sizeRecords";

const DEFAULTS = { isl: "4000", osl: "500", ttft: "1000", tpot: "20", model: "Qwen/Qwen3-8B" } as const;

/** What the tests ask, by the name of its record: each engine for GPUs, one for loads and for a picture. */
function questions(): Readonly<Record<string, Question>> {
  const asked = (engine: string, written: Partial<Written>) =>
    questionOf(checkedOptions({ ...DEFAULTS, ...written }), engine, "H100");
  const all = SIZED_MODELS.flatMap(({ name, model, tpot, gpus }) =>
    gpus.flatMap((count) =>
      realEngines().map((engine): [string, Question] => [
        `${name}-${count}-${engine}`,
        asked(engine, { model, tpot: String(tpot), gpus: String(count) }),
      ]),
    ),
  );
  // Any will do for the rest; this one is asked for seconds.
  const [, one = ""] = realEngines();
  return {
    ...Object.fromEntries(all),
    [`qwen3-8b-rate-${one}`]: asked(one, { rate: "30" }),
    [`qwen3-8b-concurrency-${one}`]: asked(one, { concurrency: "300" }),
    [`qwen3-8b-chart-${one}`]: asked(one, { gpus: "16", price: ["2.5"], chart: "new.svg" }),
  };
}

/** A deployment, and how many clients were measured on it. */
interface Benched {
  readonly model: string;
  readonly engine: string;
  readonly accelerator: string;
  readonly pools: readonly Partial<DeployedLayout["pools"][number]>[];
  readonly clients: readonly number[];
}

const [ON_H200 = ""] = realEngines();
/** As in docs/benchmarks.md. */
const QWEN_ON_H200 = { model: DEFAULTS.model, engine: ON_H200, accelerator: "H200" } as const;

/** What the tests of `bench` ask, by the name of its record: clients that cannot be divided evenly, too. */
const BENCHED: Readonly<Record<string, Benched>> = {
  "h200-aggregated": {
    ...QWEN_ON_H200,
    pools: [{ role: "aggregated", replicas: 2 }],
    clients: [1, 3, 8, 16, 32, 64, 128],
  },
  "h200-disaggregated": {
    ...QWEN_ON_H200,
    pools: [{ role: "prefill" }, { role: "decode" }],
    clients: [16, 64, 128],
  },
  "deepseek-r1-16": {
    ...{ model: "deepseek-ai/DeepSeek-R1", engine: ON_H200, accelerator: "H100", clients: [16, 4096] },
    pools: [{ role: "aggregated", tensorParallel: 16, expertParallel: 16 }],
  },
};

/** Everything that `bench` has of it, with prompts and answers of the default lengths. */
function benched({ model, engine, accelerator, pools, clients }: Benched) {
  const one = { replicas: 1, tensorParallel: 1, dataParallel: 1, pipelineParallel: 1, accelerator };
  const layout = { model, pools: pools.map((pool) => ({ role: "aggregated" as const, ...one, ...pool })) };
  const gpus = layout.pools.reduce((sum, pool) => sum + pool.replicas * gpusPerReplica(pool), 0);
  const constant = (mean: string) => ({ mean: Number(mean), stddev: 0 });
  const lengths = { prompt: constant(DEFAULTS.isl), answer: constant(DEFAULTS.osl) };
  const points = clients.map((count) => ({ clients: count, runs: [] }));
  const load = { ...LOADS.chat, ...lengths, clients: [...clients] };
  return { target: { engine, layout, gpus }, measured: { load, points } };
}

async function recordEstimate(name: string, of: Benched, onProgress: Progress["line"]): Promise<void> {
  const { target, measured } = benched(of);
  const asked = benchQuestion(target, measured);
  if ("missing" in asked) throw new Error(asked.missing);
  const said = await estimate(asked.question, onProgress);
  writeRecord(join("estimates", name), { target, measured, asked, said });
}

const CACHES = "qwen3-8b-16-shared";

/** Rows of the table whose caches the tests look at. */
const CACHED = 4;

/**
 * What Dynamo's replay and AIConfigurator say of layouts that are recorded already, when prompts share
 * beginnings: more than fit in the cache of one worker.
 */
async function recordCaches(name: string, onProgress: Progress["line"]): Promise<void> {
  const [engine = ""] = realEngines();
  const written = { ...DEFAULTS, gpus: "16", engine: [engine], accelerator: ["H100"], price: ["2.5"] };
  const asked = { sharedPrefix: "3500", prefixes: "200" };
  const options = checkedOptions({ ...written, ...asked });
  const load = prefixLoadOf(options);
  if (load === undefined) throw new Error("no shared prefixes");
  const said = readRecord(`qwen3-8b-16-${engine}`).said;
  const sources = { predict: async () => said, costs: async () => undefined, say: onProgress };
  const { layouts } = await size(options, sources);
  const answers: Partial<CacheRecord> = {};
  await withCaches(
    layouts.slice(0, CACHED),
    { load, options },
    {
      say: onProgress,
      replay: async (question) => {
        const answer = await replay(question, onProgress);
        Object.assign(answers, { replayQuestion: question, replayed: answer });
        return answer;
      },
      estimates: async (questions) => {
        const all = await estimates(questions, onProgress);
        Object.assign(answers, { estimateQuestions: questions, estimated: all });
        return all;
      },
    },
  );
  writeRecord(join("caches", name), { ...asked, ...answers });
}

async function record(): Promise<void> {
  const { line } = new Progress();
  const names = process.argv.slice(2);
  const isWanted = (name: string) => names.length === 0 || names.includes(name);
  for (const [name, question] of Object.entries(questions()).filter(([name]) => isWanted(name))) {
    line(name);
    writeRecord(name, { question, said: await predict(question, line) });
  }
  for (const [name, of] of Object.entries(BENCHED).filter(([name]) => isWanted(name))) {
    line(name);
    await recordEstimate(name, of, line);
  }
  if (isWanted(CACHES)) await recordCaches(CACHES, line);
}

record().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
