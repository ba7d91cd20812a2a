/**
 * SkyPilot requires that a pod's user is root or has sudo (`pre_init` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/provision/kubernetes/instance.py). NVIDIA's
 * images, and images built on them, set another user and have no sudo, so a pod with an image runs as root
 * unless the configuration sets another user. Pure.
 */
import type { DeploymentConfig } from "../config/deployment";
import { kubernetesSections } from "../config/infra";
import { podUsers, RAY_NODE, withPodSection } from "../config/podConfig";

type SkyConfig = NonNullable<DeploymentConfig["sky"]["config"]>;

/** The images set HOME to their own user's, while an ssh login as root looks for keys in root's. */
const ROOT = {
  name: RAY_NODE,
  securityContext: { runAsUser: 0 },
  env: [{ name: "HOME", value: "/root" }],
} as const;

/**
 * SkyPilot's configuration for the task: the user's own, plus the pod's user if a pod may run the image.
 * @param image Image of the nodes; undefined for SkyPilot's own image, whose user has sudo.
 */
export function taskConfig(
  { infra, config }: Pick<DeploymentConfig["sky"], "infra" | "config">,
  image: string | undefined,
): SkyConfig | undefined {
  if (image === undefined) return config;
  return kubernetesSections(infra)
    .filter((section) => podUsers(config, section).length === 0)
    .reduce<SkyConfig | undefined>(
      (sum, section) => withPodSection(sum, section, structuredClone(ROOT)),
      config,
    );
}
