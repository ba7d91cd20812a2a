/**
 * The pod section of SkyPilot's configuration (`kubernetes.pod_config`), merged like SkyPilot's
 * `merge_k8s_configs`.
 */
import type { SettingPath } from "./problems";
import { nearest } from "./values";

/** Plain data, as in YAML. */
type Plain = Readonly<Record<string, unknown>>;
export type PodSection = "kubernetes" | "ssh";

/** SkyPilot's main container; a container of `pod_config` without a name is taken for it too. */
export const RAY_NODE = "ray-node";

function isObject(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((part, key) => (isObject(part) ? part[key] : undefined), value);
}

function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** Whether it has image pull secrets. */
export function hasPullSecrets(config: unknown, section: PodSection): boolean {
  return listAt(config, section, "pod_config", "spec", "imagePullSecrets").length > 0;
}

/** A setting of the pod's user. */
export interface PodUser {
  /** Path below `sky.config`. */
  readonly path: SettingPath;
  readonly value: unknown;
}

/**
 * Settings of a user of SkyPilot's container other than root. What the container says of a user counts, and
 * the pod's else: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/.
 */
export function podUsers(config: unknown, section: PodSection): readonly PodUser[] {
  const spec = [section, "pod_config", "spec"];
  const inContainer = listAt(config, ...spec, "containers").flatMap((container, index) =>
    isRayNode(container) ? userSettings(container, [...spec, "containers", index]) : [],
  );
  const ofPod = userSettings(at(config, ...spec), spec).filter(({ key }) =>
    inContainer.every((one) => one.key !== key),
  );
  return [...ofPod, ...inContainer]
    .filter(({ value }) => value !== false && value !== 0)
    .map(({ path, value }) => ({ path, value }));
}

function userSettings(owner: unknown, above: SettingPath) {
  return ["runAsUser", "runAsNonRoot"].flatMap((key) => {
    const value = at(owner, "securityContext", key);
    return value === undefined ? [] : [{ key, path: [...above, "securityContext", key], value }];
  });
}

/** Keys of a pod that SkyPilot takes, and of its specification, in Kubernetes' own API. */
const POD_KEYS = ["apiVersion", "kind", "metadata", "spec", "status"];
export const POD_SPEC_KEYS = [
  ...["activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers", "dnsConfig"],
  ...["dnsPolicy", "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC", "hostNetwork"],
  ...["hostPID", "hostUsers", "hostname", "hostnameOverride", "imagePullSecrets", "initContainers"],
  ...["nodeName", "nodeSelector", "os", "overhead", "preemptionPolicy", "priority", "priorityClassName"],
  ...["readinessGates", "resourceClaims", "resources", "restartPolicy", "runtimeClassName", "schedulerName"],
  ...["schedulingGates", "securityContext", "serviceAccount", "serviceAccountName", "setHostnameAsFQDN"],
  ...["shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds", "tolerations"],
  ...["topologySpreadConstraints", "volumes", "workloadRef"],
];

/** A key of the pod that Kubernetes does not know. */
export interface UnknownPodKey {
  /** Path below `sky.config`. */
  readonly path: SettingPath;
  readonly near: string | undefined;
  /** What is allowed there. */
  readonly keys: readonly string[];
}

/**
 * Keys that Kubernetes does not know. Of a specification those that belong above it or are like a known one:
 * a newer Kubernetes may know others.
 */
export function unknownPodKeys(config: unknown, section: PodSection): UnknownPodKey[] {
  const pod = at(config, section, "pod_config");
  if (!isObject(pod)) return [];
  const path = [section, "pod_config"];
  const unknown = (object: unknown, keys: readonly string[], above: SettingPath) =>
    Object.keys(isObject(object) ? object : {})
      .filter((key) => !keys.includes(key))
      .map((key) => ({ path: [...above, key], key, near: nearest(key, keys), keys }));
  return [
    // What belongs one group below is told so.
    ...unknown(pod, POD_KEYS, path).map((one) =>
      one.near === undefined && POD_SPEC_KEYS.includes(one.key) ? { ...one, near: `spec.${one.key}` } : one,
    ),
    ...unknown(pod["spec"], POD_SPEC_KEYS, [...path, "spec"]).filter(
      ({ near, key }) => near !== undefined || POD_KEYS.includes(key),
    ),
  ];
}

/** A variable of one of the pod's containers. */
export interface PodVariable {
  /** Path below `sky.config`. */
  readonly path: SettingPath;
  readonly name: string;
  readonly value: string;
}

/** Variables with a value; those from a secret of the cluster have none. */
export function podVariables(config: unknown, section: PodSection): readonly PodVariable[] {
  const spec = [section, "pod_config", "spec"];
  return listAt(config, ...spec, "containers").flatMap((container, index) =>
    listAt(container, "env").flatMap((entry, position): PodVariable[] => {
      const [name, value] = [at(entry, "name"), at(entry, "value")];
      if (typeof name !== "string" || typeof value !== "string") return [];
      return [{ path: [...spec, "containers", index, "env", position], name, value }];
    }),
  );
}

function isRayNode(container: unknown): boolean {
  const name = at(container, "name");
  return isObject(container) && (name === undefined || name === RAY_NODE);
}

/** SkyPilot's container in `pod_config`. */
interface RayNode {
  readonly name: typeof RAY_NODE;
  readonly securityContext: Plain;
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** Adds to SkyPilot's container; existing values are kept. */
export function withPodSection<T extends Plain>(
  config: T | undefined,
  section: PodSection,
  more: RayNode,
): T & Plain {
  const spec = at(config, section, "pod_config", "spec");
  const containers = listAt(spec, "containers");
  const index = containers.findIndex(isRayNode);
  const own = containers[index];
  const merged = isObject(own) ? mergedContainer(own, more) : more;
  const all = index < 0 ? [...containers, merged] : containers.with(index, merged);
  const podConfig = at(config, section, "pod_config");
  return {
    ...(config as T),
    [section]: {
      ...(at(config, section) as Plain | undefined),
      pod_config: {
        ...(podConfig as Plain | undefined),
        spec: { ...(spec as Plain | undefined), containers: all },
      },
    },
  };
}

function mergedContainer(own: Plain, more: RayNode): Plain {
  const env = listAt(own, "env");
  const names = new Set(env.map((entry) => at(entry, "name")));
  const added = more.env.filter(({ name }) => !names.has(name));
  const context = own["securityContext"];
  return {
    ...own,
    securityContext: { ...more.securityContext, ...(isObject(context) ? context : {}) },
    env: [...env, ...added],
  };
}
