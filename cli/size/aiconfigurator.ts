/** NVIDIA's AIConfigurator in its own Python environment, installed on first use, and what it is asked. */
import { join } from "node:path";
import { VERSIONS } from "../../config/versions";
import { packageRoot } from "../../lib/root";
import { run } from "../../lib/run";
import type { Progress } from "../../toolchain/index";
import {
  ensurePythonTool,
  hasPythonTool,
  type PythonTool,
  toolRequirements,
} from "../../toolchain/pythonTool";
import { OperationFailed } from "../pulumi/problem";
import type { SizeOptions } from "./options";

/**
 * `aisimulate` has its command too. PyPI has its releases as stubs, and wheels of development builds, which
 * ask for development builds of others: once a release is a wheel, it is named here.
 */
const AICONFIGURATOR: PythonTool = {
  name: "aiconfigurator",
  version: VERSIONS.aiconfigurator,
  lock: "cli/size/requirements.txt",
  // From the package's metadata: https://pypi.org/project/aiconfigurator/
  pythons: ">=3.11,<3.14",
  program: "python",
  megabytes: 670,
};

/** The exact packages of the environment, with their hashes. */
export function aiconfiguratorRequirements(): string {
  return toolRequirements(AICONFIGURATOR);
}

/** What `predict.py` is asked. */
export interface Question extends Pick<SizeOptions, "model" | "isl" | "osl" | "ttft" | "tpot" | "need"> {
  /** GPUs of a whole node. */
  readonly node: number;
  /** Whether layouts with other times for each token are wanted too. */
  readonly curve: boolean;
  /** Layouts of each mode at most. */
  readonly most: number;
  readonly pairs: readonly { readonly backend: string; readonly system: string }[];
}

/** Workers of a role in a layout, in AIConfigurator's words. */
export interface PredictedRole {
  readonly role: "aggregated" | "prefill" | "decode";
  readonly replicas: number;
  /** GPUs of an attention group, pipeline stages, attention groups, parts of an expert, groups of experts. */
  readonly tp: number;
  readonly pp: number;
  readonly dp: number;
  readonly moeTp: number;
  readonly moeEp: number;
  /** Parts that a prompt is cut into. */
  readonly cp: number;
  /** Requests at a time in each attention group. */
  readonly batch: number;
  /** Tokens in the KV cache of an attention group; where AIConfigurator can tell. */
  readonly kvTokens?: number;
  /** Types of numbers by part of the model. */
  readonly quantization: Readonly<Record<string, string>>;
}

/** A layout that keeps the promise, and takes every GPU or carries the load. */
export interface Prediction {
  readonly mode: "agg" | "disagg";
  readonly roles: readonly PredictedRole[];
  readonly ttft: number;
  readonly tpot: number;
  readonly tokensPerSecondPerGpu: number;
  readonly tokensPerSecondPerUser: number;
  readonly requestsPerSecond: number;
  readonly concurrency: number;
}

/** What is known of one engine on one accelerator. */
export interface Answer {
  readonly backend: string;
  readonly system: string;
  /** The engine's version that was measured; null if there is no layout. */
  readonly version: string | null;
  readonly layouts: readonly Prediction[];
  /**
   * Those of which none is better in tokens per GPU and in time for each; they may break the promise of that.
   */
  readonly curve: readonly Prediction[];
  readonly problems: readonly string[];
}

/** The output of `predict.py`. */
export interface Said {
  /** Models whose configuration AIConfigurator carries. */
  readonly known: readonly string[];
  /** Why it cannot read the model. */
  readonly problem?: string;
  /** Tokens that the model takes at most; where a prompt and its answer have more. */
  readonly context?: number;
  /** Whether the model has experts. */
  readonly moe?: boolean;
  readonly answers?: readonly Answer[];
}

/** For prefill, `batch` is the prompts that an attention group takes at once; one, if it is not said. */
export type EstimatedRole = Pick<PredictedRole, "role" | "replicas" | "tp" | "pp" | "dp" | "moeEp"> &
  Partial<Pick<PredictedRole, "batch">>;

/** What `estimate.py` is asked: one layout under several loads. */
export interface EstimateQuestion {
  readonly model: string;
  readonly backend: string;
  readonly system: string;
  readonly roles: readonly EstimatedRole[];
  readonly loads: readonly {
    /** Tokens of a prompt, those of them that a cache has, and those of an answer. */
    readonly isl: number;
    readonly prefix: number;
    readonly osl: number;
    /** Requests at a time in each attention group of the role that writes the answers. */
    readonly batch: number;
  }[];
}

/** What the whole layout gives under a load, times in milliseconds. */
export interface Estimate {
  readonly ttft: number;
  readonly tpot: number;
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  /** What AIConfigurator says of it. */
  readonly warning?: string;
}

/** What `estimate.py` says of one layout. */
export interface Estimated {
  /** Why it cannot read the model. */
  readonly problem?: string;
  /** The engine's version that was measured; null if there is no estimate. */
  readonly version?: string | null;
  /** By load. */
  readonly estimates?: readonly (Estimate | { readonly problem: string })[];
}

/** The longest that one engine on one accelerator takes; usually less than a minute. */
const ASK_SECONDS = 1800;

/** Whether it is installed. */
export const hasAiconfigurator = (): boolean => hasPythonTool(AICONFIGURATOR);

/** What its installation takes, for messages. */
export const AICONFIGURATOR_MEGABYTES = AICONFIGURATOR.megabytes;

/**
 * Asks AIConfigurator for layouts, and installs it before if necessary.
 * @throws OperationFailed if it does not answer.
 */
export function predict(question: Question, onProgress: Progress): Promise<Said> {
  return ask<Said>(join(packageRoot(), "cli", "size", "predict.py"), question, onProgress);
}

/**
 * Asks AIConfigurator for what layouts give, all at once: it takes seconds to load. Installs it before if
 * necessary.
 * @throws OperationFailed if it does not answer.
 */
export function estimates(
  questions: readonly EstimateQuestion[],
  onProgress: Progress,
): Promise<readonly Estimated[]> {
  return ask<readonly Estimated[]>(join(packageRoot(), "cli", "size", "estimate.py"), questions, onProgress);
}

/** The same for one layout. */
export async function estimate(question: EstimateQuestion, onProgress: Progress): Promise<Estimated> {
  const [one = {}] = await estimates([question], onProgress);
  return one;
}

/** The Python that has it: it is installed before if necessary. */
export const aiconfiguratorPython = async (onProgress: Progress): Promise<string> =>
  (await ensurePythonTool(AICONFIGURATOR, onProgress)).path;

async function ask<Answered>(program: string, question: object, onProgress: Progress): Promise<Answered> {
  const { stdout } = await run(await aiconfiguratorPython(onProgress), [program], {
    stdin: JSON.stringify(question),
    timeoutSeconds: ASK_SECONDS,
  });
  try {
    return JSON.parse(stdout) as Answered;
  } catch {
    throw new OperationFailed(
      `AIConfigurator ${VERSIONS.aiconfigurator} printed no JSON: ${JSON.stringify(stdout.slice(0, 200))}`,
    );
  }
}
