/** Checks of this machine that can fail in a preview instead of half-way through an `up`. */

import { statfsSync } from "node:fs";
import type { DeploymentConfig } from "../config/deployment";
import { modelSource } from "../config/model";
import { ConfigError, type Problem } from "../config/problems";
import { show } from "../config/values";
import { cacheDir, ensureOwnDirectories } from "../lib/dirs";
import { modelDirectoryProblem } from "../local/modelFiles";
import { takenPorts } from "../local/ports";
import { factsOf } from "../plan/facts";
import { localAddresses } from "../plan/localAddresses";
import { plan } from "../plan/plan";
import { locateTools } from "../toolchain";
import { leasedPorts } from "./localCluster";

/** The first `up` installs about 1.5 GB; later ones write logs. Bytes. */
const INSTALLED = 2e9;
const LOGS = 100e6;

/**
 * @param own Full names of the deployment's clusters, whose programs may hold its ports.
 * @throws ConfigError that lists all obstacles.
 */
export async function preflightLocal(config: DeploymentConfig, own: readonly string[]): Promise<void> {
  ensureOwnDirectories();
  const problems = [...modelProblems(config), ...diskProblems(), ...(await portProblems(config, own))];
  if (problems.length > 0) throw new ConfigError(problems);
}

function modelProblems({ model }: DeploymentConfig): Problem[] {
  const problem = modelSource(model) === "path" ? modelDirectoryProblem(model) : undefined;
  return problem === undefined
    ? []
    : [
        {
          path: ["model"],
          message: `${show(model)} ${problem}. Give a directory with a model, or a hub id.`,
        },
      ];
}

function diskProblems(): Problem[] {
  const needed = locateTools().python === undefined ? INSTALLED : LOGS;
  const cache = cacheDir();
  const free = freeBytes(cache);
  if (free === undefined || free >= needed) return [];
  const inMB = (bytes: number) => `${Math.floor(bytes / 1e6)} MB`;
  return [
    {
      path: ["target"],
      message: `"local" needs ${inMB(needed)} in ${cache}, and there are ${inMB(free)}. Make room, or choose another directory with DYNAMO_SKY_CACHE.`,
    },
  ];
}

/** Undefined if the directory does not exist yet. */
function freeBytes(directory: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

async function portProblems(config: DeploymentConfig, own: readonly string[]): Promise<Problem[]> {
  const planned = plan(
    config,
    factsOf(config, () => locateTools().servicesObtainable),
  );
  const addresses = localAddresses(planned);
  const nodes = planned.clusters.flatMap(({ name, nodes: ofCluster }) =>
    ofCluster.map((node) => ({
      rank: node.rank,
      address: addresses.get(name)?.[node.rank],
      ports: leasedPorts(node),
    })),
  );
  const taken = await takenPorts(nodes, own);
  return taken.map((message) => ({ path: ["ports"], message }));
}
