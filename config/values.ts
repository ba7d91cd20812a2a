/**
 * Building blocks of the schema: each makes the zod type of one kind of value with the error message for a
 * wrong one, and each setting carries its documentation for the reference and the editor.
 */
import { distance } from "fastest-levenshtein";
import { z } from "zod";

/** Documentation of a setting, for the configuration reference and editors. */
export interface SettingDoc {
  /** Description. One or two sentences; names the flag that it sets, if any. */
  readonly about: string;
  /** Unit of the value: `GPUs`, `seconds`, `tokens`. */
  readonly unit?: string;
}

/** An entry of the registry below: the documentation, and the default in words. */
export interface SettingInfo extends SettingDoc {
  readonly defaultText: string;
}

/** Documentation of each setting, by its schema. */
export const settingInfo = z.registry<SettingInfo>();

/** The allowed values in words, by schema. */
export const allowedText = z.registry<{ readonly allowed: string }>();

type ErrorMap = (issue: { readonly code?: string | undefined; readonly input?: unknown }) => string;

const LONGEST_SHOWN = 80;

/** A value as JSON for a message, truncated if long. */
export function show(value: unknown): string {
  const text = asJson(value) ?? String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text;
}

function asJson(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    // Cyclic, or a bigint: not from a file, but a library's caller can pass it.
    return typeof value === "object" ? "an object" : undefined;
  }
}

/** `one, two, three`. */
export function listed(values: readonly (string | number)[]): string {
  return values.join(", ");
}

/**
 * The choice most similar to the text, if similar enough to be a typing error; undefined otherwise.
 * @param most Most typos of the keyboard. Default: one in three letters.
 */
export function nearest(
  written: string,
  choices: readonly string[],
  most = Math.max(1, Math.floor(written.length / 3)),
): string | undefined {
  const ranked = choices
    .map((choice) => ({ choice, typos: typos(written.toLowerCase(), choice.toLowerCase()) }))
    .sort((a, b) => a.typos - b.typos);
  const best = ranked[0];
  return best !== undefined && best.typos <= most ? best.choice : undefined;
}

/** Longer than any key or choice; beyond it nothing is similar, and comparing would be slow. */
const LONGEST_SLIP = 64;

/** Edit distance. A transposition of two neighbours counts as one change, since it is one typing error. */
function typos(written: string, choice: string): number {
  if (written.length > LONGEST_SLIP) return Number.POSITIVE_INFINITY;
  const swapped = Array.from({ length: Math.max(0, written.length - 1) }, (_, at) =>
    [written.slice(0, at), written.charAt(at + 1), written.charAt(at), written.slice(at + 2)].join(""),
  );
  return Math.min(distance(written, choice), ...swapped.map((other) => 1 + distance(other, choice)));
}

/**
 * Makes the message for a wrong value. `noun`: the expected value; `hint`: a further sentence for some
 * values.
 */
export const wrong =
  (noun: string, allowed: string, hint: (input: unknown) => string = () => ""): ErrorMap =>
  ({ code, input }) =>
    input === undefined
      ? `is required. Allowed: ${allowed}.`
      : `${show(input)} ${verdict(code, input, noun)}. Allowed: ${allowed}.${hint(input)}`;

function verdict(code: string | undefined, input: unknown, noun: string): string {
  const isList = Array.isArray(input);
  if (code === "too_small" && (isList || typeof input === "number"))
    return isList ? "is too short" : "is too small";
  return code === "too_big" && typeof input === "number" ? "is too big" : `is not ${noun}`;
}

function unquoteHint(input: unknown): string {
  if (typeof input !== "string" || input.trim() === "" || !Number.isFinite(Number(input))) return "";
  return ` Write it without quotes: ${Number(input)}.`;
}

