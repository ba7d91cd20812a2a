/**
 * `ready`: waits until every planned worker is registered and a request returns content (tokens, a vector).
 */
import { resolve } from "node:path";
import { tasks } from "../../config/task";
import { stateDir } from "../../lib/dirs";
import { UserError } from "../../lib/errors";
import { callHttp, inWords } from "../../lib/http";
import { causeIn, indented, type ProgramLog, tail } from "../../lib/logs";
import { readyPath } from "../../lib/modelPath";
import { poll } from "../../lib/poll";
import { defineVerb, type VerbContext } from "../../lib/verb";
import { proveCluster } from "../../local/proven";
import { type ReadyInput, readySchema } from "../../plan/readySpec";
import { WORKER_ROLES, type WorkerRole } from "../../plan/types";
import { causesOf, finalCause, nextOf, type ProgramFailure, titledOf } from "../../sky/failure";
import { isOf } from "../../sky/jobLog";
import type { RemoteDeployment, RemoteSpec } from "../../sky/remote";

const FRONTEND = "frontend";
const LOG_LINES = 20;
const FRONTEND_LOG_LINES = 5;
const REQUEST_MS = 5000;
/** An engine compiles kernels at its first request: this took up to 17 s on an H200. */
const COMPLETION_MS = 120_000;
const MAX_TOKENS = 8;
/** How often the programs' logs are checked. Those of a SkyPilot cluster are fetched by ssh. */
const LOOK_EVERY_MS = { local: 5000, remote: 60_000 };
export const verb = defineVerb({
  input: readySchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds + COMPLETION_MS / 1000,
  run: untilReady,
});

/** Something that is not ready yet: the component, and its observed state. */
interface Missing {
  readonly component: string;
  readonly seen: string;
}

async function untilReady(input: ReadyInput, context: VerbContext): Promise<void> {
  const remote = input.sky && (await openRemote(input.sky, context));
  try {
    await waitUntilReady(input, context, remote);
  } finally {
    remote?.close();
  }
}

/** Loaded lazily: a deployment on this machine does not need SkyPilot. */
function openRemote(spec: RemoteSpec, context: VerbContext): Promise<RemoteDeployment> {
  const { RemoteDeployment: Remote } = require("../../sky/remote") as typeof import("../../sky/remote");
  return Remote.open(spec, context);
}

async function waitUntilReady(
  input: ReadyInput,
  context: VerbContext,
  remote: RemoteDeployment | undefined,
): Promise<void> {
  let last: Missing | undefined;
  let known: ProgramFailure | undefined;
  const started = Date.now();
  let looked = started;
  const missing = await poll({
    timeoutSeconds: input.timeoutSeconds,
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      await remote?.assertRunning();
      const anyMore = Date.now() - started > 1000 * (input.surplusSeconds ?? Number.POSITIVE_INFINITY);
      last = await firstMissing(input, { anyMore, signal: context.signal, remote });
      const every = remote === undefined ? LOOK_EVERY_MS.local : LOOK_EVERY_MS.remote;
      if (last !== undefined && Date.now() - looked >= every) {
        looked = Date.now();
        const logs = await logsOf(input, remote);
        throwIfFinal(input, started, logs);
        known = knownCause(last, logs);
      }
      const why = known === undefined ? "" : ` (${titledOf(known)})`;
      return last && `${last.component}: ${last.seen}${why}`;
    },
  });
  if (missing === undefined) {
    for (const cluster of input.localClusters) proveCluster(cluster);
    const what = needsWorkers(input) ? `${input.model} answers` : "what answers for its workers does so";
    context.progress.line(`${what} at ${input.endpoint}`);
    return;
  }
  throw await notReady(input, last ?? { component: FRONTEND, seen: missing }, remote);
}

/** @throws UserError if a program says again and again what waiting cannot mend. */
function throwIfFinal({ model, endpoint }: ReadyInput, since: number, logs: readonly SourcedLog[]): void {
  for (const { program, source, lines } of logs) {
    const found = finalCause(lines, since);
    if (found === undefined) continue;
    const waited = `Waiting longer would not help ${model} at ${endpoint}.`;
    const where = `Its log: ${source}`;
    throw new UserError([titledOf({ ...found, program }), nextOf(found), waited, where].join("\n"));
  }
}

/** With the file or the command that shows it. */
type SourcedLog = ProgramLog & { readonly source: string };

/** The logs of workers and frontends. */
async function logsOf(input: ReadyInput, remote: RemoteDeployment | undefined): Promise<SourcedLog[]> {
  const components = [...WORKER_ROLES.filter((role) => input.expectedWorkers[role] > 0), FRONTEND];
  const logs = remote === undefined ? localLogs(input) : await remote.programLogs();
  return logs.filter(({ program }) => components.some((component) => isOf(component, program)));
}

function localLogs({ logs }: ReadyInput): SourcedLog[] {
  return Object.entries(logs).flatMap(([program, paths]) =>
    paths.map((path) => {
      const source = resolve(stateDir(), path);
      return { program, source, lines: tail(source) };
    }),
  );
}

interface Question {
  /** Whether more workers than expected are accepted. */
  readonly anyMore: boolean;
  readonly signal: AbortSignal;
  readonly remote: RemoteDeployment | undefined;
}

/** Queries the endpoint, or its tunnel. */
async function firstMissing(
  input: ReadyInput,
  { anyMore, signal, remote }: Question,
): Promise<Missing | undefined> {
  let { endpoint } = input;
  try {
    if (remote !== undefined) endpoint = await remote.reachable(endpoint);
  } catch (error) {
    signal.throwIfAborted();
    return { component: FRONTEND, seen: inWords(error) };
  }
  const asked = { ...input, endpoint };
  if (!needsWorkers(input)) return listedModel(asked, anyMore, signal);
  return (await missingWorkers(asked, anyMore, signal)) ?? (await missingAnswer(asked, signal));
}

