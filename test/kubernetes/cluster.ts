/** The lab's Kubernetes in tests: what is in it, asked from its API server. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import type { ConfigInput } from "../../config/schema";
import { ctrOf, kubectl } from "../../dev/lab/kubernetes/daemons";
import { kubernetesProcesses } from "../../dev/lab/kubernetes/traces";
import { programOf } from "../../lib/processes";
import { KUBERNETES_NODES } from "../../toolchain/kubernetesLabLayout";
import { LAB_MARK } from "../../toolchain/labLayout";
import { KUBERNETES } from "../../toolchain/labs";
import { LabSky, REPOSITORY } from "../lab/harness";

export const KUBERNETES_SKY = new LabSky(KUBERNETES);

/** Of a test. Unit: milliseconds. Ten minutes were too few for two cores that did other work as well. */
export const TIMEOUT = 1_800_000;

/** What goes by itself, once nothing holds it. */
export const GONE = { timeout: 300_000, interval: 1000 };

/** Marks the processes of tests, so that stopping the lab kills leftovers. */
export const MARK = { [LAB_MARK]: KUBERNETES.root };

/** @throws Error that says how to start the lab; tests do not start it. */
export function requireKubernetes(): void {
  if (!existsSync(KUBERNETES.etc))
    throw new Error("The lab's Kubernetes is not up: run these tests by 'npm test -- --project kubernetes'.");
}

/** The committed stack for this lab, as users take it. */
export function committed(): ConfigInput {
  const file = join(REPOSITORY, "examples", "stacks", "Pulumi.kubernetes.yaml");
  const { config }: { config: Record<string, unknown> } = parse(readFileSync(file, "utf8"));
  const named = Object.entries(config).map(([key, value]) => [key.replace("dynamo-sky:", ""), value]);
  return Object.fromEntries(named);
}

/** The output of `kubectl`. */
export async function askKubernetes(...args: readonly string[]): Promise<string> {
  const [program, words] = kubectl(...args);
  const { stdout } = await promisify(execFile)(program, [...words], { timeout: 120_000 });
  return stdout;
}

/** Gives `kubectl` an object with these words: `apply`, `delete`. */
export function givenKubernetes(object: object, ...args: readonly string[]): Promise<string> {
  const [program, words] = kubectl(...args, "-f", "-");
  const given = promisify(execFile)(program, [...words], { timeout: 120_000 });
  given.child.stdin?.end(JSON.stringify(object));
  return given.then(({ stdout }) => stdout);
}

/** Id of a program's process in any pod; 0 if it does not run. The pods' processes are this machine's. */
export function processOfProgram(program: string): number {
  return kubernetesProcesses().find((pid) => programOf(pid) === program) ?? 0;
}

/** Ids of the first process of each container, as containerd has them. */
export async function firstProcesses(): Promise<number[]> {
  const lists = await Promise.all(
    KUBERNETES_NODES.map(({ name }) => promisify(execFile)("ctr", [...ctrOf(name), "tasks", "list"])),
  );
  return lists.flatMap(({ stdout }) =>
    [...stdout.matchAll(/^[0-9a-f]+\s+(\d+)\s+RUNNING/gm)].map(([, pid]) => Number(pid)),
  );
}

/**
 * `kind/name` of everything that a deployment may leave in the namespace of its pods, sorted. Not SkyPilot's
 * own service account and roles, which it makes once and keeps.
 */
export async function objects(): Promise<string[]> {
  const kinds = "pods,services,secrets,configmaps,deployments,jobs,persistentvolumeclaims,ingresses";
  return namesOf(kinds);
}

/** `kind/name` of all objects of some kinds, sorted. @param options More ones of `kubectl get`. */
export async function namesOf(kinds: string, ...options: readonly string[]): Promise<string[]> {
  const found = await askKubernetes("get", kinds, "-o", "name", ...options);
  return found.split("\n").filter(Boolean).toSorted();
}

export interface Pod {
  readonly name: string;
  readonly node: string;
}

/** The names of the nodes that have a pod, sorted. */
export async function nodesWithPods(): Promise<string[]> {
  return (await pods()).map(({ node }) => node).toSorted();
}

/** The pod of a cluster's second node, wherever the scheduler has put it. @throws Error if there are more. */
export async function workerPod(): Promise<Pod> {
  const [pod, ...others] = (await pods()).filter(({ name }) => name.endsWith("-worker1"));
  if (pod === undefined || others.length > 0) throw new Error(`${others.length} second nodes, not one`);
  return pod;
}

export async function pods(): Promise<Pod[]> {
  const { items }: { items: { metadata: { name: string }; spec: { nodeName?: string } }[] } = JSON.parse(
    await askKubernetes("get", "pods", "-o", "json"),
  );
  return items.map(({ metadata, spec }) => ({ name: metadata.name, node: spec.nodeName ?? "" }));
}