/** For a list or an object given as a string that is not valid JSON. */
function jsonHint(input: unknown): string {
  return typeof input === "string" && /^\s*[[{]/.test(input) ? " It is not valid JSON." : "";
}

function quoteHint(input: unknown): string {
  return typeof input === "number" || typeof input === "boolean" ? ` Write it in quotes: "${input}".` : "";
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function range(min: number, max: number | undefined): string {
  return max === undefined ? `${min} or more` : `${min} to ${max}`;
}

/** A whole number. */
export function whole(limits: { min: number; max?: number; noun?: string }) {
  const { min, max, noun = "a whole number" } = limits;
  const allowed = range(min, max);
  const error = wrong(noun, allowed, unquoteHint);
  const schema = z.int({ error }).min(min, { error });
  return (max === undefined ? schema : schema.max(max, { error })).register(allowedText, {
    allowed: `whole number, ${allowed}`,
  });
}

/** A number that may have decimals. `above` is an exclusive lower limit. */
export function decimal(limits: { min: number; max?: number; above?: boolean; noun?: string }) {
  const { min, max, above = false, noun = "a number" } = limits;
  const upper = max === undefined ? "" : `, at most ${max}`;
  const allowed = above ? `above ${min}${upper}` : range(min, max);
  const error = wrong(noun, allowed, unquoteHint);
  const number = z.number({ error });
  const bounded = above ? number.gt(min, { error }) : number.gte(min, { error });
  return (max === undefined ? bounded : bounded.lte(max, { error })).register(allowedText, {
    allowed: `number, ${allowed}`,
  });
}

/** An unprivileged network port. */
export function port() {
  return whole({ min: 1024, max: 65535, noun: "a port" });
}

/** true or false. */
export function flag() {
  const error: ErrorMap = ({ input }) => {
    const hint = input === "true" || input === "false" ? ` Write it without quotes: ${input}.` : "";
    return `${show(input)} is neither true nor false.${hint}`;
  };
  return z.boolean({ error }).register(allowedText, { allowed: "true, false" });
}

/** Shortest beginning of a word that is taken for it. */
const SHORTEST = 3;

/** The only choice that the text is the beginning of: `agg` of `aggregated`. */
function begun(written: string, choices: readonly string[]): string | undefined {
  const [only, ...others] = choices.filter((choice) => choice.startsWith(written.toLowerCase()));
  return written.length >= SHORTEST && others.length === 0 ? only : undefined;
}

/** What follows a message; empty without a proposal. */
export function didYouMean(near: string | undefined): string {
  return near === undefined ? "" : ` Did you mean ${show(near)}?`;
}

/**
 * One of several words. `others`: what it is called elsewhere; `absent`: why one that is known is not there.
 */
export function oneOf<const T extends readonly [string, ...string[]]>(
  noun: string,
  choices: T,
  others: Readonly<Record<string, T[number]>> = {},
  absent: Readonly<Record<string, string>> = {},
) {
  const allowed = listed(choices);
  const error = wrong(noun, allowed, (input) => {
    if (typeof input !== "string") return "";
    if (Object.hasOwn(absent, input)) return ` ${absent[input]}`;
    const near =
      (Object.hasOwn(others, input) ? others[input] : undefined) ??
      begun(input, choices) ??
      nearest(input, choices);
    return didYouMean(near);
  });
  return z.enum(choices, { error }).register(allowedText, { allowed });
}

/**
 * Text of a certain form: a pattern, or a test if a pattern is not enough. Without either: any non-blank
 * text.
 */
export function text(form: {
  noun: string;
  allowed: string;
  pattern?: RegExp;
  accepts?: (value: string) => boolean;
  hint?: (value: string) => string;
}) {
  const { noun, allowed, accepts, hint, pattern = accepts === undefined ? /\S/ : undefined } = form;
  const error = wrong(noun, allowed, (input) =>
    typeof input === "string" ? (hint?.(input) ?? "") : quoteHint(input),
  );
  const base = z.string({ error });
  const matched = pattern === undefined ? base : base.regex(pattern, { error });
  return (accepts === undefined ? matched : matched.refine(accepts, { error })).register(allowedText, {
    allowed,
  });
}

/**
 * A secret. Only its presence is passed on (`true`); its value is in no message and no plan. `true` is
 * accepted too, for callers that keep the value elsewhere.
 */
export function token() {
  const allowed = "text without spaces";
  const message = `not a token (its value is not shown). Allowed: ${allowed}.`;
  const secret = z
    .string()
    .regex(/^\S+$/)
    .transform(() => true as const);
  return z.union([secret, z.literal(true)], { error: () => message }).register(allowedText, { allowed });
}

/**
 * A password, handled like {@link token}: text on one line, which may have spaces, or a key file in JSON, as
 * Google's registries take one. SkyPilot carries it in a block of YAML, which a space at its start breaks.
 */
export function password() {
  const allowed = "text on one line without spaces around it, or a whole key file in JSON";
  const message = `not a password (its value is not shown). Allowed: ${allowed}.`;
  const isLine = (value: string) =>
    /^\S([^\p{Cc}\p{Cs}\u2028\u2029]*\S)?$/u.test(value) && !/[\p{Cc}\u2028\u2029]/u.test(value);
  const secret = z
    .string()
    .refine((value) => isLine(value) || isKeyFile(value))
    .transform(() => true as const);
  return z.union([secret, z.literal(true)], { error: () => message }).register(allowedText, { allowed });
}

function isKeyFile(value: string): boolean {
  if (!/^\{[^\0\u0085\u2028\u2029]*\}\s*$/.test(value)) return false;
  try {
    return typeof JSON.parse(value) === "object";
  } catch {
    return false;
  }
}

/** A private key, handled like {@link token}: only its presence is passed on. */
export function privateKey() {
  const allowed = "a private key in PEM, without a passphrase";
  const message = `not a private key (its value is not shown). Allowed: ${allowed}.`;
  const secret = z
    .string()
    .regex(/^\s*-----BEGIN (RSA |EC )?PRIVATE KEY-----/)
    .transform(() => true as const);
  return z.union([secret, z.boolean()], { error: () => message }).register(allowedText, { allowed });
}

/** A certificate; messages do not show an invalid value, which may be the key. */
export function certificateText() {
  const allowed = "PEM, the server's certificate first and those that it was signed with after it";
  const message = `not a certificate (its value is not shown). Allowed: ${allowed}.`;
  return z
    .string({ error: () => message })
    .regex(/^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/, {
      error: () => message,
    })
    .register(allowedText, { allowed });
}

/** A list with items of one kind. */
export function list<S extends z.ZodType>(noun: string, item: S, least = 0) {
  const allowed = least === 0 ? `a list of ${noun}` : `a list of ${noun}, at least ${least}`;
  const error = wrong("a list", allowed, jsonHint);
  const schema = z.array(item, { error });
  return (least === 0 ? schema : schema.min(least, { error })).register(allowedText, { allowed });
}

/** Names with values, such as environment variables. */
export function dictionary<S extends z.ZodType>(
  noun: string,
  key: { noun: string; allowed: string; pattern: RegExp },
  value: S,
) {
  const allowed = `an object with ${noun}`;
  const keyError = wrong(key.noun, key.allowed);
  const name = z.string().regex(key.pattern, { error: keyError });
  return z
    .record(name, value, { error: wrong("an object", allowed, jsonHint) })
    .register(allowedText, { allowed });
}

/** Environment variables: `{ NCCL_DEBUG: "INFO" }`. */
export function environment() {
  return dictionary(
    "environment variables and their values as text",
    {
      noun: "the name of an environment variable",
      allowed: "letters, digits and _, not starting with a digit",
      pattern: /^[A-Za-z_]\w*$/,
    },
    // The value may be a misplaced secret: the message shows its type only.
    z
      .string({ error: ({ input }) => `${kindOf(input)} is not text. Allowed: text. Write it in quotes.` })
      .register(allowedText, { allowed: "text" }),
  );
}

/** A group of settings. Unknown keys are rejected. */
export function section<T extends z.ZodRawShape>(shape: T) {
  const allowed = "an object with settings";
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys" ? undefined : wrong("an object", allowed, jsonHint)(issue),
  });
}

/** A setting with a default, in the user's notation; `defaultText` describes it if it is long. */
export function setting<S extends z.ZodType>(
  schema: S,
  doc: SettingDoc & { default: z.input<S>; defaultText?: string },
) {
  const { default: value, defaultText = show(value), ...rest } = doc;
  const made = schema.prefault(value).describe(described(rest));
  settingInfo.add(made, { ...rest, defaultText });
  return made;
}

/** An optional setting; `absent` describes what happens without it. */
export function optional<S extends z.ZodType>(schema: S, doc: SettingDoc & { absent: string }) {
  const { absent, ...rest } = doc;
  const made = schema.optional().describe(`${described(rest)} Default: ${absent}.`);
  settingInfo.add(made, { ...rest, defaultText: absent });
  return made;
}

/** A required setting. */
export function required<S extends z.ZodType>(schema: S, doc: SettingDoc) {
  const made = schema.describe(described(doc));
  settingInfo.add(made, { ...doc, defaultText: "none: must be given" });
  return made;
}

/** For a group whose settings all have defaults. */
export const ALL_DEFAULTS = { default: {}, defaultText: "the defaults of its settings" };

function described(doc: SettingDoc): string {
  return doc.unit === undefined ? doc.about : `${doc.about} Unit: ${doc.unit}.`;
}
