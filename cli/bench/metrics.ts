/** The metrics of a run, and their names in aiperf's export. Pure. */
import { z } from "zod";

/** https://github.com/ai-dynamo/aiperf: an aggregate has `avg`, a distribution its percentiles too. */
const statisticSchema = z.object({
  avg: z.number().nullish(),
  p50: z.number().nullish(),
  p90: z.number().nullish(),
  p99: z.number().nullish(),
});
type Statistic = z.infer<typeof statisticSchema>;

const exportSchema = z.object({
  aiperf_version: z.string(),
  time_to_first_token: statisticSchema,
  inter_token_latency: statisticSchema.optional(),
  request_latency: statisticSchema,
  output_token_throughput: statisticSchema,
  output_token_throughput_per_user: statisticSchema.optional(),
  request_throughput: statisticSchema,
  input_sequence_length: statisticSchema.optional(),
  output_sequence_length: statisticSchema.optional(),
  request_count: statisticSchema,
  error_request_count: statisticSchema.optional(),
  benchmark_duration: statisticSchema,
  was_cancelled: z.boolean().nullish(),
  error_summary: z
    .array(
      z.object({
        count: z.number(),
        error_details: z.object({ code: z.number().nullish(), message: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
});

/** A metric of one or several runs. */
export interface Metric {
  readonly key: MetricKey;
  readonly title: string;
  readonly unit: string;
  /** Which direction is better. */
  readonly better: "lower" | "higher";
}

export const METRIC_KEYS = [
  "ttftP50",
  "ttftP90",
  "ttftP99",
  "itlP50",
  "itlP90",
  "itlP99",
  "latencyP50",
  "latencyP99",
  "tokensPerSecond",
  "requestsPerSecond",
  "tokensPerSecondPerUser",
  "tokensPerSecondPerGpu",
] as const;
export type MetricKey = (typeof METRIC_KEYS)[number];

const lower = (title: string): Omit<Metric, "key"> => ({ title, unit: "ms", better: "lower" });
const higher = (title: string, unit: string): Omit<Metric, "key"> => ({ title, unit, better: "higher" });

const TITLES: Readonly<Record<MetricKey, Omit<Metric, "key">>> = {
  /** Time to first token. */
  ttftP50: lower("TTFT p50"),
  ttftP90: lower("TTFT p90"),
  ttftP99: lower("TTFT p99"),
  /** Inter-token latency: time after the first token, divided by the number of tokens after it. */
  itlP50: lower("ITL p50"),
  itlP90: lower("ITL p90"),
  itlP99: lower("ITL p99"),
  /** From sending a request to its last token. */
  latencyP50: lower("latency p50"),
  latencyP99: lower("latency p99"),
  /** Output tokens of all requests. */
  tokensPerSecond: higher("throughput", "tokens/s"),
  requestsPerSecond: higher("requests", "requests/s"),
  /** Speed for one client: the mean over the requests of 1 / ITL. */
  tokensPerSecondPerUser: higher("speed", "tokens/s/user"),
  /** {@link tokensPerSecond} divided by the number of workers' GPUs. */
  tokensPerSecondPerGpu: higher("efficiency", "tokens/s/GPU"),
};

export const METRICS: readonly Metric[] = METRIC_KEYS.map((key) => ({ key, ...TITLES[key] }));

export function metric(key: MetricKey): Metric {
  return { key, ...TITLES[key] };
}

/** One run of aiperf, with one number of clients. */
export interface Measured {
  /** Successful requests, without the warm-up. */
  readonly requests: number;
  /** Failed requests. */
  readonly errors: number;
  /** The most frequent error. */
  readonly error?: string | undefined;
  /** Duration of the measured requests, in seconds. */
  readonly seconds: number;
  /** Mean tokens of a prompt and of a response, as counted by the server. */
  readonly promptTokens?: number | undefined;
  readonly answerTokens?: number | undefined;
  readonly values: Readonly<Partial<Record<MetricKey, number>>>;
}

/**
 * Parses `profile_export_aiperf.json`.
 * @param gpus Number of GPUs, by which the throughput is divided; if undefined, that metric is omitted.
 * @throws Error that names missing data.
 */
export function readExport(text: string, gpus?: number): Measured {
  const parsed = exportSchema.safeParse(JSON.parse(text));
  if (!parsed.success)
    throw new Error(`aiperf's export is not as expected:\n${z.prettifyError(parsed.error)}`);
  const found = parsed.data;
  const tokensPerSecond = found.output_token_throughput.avg ?? undefined;
  const perGpu = gpus === undefined || tokensPerSecond === undefined ? undefined : tokensPerSecond / gpus;
  const errors = found.error_request_count?.avg ?? 0;
  return {
    requests: found.request_count.avg ?? 0,
    errors,
    ...(errors > 0 ? { error: commonError(found.error_summary ?? []) } : {}),
    seconds: found.benchmark_duration.avg ?? 0,
    promptTokens: found.input_sequence_length?.avg ?? undefined,
    answerTokens: found.output_sequence_length?.avg ?? undefined,
    values: present({
      ...percentiles("ttft", found.time_to_first_token),
      ...percentiles("itl", found.inter_token_latency),
      latencyP50: found.request_latency.p50,
      latencyP99: found.request_latency.p99,
      tokensPerSecond,
      requestsPerSecond: found.request_throughput.avg,
      tokensPerSecondPerUser: found.output_token_throughput_per_user?.avg,
      tokensPerSecondPerGpu: perGpu,
    }),
  };
}

function percentiles<Name extends "ttft" | "itl">(name: Name, statistic: Statistic | undefined) {
  return {
    [`${name}P50`]: statistic?.p50,
    [`${name}P90`]: statistic?.p90,
    [`${name}P99`]: statistic?.p99,
  };
}

function present(values: Readonly<Record<string, number | null | undefined>>): Measured["values"] {
  return Object.fromEntries(
    METRIC_KEYS.flatMap((key) => {
      const value = values[key];
      return typeof value === "number" && Number.isFinite(value) ? [[key, value]] : [];
    }),
  );
}

type ErrorSummary = NonNullable<z.infer<typeof exportSchema>["error_summary"]>;

function commonError(summary: ErrorSummary): string {
  const [first] = summary.toSorted((a, b) => b.count - a.count);
  return errorText(first?.error_details?.code, first?.error_details?.message);
}

const ERROR_LENGTH = 300;

function errorText(code: number | null | undefined, message: string | null | undefined): string {
  const words = [code, message].filter((part) => part !== null && part !== undefined);
  return words.length === 0 ? "no reason given" : words.join(": ").slice(0, ERROR_LENGTH);
}

const recordSchema = z.object({
  error: z.object({ code: z.number().nullish(), message: z.string().nullish() }).nullish(),
});

/**
 * The first error in aiperf's records (`profile_export.jsonl`), for runs without a successful request: aiperf
 * writes no summary of those.
 */
export function firstError(records: string): string | undefined {
  for (const line of records.split("\n")) {
    const { error } = parseRecord(line);
    if (error) return errorText(error.code, error.message);
  }
  return undefined;
}

function parseRecord(line: string): z.infer<typeof recordSchema> {
  try {
    return recordSchema.parse(JSON.parse(line));
  } catch {
    // The last line of a stopped run may be truncated.
    return {};
  }
}