/** The known cause in the logs of what is missing; else in those of workers, then frontends. */
function knownCause({ component }: Missing, logs: readonly SourcedLog[]): ProgramFailure | undefined {
  const place = ({ program }: SourcedLog) => (isOf(component, program) ? 0 : isOf(FRONTEND, program) ? 2 : 1);
  return causesOf(logs.toSorted((a, b) => place(a) - place(b)))[0];
}

async function notReady(
  input: ReadyInput,
  { component, seen }: Missing,
  remote: RemoteDeployment | undefined,
): Promise<UserError> {
  const { endpoint, timeoutSeconds } = input;
  const logs = await logsOf(input, remote);
  const known = knownCause({ component, seen }, logs);
  const lines = lastLinesOf(logs, component, LOG_LINES);
  const cause = causeIn(lines);
  // The frontend's log often has the cause of a worker's problem.
  if (component !== FRONTEND) lines.push(...lastLinesOf(logs, FRONTEND, FRONTEND_LOG_LINES));
  const first =
    known !== undefined
      ? [titledOf(known), nextOf(known)]
      : cause !== undefined
        ? [`${component} says: ${cause}`]
        : [];
  return new UserError(
    [
      ...first,
      `The deployment at ${endpoint} was not ready within ${timeoutSeconds} s: waited for ${component}: ${seen}.`,
      ...(lines.length === 0 ? [] : ["Last log lines:", ...lines]),
    ].join("\n"),
  );
}

function lastLinesOf(logs: readonly SourcedLog[], component: string, count: number): string[] {
  return logs
    .filter(({ program }) => isOf(component, program))
    .flatMap(({ source, lines }) => indented(source, lines.slice(-count)));
}

async function missingWorkers(
  input: ReadyInput,
  anyMore: boolean,
  signal: AbortSignal,
): Promise<Missing | undefined> {
  const answer = await call(input, readyPath(input.model), undefined, REQUEST_MS, signal);
  if ("error" in answer) return { component: FRONTEND, seen: answer.error };
  const types = registered(answer.body, input.namespace);
  const missing = WORKER_ROLES.flatMap((role): Missing[] => {
    const { [role]: wanted } = input.expectedWorkers;
    const count = types[role];
    if (count === wanted || (anyMore && count > wanted)) return [];
    const lost = count > wanted ? " (lost ones are listed until their lease ends)" : "";
    return [{ component: role, seen: `${count} of ${wanted} workers registered${lost}` }];
  });
  if (missing[0] !== undefined) return missing[0];
  const ready = field(answer.body, "ready");
  return ready === true ? undefined : { component: FRONTEND, seen: `it says ready=${String(ready)}` };
}

/** Not while its workers are taken away. */
function needsWorkers({ expectedWorkers }: ReadyInput): boolean {
  return WORKER_ROLES.some((role) => expectedWorkers[role] > 0);
}

/** Without workers the frontends answer, and list no model. */
async function listedModel(
  input: ReadyInput,
  anyMore: boolean,
  signal: AbortSignal,
): Promise<Missing | undefined> {
  const answer = await call(input, "models", undefined, REQUEST_MS, signal);
  if ("error" in answer) return { component: FRONTEND, seen: answer.error };
  const listed = field(answer.body, "data");
  if (!Array.isArray(listed)) return { component: FRONTEND, seen: "its list of models cannot be read" };
  const isListed = listed.some((model) => field(model, "id") === input.model);
  return isListed && !anyMore ? { component: FRONTEND, seen: `it still lists ${input.model}` } : undefined;
}

/** Workers by role registered with the frontend in a namespace, in its answer to `readyPath`. */
export function registered(body: unknown, namespace: string): Record<WorkerRole, number> {
  const types = field(field(field(body, "namespaces"), namespace), "worker_types");
  const count = (role: WorkerRole): number => Number(field(field(types, role), "workers") ?? 0);
  return {
    aggregated: count("aggregated"),
    prefill: count("prefill"),
    decode: count("decode"),
    encode: count("encode"),
  };
}

/** A status 200 proves nothing: broken engines return it without any tokens. */
async function missingAnswer(input: ReadyInput, signal: AbortSignal): Promise<Missing | undefined> {
  const { noun, path, body, read } = tasks[input.task];
  const answer = await call(input, path, body(input.model, "Say hello.", MAX_TOKENS), COMPLETION_MS, signal);
  const component = input.expectedWorkers.decode > 0 ? "decode" : "aggregated";
  if ("error" in answer) return { component, seen: `${noun} failed: ${answer.error}` };
  const { isThere, words } = read(answer.body);
  return isThere ? undefined : { component, seen: `${noun} came back with ${words}` };
}

type Answer = { readonly body: unknown } | { readonly error: string };

async function call(
  { endpoint, apiKey, fingerprint }: ReadyInput,
  path: string,
  body: unknown,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const base = endpoint.replace(/\/+$/, "").replace(/\/v1$/, "");
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  try {
    const { status, text } = await callHttp(`${base}/v1/${path}`, {
      body,
      headers,
      fingerprint,
      timeoutMs,
      signal,
    });
    if (status !== 200) return { error: `HTTP ${status} ${messageIn(text)}`.trim() };
    return { body: JSON.parse(text) };
  } catch (error) {
    signal.throwIfAborted();
    return { error: inWords(error) };
  }
}

/** The message of an OpenAI-style error, or the beginning of the text. */
function messageIn(text: string): string {
  try {
    const message = field(field(JSON.parse(text), "error"), "message");
    if (typeof message === "string") return message;
  } catch {
    // Not JSON.
  }
  return text.slice(0, 200);
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
