/** Lengths of prompts and answers from a trace of requests: JSON lines, as Mooncake's and aiperf's. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { codeOf } from "../../lib/errors";
import { messageOf } from "../../lib/run";

/**
 * A request: https://github.com/kvcache-ai/Mooncake/blob/main/FAST25-release/README.md. `hash_ids` are the
 * blocks of its prompt: equal ones are equal beginnings.
 */
const requestSchema = z.object({
  input_length: z.int().positive(),
  output_length: z.int().positive(),
  hash_ids: z.array(z.number()).optional(),
});

export interface Trace {
  readonly file: string;
  readonly requests: number;
  /** Mean tokens of a prompt, and of an answer. */
  readonly isl: number;
  readonly osl: number;
  /** The part of the prompts' blocks that came before; undefined if the trace does not name blocks. */
  readonly seenBefore: number | undefined;
  /** Tokens of a block; undefined if not every request names its blocks, as Dynamo's replay needs it. */
  readonly blockTokens: number | undefined;
}

/** Mooncake's, and then those that engines have. */
const BLOCKS = [512, 16, 32, 64, 128, 256, 1024];

/** @throws Error with the line that is no request, or if there is none. */
export function readTrace(file: string): Trace {
  const lines = textOf(file).split("\n");
  const requests = lines.flatMap((line, index) =>
    line.trim() === "" ? [] : [requestOf(line, `line ${index + 1}`)],
  );
  if (requests.length === 0) throw new Error(`it has no request. ${WANTED}`);
  const mean = (lengths: readonly number[]) =>
    Math.max(1, Math.round(lengths.reduce((sum, length) => sum + length, 0) / lengths.length));
  const blocks = requests.flatMap(({ hash_ids = [] }) => hash_ids);
  return {
    file,
    requests: requests.length,
    isl: mean(requests.map(({ input_length }) => input_length)),
    osl: mean(requests.map(({ output_length }) => output_length)),
    seenBefore: blocks.length === 0 ? undefined : 1 - new Set(blocks).size / blocks.length,
    blockTokens: BLOCKS.find((size) => requests.every((request) => areBlocks(request, size))),
  };
}

/** Whether the blocks of a request are all of its prompt. */
function areBlocks({ input_length, hash_ids }: z.infer<typeof requestSchema>, size: number): boolean {
  return hash_ids?.length === Math.ceil(input_length / size);
}

const WANTED =
  'Wanted: lines such as {"input_length": 4000, "output_length": 500}, and hash_ids if there are any';

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const reasons = new Map([
      ["ENOENT", "there is no such file"],
      ["EISDIR", "it is a directory"],
    ]);
    throw new Error(`${reasons.get(codeOf(error) ?? "") ?? messageOf(error)}. ${WANTED}`);
  }
}

function requestOf(line: string, where: string) {
  try {
    return requestSchema.parse(JSON.parse(line));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).replace(/\s+/g, " ") : messageOf(error);
    throw new Error(`${where} is no request: ${why}. ${WANTED}`);
  }
}

/** One line for users. */
export function traceText({ requests, isl, osl, seenBefore, blockTokens }: Trace): string {
  const read = `trace: ${requests} requests; the means are taken: prompts of ${isl} tokens, answers of ${osl}`;
  if (seenBefore === undefined) return read;
  const before = `${read}; ${Math.round(seenBefore * 100)} % of the prompts' blocks had come before`;
  if (blockTokens !== undefined) return before;
  return `${before}, which these numbers do not count: not every request has hash_ids for its whole prompt, in blocks of ${BLOCKS.toSorted((a, b) => a - b).join(", ")} tokens`;
}
