/** What AIConfigurator predicts for the deployment that was measured, under the same load. Pure. */
import { VERSIONS } from "../../config/versions";
import { deployedVersion, isSimulated } from "../../engines";
import type { DeployedLayout } from "../../plan/outputs";
import { ACCELERATORS } from "../size/accelerators";
import type { Estimate, Estimated, EstimateQuestion } from "../size/aiconfigurator";
import { layoutText } from "../size/draw";
import { askedAs } from "../size/models";
import { LEAST_ANSWER } from "../size/options";
import type { Prediction, Summary } from "./summary";
import type { BenchTarget } from "./target";

type Role = EstimateQuestion["roles"][number];
type Load = EstimateQuestion["loads"][number];

/** What AIConfigurator is asked, and of what. */
export interface Asked {
  readonly question: EstimateQuestion;
  readonly engine: string;
  readonly accelerator: string;
  /** Attention groups that write answers. */
  readonly groups: number;
}

/** Clients share the attention groups as evenly as can be: some may have one more than the others. */
interface Share {
  readonly batch: number;
  readonly groups: number;
}

/** The question about a deployment and what was measured on it, or why there is none. */
export function questionOf(
  { engine, layout }: Pick<BenchTarget, "engine" | "layout">,
  measured: Pick<Summary, "load" | "points">,
): Asked | { readonly missing: string } {
  if (engine === undefined || isSimulated(engine))
    return { missing: `the engine is ${engine ?? "not told"}, whose times are not those of GPUs` };
  if (layout === undefined)
    return {
      missing:
        "the stack's outputs do not tell how the model is cut: an earlier version brought it up. `up` adds it",
    };
  const roles = rolesOf(layout);
  if (typeof roles === "string") return { missing: roles };
  const names = [...new Set(layout.pools.map(({ accelerator }) => accelerator))];
  const [accelerator] = names;
  if (accelerator === undefined) return { missing: "the outputs do not name the GPUs" };
  if (names.length > 1) return { missing: `its pools are on different GPUs: ${names.join(", ")}` };
  const system = ACCELERATORS[accelerator];
  if (system === undefined)
    return {
      missing: `AIConfigurator has not measured ${accelerator}, but ${Object.keys(ACCELERATORS).join(", ")}`,
    };
  const lengths = lengthsOf(measured);
  if (lengths.osl < LEAST_ANSWER)
    return {
      missing: `the answers have ${lengths.osl} token in the mean, and AIConfigurator counts those after the first`,
    };
  const groups = roles
    .filter(({ role }) => role !== "prefill")
    .reduce((sum, { replicas, dp }) => sum + replicas * dp, 0);
  const loads = batchesOf(measured, groups).map((batch) => ({ ...lengths, batch }));
  const question = { model: askedAs(layout.model), backend: engine, system, roles, loads };
  return { question, engine, accelerator, groups };
}

/** In AIConfigurator's words; or why it has none for them. */
function rolesOf({ pools }: DeployedLayout): Role[] | string {
  const roles = pools.flatMap(
    ({ role, replicas, tensorParallel, dataParallel, pipelineParallel, expertParallel = 1 }): Role[] => {
      const sizes = { tp: tensorParallel, dp: dataParallel, pp: pipelineParallel, moeEp: expertParallel };
      return role === "encode" ? [] : [{ role, replicas, ...sizes }];
    },
  );
  if (roles.length < pools.length) return "it has encode workers, which AIConfigurator does not know";
  if (new Set(roles.map(({ role }) => role)).size < roles.length)
    return "it has several pools of one role, and AIConfigurator knows one way to cut the model for each";
  return roles.some(({ replicas }) => replicas === 0) ? "it has no workers now" : roles;
}

/** Of prompts and answers, as they were measured; as they were asked for where nothing was counted. */
function lengthsOf({ load, points }: Pick<Summary, "load" | "points">): Omit<Load, "batch"> {
  const runs = points.flatMap((point) => point.runs);
  const { prompt, prefix, answer } = load;
  const asked = prompt.mean + (prefix?.tokens ?? 0);
  const isl = mean(runs.flatMap(({ promptTokens }) => promptTokens ?? [])) ?? asked;
  const osl = mean(runs.flatMap(({ answerTokens }) => answerTokens ?? [])) ?? answer.mean;
  return { isl, osl, prefix: Math.min(prefix?.tokens ?? 0, isl - 1) };
}

