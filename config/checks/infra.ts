/**
 * Rejects features that SkyPilot does not support on an infra. SkyPilot reports this only during the launch,
 * and with several infras it silently skips the unsuitable one. How features are requested: `resources.py`
 * (`get_required_cloud_features`) and `execution.py`:
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/resources.py
 */

import { type Image, machineImages, programsImage } from "../images";
import { cannot, cloudOf, infraKind, isSlurm, kubernetesSections, type SkyFeature } from "../infra";
import { isHostVolume } from "../mounts";
import { hasPullSecrets } from "../podConfig";
import { gpusPerReplica, usesSpot } from "../pools";
import type { Problem, SettingPath } from "../problems";
import type { ParsedConfig } from "../schema";
import { USUAL_GPUS_OF_A_NODE } from "../services";
import { show } from "../values";
import type { Known } from ".";
import { isOfRegistry } from "./image";

type Sky = ParsedConfig["sky"];

/** A feature that may be requested. */
interface Feature {
  readonly feature: SkyFeature;
  readonly setting: SettingPath | ((sky: Sky, known: Known) => SettingPath);
  /** The request, as messages show it; undefined if not requested. */
  readonly asked: (sky: Sky, known: Known) => string | undefined;
  readonly remedy: string | ((infra: string, sky: Sky, known: Known) => string);
  /** Whether this infra supports it nevertheless. Default: none does. */
  readonly except?: (infra: string, sky: Sky) => boolean;
}

/** Whether the shared cluster, or a replica's own, has several nodes. */
export function severalNodes({ cluster, pools = [] }: Known): string | undefined {
  if (cluster === undefined) return undefined;
  const gpus = cluster.gpusPerNode ?? USUAL_GPUS_OF_A_NODE;
  const spans = pools.some((pool) => gpusPerReplica(pool) > gpus);
  return cluster.nodes > 1 || spans ? "a cluster of several nodes" : undefined;
}

/** Index of the first pool that asks for spot instances by itself. */
function spotPool({ useSpot }: Sky, { pools = [] }: Known): number | undefined {
  const pool = useSpot ? -1 : pools.findIndex(({ spot }) => spot.use === true);
  return pool < 0 ? undefined : pool;
}

const isContainer = (image: Image | undefined): boolean =>
  programsImage(image)?.startsWith("docker:") === true;

