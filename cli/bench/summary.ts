/**
 * Results of a run of `bin/dynamo-sky bench`, as `summary.json`; documented for programs in
 * docs/load-testing.md.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../../lib/run";
import { LOAD_NAMES } from "./loads";
import { METRIC_KEYS } from "./metrics";

export const SUMMARY_FILE = "summary.json";
/** Incremented when older readers would misread the file. */
const SCHEMA_VERSION = 1;

const tokenCount = z.object({ mean: z.number(), stddev: z.number() });
const values = z.partialRecord(z.enum(METRIC_KEYS), z.number());

const measuredSchema = z.object({
  requests: z.number(),
  errors: z.number(),
  error: z.string().optional(),
  seconds: z.number(),
  promptTokens: z.number().optional(),
  answerTokens: z.number().optional(),
  values,
  /** Seed of the prompts; with the same load aiperf generates the same prompts again. */
  seed: z.number(),
  /** Directory of aiperf's own files, below the run's. */
  artifacts: z.string(),
});

const predictionSchema = z.union([
  z.object({
    /** Who predicts. */
    by: z.string(),
    /** Of what: `8 × TP2`. */
    layout: z.string(),
    engine: z.string(),
    accelerator: z.string(),
    /** The engine's version whose data it is, and the one that is deployed. */
    version: z.string(),
    deployed: z.string(),
    /** Tokens of a prompt, those of them that a cache is taken to have, and those of an answer. */
    isl: z.number(),
    prefix: z.number(),
    osl: z.number(),
    points: z.array(
      z.object({
        clients: z.number(),
        /** Its times are means, which stand beside medians. */
        values: values.optional(),
        problem: z.string().optional(),
        warning: z.string().optional(),
      }),
    ),
  }),
  /** Why there is none. */
  z.object({ missing: z.string() }),
]);

const summarySchema = z.object({
  schema: z.literal(SCHEMA_VERSION),
  stack: z.string(),
  /** The user's label; by default the stack's name. */
  label: z.string(),
  startedAt: z.string(),
  seconds: z.number(),
  quick: z.boolean(),
  load: z.object({
    name: z.enum(LOAD_NAMES),
    summary: z.string(),
    prompt: tokenCount,
    prefix: z.object({ count: z.number(), tokens: z.number() }).optional(),
    answer: tokenCount,
    clients: z.array(z.number()),
    requestsPerClient: z.number(),
    leastRequests: z.number(),
    repeats: z.number(),
  }),
  deployment: z.object({
    endpoint: z.string(),
    model: z.string(),
    engine: z.string().optional(),
    /** Whether the engine is Dynamo's mocker, whose times and GPUs are simulated. */
    isSimulated: z.boolean(),
    gpus: z.number().optional(),
    nodes: z.number().optional(),
    programs: z.record(z.string(), z.number()),
  }),
  environment: z.object({
    dynamoSky: z.string(),
    aiperf: z.string(),
    dynamo: z.string(),
    node: z.string(),
    system: z.string(),
    cores: z.number(),
    memoryGiB: z.number(),
  }),
  /** By number of clients, ascending. */
  points: z.array(z.object({ clients: z.number(), runs: z.array(measuredSchema) })),
  /** What such a deployment should give; absent in earlier versions. */
  prediction: predictionSchema.optional(),
});

export type Summary = z.infer<typeof summarySchema>;
export type Prediction = z.infer<typeof predictionSchema>;
export type Point = Summary["points"][number];
export type Run = Point["runs"][number];

export function summaryText(summary: Omit<Summary, "schema">): string {
  return `${JSON.stringify({ schema: SCHEMA_VERSION, ...summary }, undefined, 2)}\n`;
}

/** @throws Error that describes the problem with the file. */
export function readSummary(directory: string): Summary {
  const file = join(directory, SUMMARY_FILE);
  try {
    return summarySchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new Error(
      `${file} is not a summary of \`bin/dynamo-sky bench\` that this version can read: ${why}`,
    );
  }
}