/** The sizes of batches that workers have, each once. */
function batchesOf({ points }: Pick<Summary, "points">, groups: number): number[] {
  const batches = points.flatMap(({ clients }) => sharesOf(clients, groups).map(({ batch }) => batch));
  return [...new Set(batches)].toSorted((a, b) => a - b);
}

function mean(tokens: readonly number[]): number | undefined {
  if (tokens.length === 0) return undefined;
  return Math.max(1, Math.round(tokens.reduce((sum, one) => sum + one, 0) / tokens.length));
}

function sharesOf(clients: number, groups: number): Share[] {
  const [batch, more] = [Math.floor(clients / groups), clients % groups];
  return [
    { batch: batch + 1, groups: more },
    { batch, groups: groups - more },
  ].filter((share) => share.batch > 0 && share.groups > 0);
}

/** What is written beside the measurement. */
export function predictionOf(
  { question, engine, accelerator, groups }: Asked,
  said: Estimated,
  { points }: Pick<Summary, "points">,
  gpus: number | undefined,
): Prediction {
  const { estimates = [], problem, version } = said;
  if (problem !== undefined)
    return { missing: `AIConfigurator does not know the model ${question.model}: ${problem}` };
  const of = new Map(question.loads.map(({ batch }, index) => [batch, estimates[index]]));
  const predicted = points.map(({ clients }) => {
    const shares = sharesOf(clients, groups).map((share) => ({ ...share, estimate: of.get(share.batch) }));
    return { clients, ...pointOf(shares, { clients, groups, gpus }) };
  });
  const problems = [...new Set(predicted.flatMap((point) => point.problem ?? []))];
  if (predicted.every(({ values }) => values === undefined))
    return { missing: `AIConfigurator has no data of it: ${problems.join("; ") || "it says nothing"}` };
  const [{ isl, osl, prefix } = { isl: 0, osl: 0, prefix: 0 }] = question.loads;
  return {
    by: `AIConfigurator ${VERSIONS.aiconfigurator}`,
    layout: layoutText(question),
    ...{ engine, accelerator, isl, osl, prefix },
    version: version ?? "an unknown version",
    deployed: deployedVersion(engine) ?? "an unknown version",
    points: predicted,
  };
}

type Found = Estimate | { readonly problem: string } | undefined;
type PredictedPoint = Omit<Extract<Prediction, { by: string }>["points"][number], "clients">;

function pointOf(
  shares: readonly (Share & { readonly estimate: Found })[],
  { clients, groups, gpus }: { clients: number; groups: number; gpus: number | undefined },
): PredictedPoint {
  const known = shares.flatMap(({ estimate, ...share }) =>
    estimate === undefined || "problem" in estimate ? [] : [{ ...share, ...estimate }],
  );
  const problems = shares.flatMap(({ estimate }) =>
    estimate !== undefined && "problem" in estimate ? [estimate.problem] : [],
  );
  if (known.length < shares.length) return { problem: problems[0] ?? "no data" };
  type Key = "ttft" | "tpot" | "tokensPerSecond" | "requestsPerSecond";
  // Times are those of the clients, rates those of the groups that have some.
  const byClient = (key: Key) =>
    known.reduce((sum, one) => sum + (one[key] * one.batch * one.groups) / clients, 0);
  const byGroup = (key: Key) => known.reduce((sum, one) => sum + (one[key] * one.groups) / groups, 0);
  const tokensPerSecond = byGroup("tokensPerSecond");
  const warnings = [...new Set(known.flatMap(({ warning }) => warning ?? []))];
  return {
    values: {
      ...{ ttftP50: byClient("ttft"), itlP50: byClient("tpot") },
      ...{ tokensPerSecond, requestsPerSecond: byGroup("requestsPerSecond") },
      ...(gpus === undefined ? {} : { tokensPerSecondPerGpu: tokensPerSecond / gpus }),
    },
    ...(warnings.length > 0 ? { warning: warnings.join("; ") } : {}),
  };
}
