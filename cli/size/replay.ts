/** Dynamo's offline replay, in Dynamo's own Python environment, which is installed on first use. */
import { join } from "node:path";
import { VERSIONS } from "../../config/versions";
import { packageRoot } from "../../lib/root";
import { messageOf, run } from "../../lib/run";
import { ensureToolchain, type Progress } from "../../toolchain/index";
import { OperationFailed } from "../pulumi/problem";
import type { PredictedRole } from "./aiconfigurator";
import type { PrefixLoad } from "./prefixes";

/** What `replay.py` is asked. */
export interface ReplayQuestion {
  readonly load: PrefixLoad;
  readonly layouts: readonly {
    readonly roles: readonly {
      readonly role: PredictedRole["role"];
      /** Each has a cache of its own. */
      readonly workers: number;
      /** Tokens in it; null for the mocker's default. */
      readonly kvTokens: number | null;
      /** Requests at a time in a worker. */
      readonly batch: number;
    }[];
    readonly concurrency: number;
    /** To be made; a trace has its own. */
    readonly requests: number;
  }[];
}

/** Of one layout: shares of the prompts' tokens that a worker had in its cache. */
export interface Shares {
  readonly roundRobin: number;
  readonly kv: number;
  /** Requests that were counted. */
  readonly requests: number;
  /** The cache of a worker of each role. */
  readonly kvTokens: readonly number[];
}

/** The output of `replay.py`. */
export interface Replayed {
  /** Dynamo's. */
  readonly version: string;
  /** In the order of the question. */
  readonly layouts: readonly (Shares | { readonly problem: string })[];
}

/** The longest for all layouts together; usually seconds for each. */
const REPLAY_SECONDS = 3600;

/**
 * The Python with Dynamo, installed if necessary: to be asked for before minutes of other work.
 * @throws OperationFailed if it can be neither found nor installed.
 */
export async function dynamoPython(onProgress: Progress): Promise<string> {
  try {
    const { python } = await ensureToolchain({ need: ["python"], onProgress });
    if (python === undefined) throw new Error("Dynamo's Python environment is not there");
    return python.path;
  } catch (error) {
    throw notHere(error);
  }
}

/**
 * Replays a load on layouts, with round robin and with the KV-aware router, and installs Dynamo before if
 * necessary.
 * @throws OperationFailed if it does not answer.
 */
export async function replay(question: ReplayQuestion, onProgress: Progress): Promise<Replayed> {
  const python = await dynamoPython(onProgress);
  try {
    const { stdout } = await run(python, [join(packageRoot(), "cli", "size", "replay.py")], {
      // Its log goes to standard output too.
      env: { DYN_LOG: "off" },
      stdin: JSON.stringify(question),
      timeoutSeconds: REPLAY_SECONDS,
    });
    return JSON.parse(stdout) as Replayed;
  } catch (error) {
    throw notHere(error);
  }
}

const notHere = (error: unknown) =>
  new OperationFailed(
    `The offline replay of Dynamo ${VERSIONS.dynamo}, which shared prefixes need, does not run here: ${messageOf(error)}\n` +
      "Mend that (`npm run setup` installs what it needs), or size without them: leave out --shared-prefix and --prefixes, or say --isl and --osl instead of --trace.",
  );
