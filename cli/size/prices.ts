/** What the machines of layouts cost: as the user says, or as SkyPilot's catalogs have it. */
import type { DeploymentConfig } from "../../config/deployment";
import { ConfigError } from "../../config/problems";
import { parseConfig } from "../../plan/config";
import type { DeploymentCost } from "../../plan/cost";
import { GPUS_OF_A_NODE } from "./accelerators";
import { ANY, type SizeOptions } from "./options";

/** Nodes of one kind. */
interface Machines {
  readonly accelerator: string;
  readonly gpusPerNode: number;
  readonly isSpot: boolean;
}

/** US dollars an hour for one node; null if it is not known. */
export interface Price {
  readonly dollarsPerHour: number | null;
  /** Where it is from, or why it is not known. */
  readonly note?: string;
  /** Whether no infra has such machines. */
  readonly isMissing?: true;
}

/**
 * The cost of each deployment, or why it cannot be had, by SkyPilot's catalogs; undefined if they do not know
 * the infra.
 */
export type Costs = (
  deployments: readonly DeploymentConfig[],
) => Promise<readonly (DeploymentCost | ConfigError)[] | undefined>;

/** Prices of an accelerator's nodes. */
export interface Prices {
  readonly of: (machines: Machines) => Price;
  /** Why an accelerator cannot be had at all; undefined if it can, or nobody knows. */
  readonly missing: (accelerator: string) => string | undefined;
}

/** Asks SkyPilot for all machines at once: it takes seconds to load. */
export async function machinePrices(options: SizeOptions, costs: Costs): Promise<Prices> {
  const { accelerators, infra, prices } = options;
  const hasSpot = takesSpot(options);
  const markets = hasSpot ? [false, true] : [false];
  const asked = infra.length === 0 ? [] : accelerators.flatMap((one) => machinesOf(one, markets, options));
  const answers = asked.length === 0 ? [] : await costs(asked.map((one) => deploymentOf(one, options)));
  const known = new Map(
    asked.map((one, index): [string, Price] => [keyOf(one), priceOf(answers?.[index], infra)]),
  );
  const of = (machines: Machines): Price => {
    const own = prices[machines.accelerator] ?? prices[ANY];
    if (own !== undefined && !machines.isSpot) return { dollarsPerHour: own * machines.gpusPerNode };
    if (machines.isSpot && !hasSpot) return { dollarsPerHour: null };
    return known.get(keyOf(machines)) ?? { dollarsPerHour: null, note: UNPRICED };
  };
  const missing = (accelerator: string) => {
    const said = asked.filter((one) => one.accelerator === accelerator).map((one) => known.get(keyOf(one)));
    return said.length > 0 && said.every((price) => price?.isMissing) ? said.at(0)?.note : undefined;
  };
  return { of, missing };
}

const UNPRICED = "no price: say --price (dollars an hour for a GPU), or --infra";

/** For a load it is not known yet how many GPUs it takes: clouds sell 1, 2, 4 and 8. */
function machinesOf(
  accelerator: string,
  markets: readonly boolean[],
  { need }: Pick<SizeOptions, "need">,
): Machines[] {
  const sizes = "gpus" in need ? [Math.min(need.gpus, GPUS_OF_A_NODE)] : [GPUS_OF_A_NODE, 4, 2, 1];
  return sizes.flatMap((gpusPerNode) => markets.map((isSpot) => ({ accelerator, gpusPerNode, isSpot })));
}

/** Whether all infras have spot instances: Slurm has none. */
function takesSpot(options: SizeOptions): boolean {
  const [accelerator = ""] = options.accelerators;
  try {
    deploymentOf({ accelerator, gpusPerNode: 1, isSpot: true }, options);
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

function deploymentOf({ accelerator, gpusPerNode, isSpot }: Machines, options: SizeOptions) {
  return parseConfig({
    model: options.model,
    cluster: { nodes: 1, gpusPerNode, accelerator },
    pools: [{ role: "aggregated", replicas: gpusPerNode }],
    sky: { infra: [...options.infra], useSpot: isSpot },
  });
}

const keyOf = ({ accelerator, gpusPerNode, isSpot }: Machines) =>
  [accelerator, gpusPerNode, isSpot].join("/");

function priceOf(answer: DeploymentCost | ConfigError | undefined, infra: readonly string[]): Price {
  const unknown = (why: string): Price => ({ dollarsPerHour: null, note: `no price: ${why}` });
  if (answer === undefined)
    return unknown(
      `SkyPilot's catalogs have none for ${infra.join(", ")}, or cannot be read here, as without the network. Check the name, or say --price (dollars an hour for a GPU)`,
    );
  if (answer instanceof ConfigError) return { ...unknown(answer.message), isMissing: true };
  const [place] = answer.clusters;
  if (answer.dollarsPerHour === null) return unknown(place?.unknown ?? "SkyPilot does not say why");
  const where = `${place?.instanceType ?? "its machines"} in ${place?.infra ?? infra.join(", ")}`;
  return { dollarsPerHour: answer.dollarsPerHour, note: `price of ${where}, by SkyPilot` };
}
