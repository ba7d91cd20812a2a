/** Models that nodes could not fetch, or that do not fit their disks, from the hub's answers. Pure. */
import type { DeploymentConfig, PoolConfig } from "../config/deployment";
import { hasCatalog, ignores } from "../config/infra";
import { modelSource } from "../config/model";
import type { Problem, SettingPath } from "../config/problems";
import { show } from "../config/values";
import { isSimulated } from "../engines";
import { uniqueBy } from "../lib/uniqueBy";
import { BYTES_PER_GB } from "../lib/units";
import { otherHubModels } from "./otherModels";

/** The result of the check of a model (`sky/hub.py`). */
export const HUB_ANSWERS = [
  "there",
  "missing",
  "no-revision",
  "gated",
  "denied",
  "bad-token",
  "unknown",
] as const;

export interface HubModel {
  readonly model: string;
  readonly revision: string | null;
}

export interface HubAnswer extends HubModel {
  readonly found: (typeof HUB_ANSWERS)[number];
  /** Why the result is unknown; null if it is known. */
  readonly why: string | null;
  /** Size of its weights; null if unknown. */
  readonly bytes: number | null;
}

/** A hub, and the models to check there. */
export interface HubQuestion {
  readonly endpoint: string;
  readonly models: readonly HubModel[];
}

const HUB = "https://huggingface.co";

/**
 * The models that the nodes of a deployment fetch from a hub; undefined if they fetch none, or if they must
 * not use a hub.
 *
 * @param ownEndpoint `HF_ENDPOINT` of this machine: the mirror through which it reaches the hub. Default:
 *   none.
 */
export function hubQuestion(config: DeploymentConfig, ownEndpoint?: string): HubQuestion | undefined {
  const {
    target,
    engine,
    model,
    modelRevision,
    sky: { envs },
  } = config;
  if (target === "local" || isSimulated(engine) || isSet(envs[HUB_OFFLINE])) return undefined;
  const own = modelSource(model) === "hub" ? [{ model, revision: modelRevision ?? null }] : [];
  const others = otherHubModels(config).map(({ name, revision = null }) => ({ model: name, revision }));
  const models = [...own, ...others];
  const endpoint = envs["HF_ENDPOINT"] || ownEndpoint || HUB;
  return models.length === 0 || !URL.canParse(endpoint) ? undefined : { endpoint, models };
}

/** Variable of the hub's libraries: nothing is asked of the hub. */
export const HUB_OFFLINE = "HF_HUB_OFFLINE";

/**
 * Of workers: offline where all that they load was fetched before (`runtime/fetch_model.py`). Else each start
 * asks the hub again, and Dynamo 1.6.1 downloads the newest revision beside a pinned one. Not where something
 * may have to be fetched yet: a model's own code, which may be in another repository, adapters that clients
 * load, other revisions, another cache, anything else in the options that may be a name on the hub; and not
 * where the user has decided.
 */
export function hubEnvironment(config: DeploymentConfig, pool: PoolConfig): Record<string, string> {
  const { target, engine, model, trustRemoteCode, sky } = config;
  const isFetched = target === "sky" && !isSimulated(engine) && modelSource(model) === "hub";
  const isDecided = sky.envs[HUB_OFFLINE] !== undefined;
  if (!isFetched || isDecided || trustRemoteCode || mayFetchMore(config, pool)) return {};
  return { [HUB_OFFLINE]: "1" };
}

/** `owner/name`, which is no part of a path or an address. */
const HUB_NAME = /(?<![\w./:@{}~-])\w[\w.-]*\/[\w.-]+(?![\w./:-])/g;
/**
 * Options and variables with which clients load adapters, or that name adapters in a form of their own; that
 * let a model's code run or ask for a revision; and that look for models elsewhere than where they were
 * fetched to.
 */
const MAY_FETCH =
  /enable.lora|lora.(modules|config|dir)|RUNTIME_LORA|trust.remote.code|revision|download.dir|modelscope/i;
/** Variables that move the hub's cache. */
const MOVES_CACHE = /^(HF_HOME|HF_HUB_CACHE|HUGGINGFACE_HUB_CACHE|TRANSFORMERS_CACHE|XDG_CACHE_HOME|HOME)$/;
const movesCache = (env: object): boolean => Object.keys(env).some((name) => MOVES_CACHE.test(name));

function mayFetchMore(config: DeploymentConfig, pool: PoolConfig): boolean {
  const args = [...config.engineArgs, ...pool.engineArgs];
  const options = [...args, JSON.stringify([config.engineConfig, pool.engineConfig])];
  const fetched = new Set([config.model, ...otherHubModels(config, [pool]).map(({ name }) => name)]);
  const named = options.flatMap((option) => option.match(HUB_NAME) ?? []);
  const ownVariables = Object.keys({ ...config.engineEnv, ...pool.engineEnv });
  const variables = [...Object.keys(config.sky.envs), ...ownVariables];
  return (
    named.some((name) => !fetched.has(name)) ||
    [...options, ...variables].some((option) => MAY_FETCH.test(option)) ||
    movesCache({ ...config.engineEnv, ...pool.engineEnv })
  );
}

