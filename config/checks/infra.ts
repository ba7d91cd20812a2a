/**
 * What is asked of an infra that SkyPilot cannot do there. SkyPilot says so when the launch is under way, and where there are several infras
 * it passes such a one over in silence.
 *
 * From SkyPilot 0.14.1, `_CLOUD_UNSUPPORTED_FEATURES` and what is taken off it for a cluster that has more (spot of Kubernetes with labels for
 * it, containers on Slurm with Pyxis), which nobody but SkyPilot can know:
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/clouds/slurm.py and `kubernetes.py`; what asks for a feature is in `resources.py`
 * (`get_required_cloud_features`) and `execution.py`.
 */
import { type InfraKind, infraKind } from "../infra";
import type { Problem, SettingPath } from "../problems";
import type { ParsedConfig } from "../schema";
import { show } from "../values";
import type { Known } from ".";

type Sky = ParsedConfig["sky"];

/** One thing that may be asked for. */
interface Feature {
  readonly setting: SettingPath;
  /** What is asked for, as a message has it; undefined when it is not. */
  readonly asked: (sky: Sky) => string | undefined;
  readonly missingOn: readonly InfraKind[];
  readonly remedy: string;
}

/** What `sky.autostopDown: false` asks for. */
function keptClusters({ autostopMinutes, autostopDown }: Sky): string | undefined {
  return autostopMinutes !== undefined && !autostopDown ? "clusters that are stopped and kept" : undefined;
}
const TAKE_DOWN = "Remove sky.autostopDown: clusters are taken down then";

const FEATURES: readonly Feature[] = [
  {
    setting: ["sky", "useSpot"],
    asked: ({ useSpot }) => (useSpot ? "spot instances" : undefined),
    missingOn: ["Slurm"],
    remedy: "Set sky.useSpot to false",
  },
  {
    setting: ["sky", "openEndpoint"],
    asked: ({ openEndpoint }) => (openEndpoint ? "ports that are opened" : undefined),
    missingOn: ["Slurm"],
    remedy: "Set sky.openEndpoint to false, and reach the endpoint from the cluster's network",
  },
  {
    setting: ["sky", "autostopDown"],
    // A container is stopped where Slurm has Pyxis.
    asked: (sky) => (sky.image?.startsWith("docker:") === true ? undefined : keptClusters(sky)),
    missingOn: ["Slurm"],
    remedy: TAKE_DOWN,
  },
  {
    setting: ["sky", "autostopDown"],
    asked: keptClusters,
    missingOn: ["Kubernetes"],
    remedy: TAKE_DOWN,
  },
  {
    setting: ["sky", "diskTier"],
    asked: ({ diskTier }) =>
      diskTier === undefined || diskTier === "best" || diskTier === "none"
        ? undefined
        : `the disk tier ${show(diskTier)}`,
    missingOn: ["Kubernetes"],
    remedy: "Remove sky.diskTier",
  },
];

export function infraChecks({ sky, target }: Known): Problem[] {
  if (sky === undefined || target === "local") return [];
  return FEATURES.flatMap(({ setting, asked, missingOn, remedy }): Problem[] => {
    const what = asked(sky);
    const unable = sky.infra.filter((infra) => missingOn.some((kind) => kind === infraKind(infra)));
    const [first] = unable;
    if (what === undefined || first === undefined) return [];
    const others =
      unable.length === sky.infra.length ? "" : `, or take ${unable.join(", ")} out of sky.infra`;
    const message = `asks ${show(first)} for ${what}, which SkyPilot cannot do on ${infraKind(first)}. ${remedy}${others}.`;
    return [{ path: setting, message }];
  });
}
