/**
 * SkyPilot requires that a node's user is root or has sudo: its setup of every node ends with
 * `sudo bash -c …` (`SET_SSH_MAX_SESSIONS_CONFIG_CMD` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/skylet/constants.py). NVIDIA's images, and images
 * built on them, set another user and have no sudo, so an image runs as root unless the configuration sets
 * another user: in a pod by its specification, on clouds' machines by the options of `docker run`. Pure.
 */
import type { DeploymentConfig } from "../config/deployment";
import { cloudOf, kubernetesSections, takesRunOptions } from "../config/infra";
import { podUsers, RAY_NODE, withPodSection } from "../config/podConfig";
import { isRootUser, RUN_OPTIONS, runOptions, userOfRunOptions } from "../config/runOptions";

type SkyConfig = NonNullable<DeploymentConfig["sky"]["config"]>;

/** The images set HOME to their own user's, while an ssh login as root looks for keys in root's. */
const HOME = { name: "HOME", value: "/root" } as const;
const ROOT = { name: RAY_NODE, securityContext: { runAsUser: 0 }, env: [HOME] } as const;
const ROOT_OPTIONS = ["--user=0", `--env=${HOME.name}=${HOME.value}`] as const;

/**
 * SkyPilot's configuration for the task: the user's own, plus the user of the container where a container may
 * run the image.
 * @param image Image of the nodes; undefined for SkyPilot's own image, whose user has sudo.
 */
export function taskConfig(
  { infra, config }: Pick<DeploymentConfig["sky"], "infra" | "config">,
  image: string | undefined,
): SkyConfig | undefined {
  if (image === undefined) return config;
  const withPods = kubernetesSections(infra)
    .filter((section) => podUsers(config, section).length === 0)
    .reduce<SkyConfig | undefined>(
      (sum, section) => withPodSection(sum, section, structuredClone(ROOT)),
      config,
    );
  return image.startsWith("docker:") && mayRunDocker(infra) ? withRunOptions(withPods) : withPods;
}

function mayRunDocker(infra: readonly string[]): boolean {
  return infra.length === 0 || infra.some((one) => cloudOf(one) === "*" || takesRunOptions(one));
}

/** The user's own come last: Docker takes the last one of each. */
function withRunOptions(config: SkyConfig | undefined): SkyConfig | undefined {
  const user = userOfRunOptions(config);
  if (user !== undefined && !isRootUser(user)) return config;
  const [section, key] = RUN_OPTIONS;
  return { ...config, [section]: { [key]: [...ROOT_OPTIONS, ...runOptions(config)] } };
}
