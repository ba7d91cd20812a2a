/**
 * A deployment in one pod, in a namespace of its own, whose endpoint a load balancer opens, with an RDMA
 * device and a limit of memory that its programs come up against. What a cloud's controller and a device
 * plugin would do stands in the test: it gives the load balancer its address, and the node its devices.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { processesInPods } from "../../dev/lab/kubernetes/traces";
import { commandOfProcess } from "../../lib/processes";
import {
  KUBERNETES_NODES,
  KUBERNETES_TEAM,
  KUBERNETES_TEAM_INFRA,
} from "../../toolchain/kubernetesLabLayout";
import { ask, type Endpoint, endpointOf, reason, titled } from "../lab/harness";
import { LabStack } from "../lab/labStack";
import {
  askKubernetes,
  committed,
  GONE,
  givenKubernetes,
  KUBERNETES_SKY,
  MARK,
  namesOf,
  processOfProgram,
  requireKubernetes,
  TIMEOUT,
} from "./cluster";

const NAMESPACE = { apiVersion: "v1", kind: "Namespace", metadata: { name: KUBERNETES_TEAM } };
/** On the pods' network, which the machine has a route to. */
const BALANCER = "10.88.255.10";
const DEVICE = "rdma/ib";
const LIMIT_GIB = 6;

/** Takes more and more of a pod's memory until a process of it is gone. */
const EATER = join(__dirname, "eater.py");

/** Kills what runs in pods with these words in its command. */
function killAllWith(words: string): void {
  for (const pid of processesInPods().filter((one) => commandOfProcess(one).includes(words)))
    process.kill(pid, "SIGKILL");
}

describe.skipIf(reason !== undefined)(titled("one pod on Kubernetes"), { timeout: TIMEOUT }, () => {
  let stack: LabStack;
  let endpoint: Endpoint;
  const { sky, ...rest } = committed();
  const limits = { memory: `${LIMIT_GIB}Gi`, [DEVICE]: 1 };
  const config: ConfigInput = {
    ...rest,
    cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100" },
    pools: [{ role: "aggregated", replicas: 2, tensorParallel: 4 }],
    sky: {
      ...sky,
      infra: KUBERNETES_TEAM_INFRA,
      openEndpoint: true,
      // SkyPilot's own, 4 for each CPU, is more than the limit.
      memory: 4,
      config: { kubernetes: { pod_config: { spec: { containers: [{ resources: { limits } }] } } } },
    },
  };
  const ofTeam = (...args: readonly string[]) => askKubernetes(...args, "--namespace", KUBERNETES_TEAM);
  const named = (kinds: string) => namesOf(kinds, "--namespace", KUBERNETES_TEAM);
  const patchNodes = (patch: object) =>
    Promise.all(
      KUBERNETES_NODES.map(({ name }) =>
        askKubernetes(
          ...["patch", "node", name, "--subresource=status", "--type=merge", "-p"],
          JSON.stringify({ status: { capacity: patch } }),
        ),
      ),
    );

  const answersAfterUpdate = async () => {
    const { code, told } = await stack.do("up");
    expect(code, told).toBe(0);
    for (const name of ["aggregated-0", "aggregated-1"]) expect(processOfProgram(name)).toBeGreaterThan(0);
    expect((await ask(endpoint, "Hello?")).tokens).toBeGreaterThan(0);
  };

  beforeAll(async () => {
    requireKubernetes();
    await givenKubernetes(NAMESPACE, "apply");
    await patchNodes({ [DEVICE]: "4" });
    stack = new LabStack("kubeone", "test", MARK);
    stack.configure(config);
  }, TIMEOUT);
  afterAll(async () => {
    await stack.end();
    await patchNodes({ [DEVICE]: null });
    await givenKubernetes(NAMESPACE, "delete");
  }, TIMEOUT);

  it("comes up at the address that its load balancer is given", async () => {
    const up = stack.do("up");
    const balancers = async () => (await named("services")).filter((name) => name.includes("skypilot-lb"));
    await expect.poll(balancers, GONE).toHaveLength(1);
    const given = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: BALANCER }] } } });
    const [balancer = ""] = await balancers();
    await ofTeam("patch", balancer, "--subresource=status", "--type=merge", "-p", given);
    const { code, told, outputs } = await up;
    expect(code, told).toBe(0);
    endpoint = endpointOf(outputs, (await stack.deployment()).apiKey);
    expect(endpoint.endpoint).toMatch(new RegExp(`^https://${BALANCER}:`));
    for (let n = 0; n < 40; n++) expect((await ask(endpoint, "Hello?")).tokens).toBeGreaterThan(0);
  });

  it("is in the namespace of its context, and has the device and the limit", async () => {
    expect(await named("pods")).toHaveLength(1);
    const own = "jsonpath={.items[0].spec.containers[0].resources.limits}";
    expect(JSON.parse(await ofTeam("get", "pods", "-o", own))).toMatchObject({
      memory: `${LIMIT_GIB}Gi`,
      [DEVICE]: "1",
    });
  });

  it("is told to be out of memory when its programs come up against the limit, and answers after an update", async () => {
    const worker = processOfProgram("aggregated-1");
    await promisify(execFile)("python3", [EATER, String(worker)]);
    const told = `${(await stack.look("status")).stdout}${(await stack.look("logs", "--tail", "200")).stdout}`;
    expect(told).toMatch(/the kernel killed \d+ process(es)? here for want of memory/);
    await answersAfterUpdate();
  });

  it("is drift where nothing of its task runs though SkyPilot says it, and answers after an update", async () => {
    // As the kernel leaves a pod: what would note the job's end has ended too.
    for (const words of ["skylet.skylet", "sky_job_", "supervisor.supervisord"]) killAllWith(words);
    const drift = await stack.do("drift");
    expect(drift.code, drift.told).toBe(2);
    expect(drift.told).toContain("no supervisor runs on node 0, though SkyPilot says that the task does");
    await answersAfterUpdate();
  });

  it("goes, and leaves no pod, service, secret, deployment or ingress", async () => {
    const { code, told } = await stack.do("destroy");
    expect(code, told).toBe(0);
    expect(await KUBERNETES_SKY.clusters()).toEqual([]);
    await expect.poll(() => named("pods,services,secrets,deployments,ingresses"), GONE).toEqual([]);
  });
});
