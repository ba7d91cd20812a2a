/**
 * The tasks of models. The only definition: readiness check, smoke test, demo, load test and the `chat`
 * output use its requests, and the gateway its paths.
 *
 * Dynamo's kinds: `ModelType` in https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/llm/src/model_type.rs
 */
import { z } from "zod";
import { counted } from "../lib/words";

export const TASKS = ["chat", "completions", "embedding", "classify"] as const;
export type TaskName = (typeof TASKS)[number];

/** One kind of request, and how to tell an empty response: a status 200 alone proves nothing. */
export interface Task {
  /** Path below `/v1/`. */
  readonly path: string;
  /** Further paths below `/v1/` of the same model. */
  readonly also: readonly string[];
  /** Name of a request for users. */
  readonly noun: string;
  /** Whether it generates tokens: then responses can be streamed, and there is a KV cache to route by. */
  readonly generates: boolean;
  /** Body of a request. `maxTokens` limits the output; ignored by tasks that generate nothing. */
  readonly body: (model: string, text: string, maxTokens: number) => Readonly<Record<string, unknown>>;
  /** The content of a response. */
  readonly read: (answer: unknown) => Content;
}

/** The content of a response, as far as it proves that the model works. */
export interface Content {
  /** Whether the model has really computed something. */
  readonly isThere: boolean;
  /** Description: `8 tokens`, `a vector of 1024 numbers`. */
  readonly words: string;
}

const usage = z.object({ completion_tokens: z.number().default(0) }).default({ completion_tokens: 0 });
const text = z.string().nullish();
/** Of a message, or of a piece of a streamed one: what the model thinks has a field of its own. */
export interface Message {
  readonly content?: string | null | undefined;
  readonly reasoning_content?: string | null | undefined;
  /** With the frontend's `--reasoning-field-name reasoning`. */
  readonly reasoning?: string | null | undefined;
}

/** The text of a message; of a model that still thinks, what it thinks. */
export const textOf = (message: Message): string =>
  message.content || message.reasoning_content || message.reasoning || "";

const chatAnswer = z.object({
  usage,
  choices: z.array(
    z.object({ message: z.object({ content: text, reasoning_content: text, reasoning: text }).default({}) }),
  ),
});
const textAnswer = z.object({ usage, choices: z.array(z.object({ text })) });
const vectorAnswer = z.object({ data: z.array(z.object({ embedding: z.array(z.number()) })) });
const classAnswer = z.object({ data: z.array(z.object({ probs: z.array(z.number()) })) });

/** Number of tokens, and their text. */
function written(tokens: number, content: string | null | undefined): Content {
  const amount = counted(tokens, "token");
  if (!content) return { isThere: false, words: `${amount} and no text` };
  return tokens > 0 ? { isThere: true, words: amount } : { isThere: false, words: `${amount} and some text` };
}

function numbers(noun: string, values: readonly number[] | undefined): Content {
  if (values === undefined || values.length === 0) return { isThere: false, words: `no ${noun}` };
  const isThere = values.some((value) => value !== 0);
  return {
    isThere,
    words: `a ${noun} of ${counted(values.length, "number")}${isThere ? "" : ", all of them 0"}`,
  };
}

const NOTHING: Content = { isThere: false, words: "nothing of what it should have" };

const chat: Task = {
  path: "chat/completions",
  also: ["completions", "responses"],
  noun: "a chat completion",
  generates: true,
  body: (model, content, maxTokens) => ({
    model,
    messages: [{ role: "user", content }],
    max_tokens: maxTokens,
  }),
  read(answer) {
    const read = chatAnswer.safeParse(answer);
    if (!read.success) return NOTHING;
    const message = read.data.choices[0]?.message;
    return written(read.data.usage.completion_tokens, message && textOf(message));
  },
};

const completions: Task = {
  path: "completions",
  also: [],
  noun: "a completion",
  generates: true,
  body: (model, prompt, maxTokens) => ({ model, prompt, max_tokens: maxTokens }),
  read(answer) {
    const read = textAnswer.safeParse(answer);
    if (!read.success) return NOTHING;
    return written(read.data.usage.completion_tokens, read.data.choices[0]?.text);
  },
};

const embedding: Task = {
  path: "embeddings",
  also: [],
  noun: "an embedding",
  generates: false,
  body: (model, input) => ({ model, input }),
  read(answer) {
    const read = vectorAnswer.safeParse(answer);
    return read.success ? numbers("vector", read.data.data[0]?.embedding) : NOTHING;
  },
};

const classify: Task = {
  path: "classify",
  also: ["pooling"],
  noun: "a classification",
  generates: false,
  body: (model, input) => ({ model, input }),
  read(answer) {
    const read = classAnswer.safeParse(answer);
    return read.success ? numbers("distribution", read.data.data[0]?.probs) : NOTHING;
  },
};

/** The tasks by name. */
export const tasks: Readonly<Record<TaskName, Task>> = { chat, completions, embedding, classify };