const FEATURES: readonly Feature[] = [
  {
    feature: "spot",
    setting: (sky, known) => {
      const pool = spotPool(sky, known);
      return pool === undefined ? ["sky", "useSpot"] : ["pools", pool, "spot", "use"];
    },
    asked: (sky, known) => {
      const { pools = [] } = known;
      const uses = pools.length === 0 ? sky.useSpot : pools.some((pool) => usesSpot(pool, sky.useSpot));
      return uses ? "spot instances" : undefined;
    },
    remedy: (_infra, sky, known) =>
      spotPool(sky, known) === undefined ? "Set sky.useSpot to false" : "Set it to false",
  },
  {
    feature: "ports",
    setting: ["sky", "openEndpoint"],
    asked: ({ openEndpoint }) => (openEndpoint ? "ports that are opened" : undefined),
    remedy: "Set sky.openEndpoint to false, and reach the endpoint from the cluster's network",
  },
  {
    feature: "stop",
    setting: ["sky", "autostopDown"],
    asked: ({ autostopMinutes, autostopDown }) =>
      autostopMinutes !== undefined && !autostopDown ? "clusters that are stopped and kept" : undefined,
    remedy: "Remove sky.autostopDown: clusters are taken down then",
    // On Slurm a container can be stopped if Pyxis is installed.
    except: (infra, { image }) => isSlurm(infra) && isContainer(image),
  },
  {
    feature: "autodown",
    setting: ["sky", "autostopMinutes"],
    asked: ({ autostopMinutes }) =>
      autostopMinutes === undefined ? undefined : "clusters that go when they are idle",
    remedy: "Remove sky.autostopMinutes",
  },
  {
    feature: "diskTier",
    setting: ["sky", "diskTier"],
    asked: ({ diskTier }) =>
      diskTier === undefined || diskTier === "best" || diskTier === "none"
        ? undefined
        : `the disk tier ${show(diskTier)}`,
    remedy: "Remove sky.diskTier",
  },
  {
    feature: "networkTier",
    setting: ["sky", "networkTier"],
    asked: ({ networkTier }) => (networkTier === "best" ? "machines with RDMA" : undefined),
    remedy: "Remove sky.networkTier",
  },
  {
    feature: "containers",
    setting: ["sky", "image"],
    asked: ({ image }) => (isContainer(image) ? "a container" : undefined),
    remedy: "Remove sky.image: Dynamo comes from PyPI then",
  },
  {
    feature: "machineImages",
    setting: ["sky", "image"],
    asked: ({ image }) => {
      const [machine] = machineImages(image).filter(({ name }) => !isOfRegistry(name));
      return machine && `the machine image ${show(machine.name)}`;
    },
    remedy: "Remove sky.image, or name a container's image (docker:…)",
  },
  {
    feature: "severalNodes",
    setting: ["cluster", "nodes"],
    asked: (_sky, known) => severalNodes(known),
    remedy: "Use one node with all GPUs of a replica",
  },
  {
    feature: "registryLogin",
    setting: ["sky", "registry"],
    asked: ({ registry, infra }) =>
      // Slurm has its own message.
      registry === undefined || infra.some(isSlurm) ? undefined : "a login at a registry",
    remedy: (infra) =>
      infraKind(infra) === "Kubernetes"
        ? "Make a secret of type docker-registry there and name it in sky.config (kubernetes.pod_config.spec.imagePullSecrets), and remove sky.registry and registryPassword where no other infra needs them"
        : "Use an image that needs no login, and remove sky.registry and registryPassword where no other infra needs them",
    except: (infra, { config }) =>
      infraKind(infra) === "Kubernetes" &&
      kubernetesSections([infra]).every((section) => hasPullSecrets(config, section)),
  },
  {
    feature: "volumes",
    setting: ["sky", "volumes"],
    asked: ({ volumes }) => (Object.values(volumes).every(isHostVolume) ? undefined : "volumes"),
    remedy: "Remove sky.volumes; sky.fileMounts brings buckets",
  },
  {
    feature: "hourlyCost",
    setting: ["sky", "maxHourlyCost"],
    asked: ({ maxHourlyCost }) =>
      maxHourlyCost === undefined ? undefined : `machines of at most $${maxHourlyCost} an hour`,
    remedy: "Remove sky.maxHourlyCost; limits.dollarsPerHour counts there too, where SkyPilot has prices",
  },
];

export function infraChecks(known: Known): Problem[] {
  const { sky, target } = known;
  if (sky === undefined || target === "local") return [];
  return [...featureProblems(known, sky), ...balancerProblems(known, sky)];
}

function featureProblems(known: Known, sky: Sky): Problem[] {
  return FEATURES.flatMap(({ feature, setting, asked, remedy, except }): Problem[] => {
    const what = asked(sky, known);
    const unable = sky.infra.filter((infra) => cannot(infra, feature) && except?.(infra, sky) !== true);
    const [first] = unable;
    if (what === undefined || first === undefined) return [];
    const others =
      unable.length === sky.infra.length ? "" : `, or take ${unable.join(", ")} out of sky.infra`;
    const message = `asks ${show(first)} for ${what}, which SkyPilot cannot do on ${infraKind(first) ?? cloudOf(first)}. ${typeof remedy === "string" ? remedy : remedy(first, sky, known)}${others}.`;
    return [{ path: typeof setting === "function" ? setting(sky, known) : setting, message }];
  });
}

/**
 * On Kubernetes the port that SkyPilot opens is a service of all pods of the cluster, and only the first one
 * has the gateway (`open_ports`):
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/provision/kubernetes/network.py
 */
function balancerProblems({ cluster, placement }: Known, { openEndpoint, infra }: Sky): Problem[] {
  const first = infra.find((one) => infraKind(one) === "Kubernetes");
  const isSmall = cluster === undefined || cluster.nodes < 2 || placement !== "shared";
  if (!openEndpoint || first === undefined || isSmall) return [];
  const message = `asks ${show(first)} for a load balancer before all ${cluster.nodes} pods, of which only the first has the gateway: the others refuse what it sends them. Set cluster.nodes to 1, or placement to "dedicated", where the gateway's cluster has one pod; or set this to false, and make a service of the first pod yourself (its label: component: CLUSTER_ON_KUBERNETES-head).`;
  return [{ path: ["sky", "openEndpoint"], message }];
}