/** The values that huggingface_hub takes for true. */
function isSet(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

const SET_TOKEN = "pulumi config set --secret dynamo-sky:huggingFaceToken";

/**
 * Models that cannot be fetched, and weights that do not fit the disk: the launch would fail after nodes have
 * been paid for.
 */
export function hubProblems(
  config: DeploymentConfig,
  { endpoint }: Pick<HubQuestion, "endpoint">,
  answers: readonly HubAnswer[],
): Problem[] {
  const fetched = answers.flatMap((answer) => problemOf(config, shown(endpoint), answer));
  return [...uniqueBy(fetched, ({ message }) => message), ...diskProblems(config, answers)];
}

/** Models that could not be checked, and disks that are probably too small. */
export function hubCautions(
  config: DeploymentConfig,
  { endpoint }: Pick<HubQuestion, "endpoint">,
  answers: readonly HubAnswer[],
): string[] {
  const unknown = answers.filter(({ found }) => found === "unknown");
  const names = unknown.map(({ model }) => model).join(", ");
  const [first] = unknown;
  return [
    ...(first === undefined
      ? []
      : [
          `Whether the nodes can fetch ${names} was not checked: ${shown(endpoint)} gave no answer here (${first.why}).`,
        ]),
    ...diskCautions(config, answers),
  ];
}

function problemOf(config: DeploymentConfig, hub: string, answer: HubAnswer): Problem[] {
  const { model, revision, found } = answer;
  const path: SettingPath = model === config.model ? ["model"] : ["engineArgs"];
  const hasToken = config.huggingFaceToken !== undefined;
  const at = (message: string): Problem[] => [{ path, message: `${show(model)} ${message}` }];
  switch (found) {
    case "there":
    case "unknown":
      return [];
    case "missing":
      return at(
        hasToken
          ? `is not at ${hub}, or the token may not see it. Correct it, or give the token of an account that may read it: ${SET_TOKEN}`
          : `is not at ${hub}, or is private. Correct it, or give a token that may read it: ${SET_TOKEN}`,
      );
    case "gated":
    case "denied":
      return at(
        hasToken
          ? `may not be read with the token. Ask for access at ${hub}/${model}, let the token read gated repositories, or give another one: ${SET_TOKEN}`
          : `is gated, and there is no token. Accept its licence at ${hub}/${model}, then run: ${SET_TOKEN}`,
      );
    case "bad-token":
      return [
        {
          path: ["huggingFaceToken"],
          message: `${hub} does not accept it (its value is not shown). Make one at ${hub}/settings/tokens and run: ${SET_TOKEN}`,
        },
      ];
    case "no-revision": {
      const message = `${show(revision)} is no revision of ${model} at ${hub}. Allowed: a branch, a tag or a commit of ${hub}/${model}/commits/main.`;
      return [{ path: model === config.model ? ["modelRevision"] : path, message }];
    }
  }
}

/** The address without a name and password. */
function shown(endpoint: string): string {
  const url = new URL(endpoint);
  url.username = "";
  url.password = "";
  return url.href.replace(/\/+$/, "");
}

/** SkyPilot's own (`DEFAULT_DISK_SIZE_GB` of sky/resources.py). */
export const DEFAULT_DISK_GB = 256;
/** Approximate size of a node's system, SkyPilot and the engine's image, in GB. */
const SYSTEM_GB = 60;

/** GB that the disk must hold; undefined if the weights are not on it, or of unknown size. */
function diskUse({ sky, engineEnv }: DeploymentConfig, answers: readonly HubAnswer[]) {
  const { infra, envs, volumes, diskSizeGB = DEFAULT_DISK_GB } = sky;
  if (
    movesCache({ ...envs, ...engineEnv }) ||
    Object.keys(volumes).length > 0 ||
    infra.length === 0 ||
    !infra.every(hasCatalog)
  )
    return undefined;
  const bytes = answers.reduce((sum, answer) => sum + (answer.bytes ?? 0), 0);
  return bytes === 0 ? undefined : { weightsGB: Math.ceil(bytes / BYTES_PER_GB), diskSizeGB };
}

function tooSmall({ sky: { diskSizeGB } }: DeploymentConfig, weightsGB: number): string {
  const own = diskSizeGB === undefined ? `SkyPilot's own ${DEFAULT_DISK_GB} GB` : String(diskSizeGB);
  return `${own} is too little: the weights take ${weightsGB} GB of each node's disk, and the system and the image about ${SYSTEM_GB} GB. Set it to ${weightsGB + SYSTEM_GB} or more.`;
}

function diskProblems(config: DeploymentConfig, answers: readonly HubAnswer[]): Problem[] {
  const use = diskUse(config, answers);
  if (use === undefined || use.weightsGB < use.diskSizeGB) return [];
  // On other infras the size of the disk is fixed.
  if (config.sky.infra.some((infra) => ignores(infra, "diskSize"))) return [];
  return [{ path: ["sky", "diskSizeGB"], message: tooSmall(config, use.weightsGB) }];
}

function diskCautions(config: DeploymentConfig, answers: readonly HubAnswer[]): string[] {
  const use = diskUse(config, answers);
  if (use === undefined || use.weightsGB + SYSTEM_GB <= use.diskSizeGB) return [];
  if (diskProblems(config, answers).length > 0) return [];
  return [`dynamo-sky:sky.diskSizeGB: ${tooSmall(config, use.weightsGB)}`];
}
