/** Two nodes: a deployment over both, and the loss of one. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proveRouting } from "../../cli/proof";
import { kill, processesOf } from "../../lib/processes";
import { TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    router: { mode: "kv" },
    cluster: { nodes: 2, gpusPerNode: 1 },
    // etcd stays up here, and the deployment is not ready until a lost worker's lease expires.
    controlPlane: { leaseTtlSeconds: 10 },
    pools: [
      { role: "prefill", replicas: 1 },
      { role: "decode", replicas: 1 },
    ],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name } = deployment;

beforeAll(() => deployment.up());
afterAll(() => deployment.close());

describe("two nodes", () => {
  test("each run a supervisor and programs of their own, and serve together", async () => {
    const [first, second] = await Promise.all([machine.pids(name, 0), machine.pids(name, 1)]);
    expect(Object.keys(first).toSorted()).toEqual(["etcd", "frontend-0", "nats", "prefill-0"]);
    expect(Object.keys(second)).toEqual(["decode-0"]);
    const { endpoint, logs, plan } = deployment;
    const proof = await proveRouting({ endpoint, model: plan.model, logs });
    expect(proof).toMatchObject({ cacheAware: true, disaggregated: true });
  });

  test("one is lost with all that ran on it, and made again while the other runs on", async () => {
    const before = await machine.pids(name, 0);
    for (const { pid } of processesOf(machine.nodeDirectory(name, 1))) kill(pid);
    expect(await deployment.observe()).toMatchObject({ "prefill-0": "RUNNING", "decode-0": "MISSING" });
    await deployment.up();
    expect(await machine.pids(name, 0)).toEqual(before);
    expect(await deployment.observe()).toMatchObject({ "prefill-0": "RUNNING", "decode-0": "RUNNING" });
  });

  test("leave nothing behind", async () => {
    await machine.must("local release", deployment.leaseSpec);
    expect(machine.processes()).toEqual([]);
  });
});
