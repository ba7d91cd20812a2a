/** The lab's Kubernetes in tests: what is in it, asked from its API server. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { kubectl } from "../../dev/lab/kubernetes/daemons";
import { LAB_MARK } from "../../toolchain/labLayout";
import { KUBERNETES } from "../../toolchain/labs";

/** Marks the processes of tests, so that stopping the lab kills leftovers. */
export const MARK = { [LAB_MARK]: KUBERNETES.root };

/** @throws Error that says how to start the lab; tests do not start it. */
export function requireKubernetes(): void {
  if (!existsSync(KUBERNETES.etc))
    throw new Error("The lab's Kubernetes is not up: run these tests by 'npm test -- --project kubernetes'.");
}

/** The output of `kubectl`. */
export async function askKubernetes(...args: readonly string[]): Promise<string> {
  const [program, words] = kubectl(...args);
  const { stdout } = await promisify(execFile)(program, [...words], { timeout: 60_000 });
  return stdout;
}

/**
 * `kind/name` of everything that a deployment may leave in the namespace of its pods, sorted. Not SkyPilot's
 * own service account and roles, which it makes once and keeps.
 */
export async function objects(): Promise<string[]> {
  const kinds = "pods,services,secrets,configmaps,deployments,jobs,persistentvolumeclaims,ingresses";
  const found = await askKubernetes("get", kinds, "-o", "name");
  return found.split("\n").filter(Boolean).toSorted();
}

export interface Pod {
  readonly name: string;
  readonly node: string;
}

export async function pods(): Promise<Pod[]> {
  const { items }: { items: { metadata: { name: string }; spec: { nodeName?: string } }[] } = JSON.parse(
    await askKubernetes("get", "pods", "-o", "json"),
  );
  return items.map(({ metadata, spec }) => ({ name: metadata.name, node: spec.nodeName ?? "" }));
}
