/** One run of aiperf: its configuration from a load, the run itself, and its results. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { CommandFailed, run } from "../../lib/run";
import { type Load, requestsOf, type TokenCount, warmUpsOf } from "./loads";
import { firstError, type Measured, readExport } from "./metrics";
import type { BenchTarget } from "./target";

/** Variable with aiperf's key; aiperf removes it from the environment of its child processes. */
const KEY_VARIABLE = "OPENAI_API_KEY";
const EXPORT_FILE = "profile_export_aiperf.json";
export const RECORDS_FILE = "profile_export.jsonl";
const CONFIG_FILE = "aiperf.yaml";
const CA_FILE = "ca.pem";
/** A request that takes longer counts as failed. */
const REQUEST_SECONDS = 600;
const POLL_MS = 10_000;

/** Input of one run of aiperf. */
export interface ProfileSpec {
  readonly load: Load;
  readonly clients: number;
  readonly seed: number;
  /** Name of a tokenizer in the hub's cache, or a directory. */
  readonly tokenizer: string;
  /** Output directory of aiperf. */
  readonly directory: string;
}

/** How to run aiperf on this machine. */
export interface Profiler {
  readonly command: string;
  /** `HF_HOME` with the tokenizer. */
  readonly hfHome: string;
  /** After this many seconds it is stopped and counts as failed. */
  readonly limitSeconds: number;
  /** Called every ten seconds with the number of completed requests. */
  readonly onRequests: (done: number, of: number) => void;
}

/**
 * aiperf's own configuration: https://github.com/ai-dynamo/aiperf, `aiperf config`. Does not contain the key.
 */
export function aiperfConfig(target: BenchTarget, spec: ProfileSpec): string {
  const { load, clients } = spec;
  const warmUps = warmUpsOf(load, clients);
  const requests = requestsOf(load, clients);
  const count = ({ mean, stddev }: TokenCount) => (stddev === 0 ? mean : { mean, stddev });
  const phase = { type: "concurrency", concurrency: clients };
  return stringify({
    schemaVersion: "2.0",
    randomSeed: spec.seed,
    benchmark: {
      model: target.model,
      endpoint: {
        urls: [target.endpoint],
        // Generating tasks have the same names in aiperf.
        type: target.task,
        streaming: true,
        timeout: REQUEST_SECONDS,
        // The server's count is the engine's; another tokenizer may count differently.
        useServerTokenCount: true,
        extra: { ignore_eos: true },
        ...(target.apiKey === undefined ? {} : { apiKey: `\${${KEY_VARIABLE}}` }),
      },
      tokenizer: { name: spec.tokenizer },
      datasets: [
        {
          name: load.name,
          type: "synthetic",
          // One per request: a repeated prompt would be found in a cache.
          entries: warmUps + requests,
          prompts: { isl: count(load.prompt), osl: count(load.answer) },
          ...(load.prefix && { prefixPrompts: { poolSize: load.prefix.count, length: load.prefix.tokens } }),
        },
      ],
      phases: [
        { name: "warmup", kind: "warmup", excludeFromResults: true, ...phase, requests: warmUps },
        { name: "profiling", kind: "profiling", ...phase, requests },
      ],
      artifacts: { dir: spec.directory },
      // Dynamo's metrics are collected by Prometheus, and the GPUs are on other machines.
      gpuTelemetry: { enabled: false },
      serverMetrics: { enabled: false },
      runtime: { ui: "none" },
    },
  });
}

/**
 * Runs aiperf once.
 * @throws Error with the reason and the path of its log; if every request failed, with the first error.
 */
export async function profile(target: BenchTarget, spec: ProfileSpec, profiler: Profiler): Promise<Measured> {
  await mkdir(spec.directory, { recursive: true });
  const config = join(spec.directory, CONFIG_FILE);
  await writeFile(config, aiperfConfig(target, spec));
  if (target.ca !== undefined) await writeFile(join(spec.directory, CA_FILE), target.ca);
  const total = warmUpsOf(spec.load, spec.clients) + requestsOf(spec.load, spec.clients);
  const records = join(spec.directory, RECORDS_FILE);
  // aiperf leaves a directory in the temporary one.
  const scratch = await mkdtemp(join(tmpdir(), "aiperf-"));
  const timer = setInterval(async () => profiler.onRequests(await linesOf(records), total), POLL_MS);
  try {
    await run(profiler.command, ["profile", "--config", config], {
      env: { ...aiperfEnvironment(target, spec, profiler), TMPDIR: scratch },
      timeoutSeconds: profiler.limitSeconds,
    });
  } catch (error) {
    throw await explained(error, spec, records);
  } finally {
    clearInterval(timer);
    await rm(scratch, { recursive: true, force: true });
  }
  return readExport(await readFile(join(spec.directory, EXPORT_FILE), "utf8"), target.gpus);
}

function aiperfEnvironment({ apiKey, ca }: BenchTarget, { directory }: ProfileSpec, { hfHome }: Profiler) {
  return {
    // aiperf starts many processes with many imports: with cached bytecode they start in a third of the time.
    PYTHONDONTWRITEBYTECODE: undefined,
    HF_HOME: hfHome,
    // The tokenizer is cached: no hub requests during the measurement.
    HF_HUB_OFFLINE: "1",
    TRANSFORMERS_OFFLINE: "1",
    ...(apiKey === undefined ? {} : { [KEY_VARIABLE]: apiKey }),
    // Python's ssl reads it:
    // https://docs.python.org/3/library/ssl.html#ssl.SSLContext.set_default_verify_paths
    ...(ca === undefined ? {} : { SSL_CERT_FILE: join(directory, CA_FILE) }),
  };
}

async function explained(error: unknown, spec: ProfileSpec, records: string): Promise<unknown> {
  if (!(error instanceof CommandFailed)) return error;
  const reason = firstError(await readFile(records, "utf8").catch(() => ""));
  const log = join(spec.directory, "logs", "aiperf.log");
  return new Error(
    reason === undefined
      ? `${error.message}\nIts log: ${log}`
      : `Every request failed, the first with: ${reason}\nThe log of aiperf: ${log}`,
  );
}

async function linesOf(file: string): Promise<number> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").length - 1;
}
