/**
 * Replicas with a cluster each on Kubernetes (`placement: dedicated`), in pods as the user's own settings
 * have them: a toleration for nodes that are kept for a team, labels, shared memory, and a volume that all
 * pods mount.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { KUBERNETES_LAB } from "../../toolchain/kubernetesLabLayout";
import { ask, endpointOf, reason, titled } from "../lab/harness";
import { LabStack } from "../lab/labStack";
import {
  askKubernetes,
  committed,
  GONE,
  givenKubernetes,
  KUBERNETES_SKY,
  MARK,
  objects,
  pods,
  processOfProgram,
  requireKubernetes,
  TIMEOUT,
} from "./cluster";

const TAINT = "team=serving:NoSchedule";

/** A volume that all nodes have: a directory of the machine. */
const VOLUME = {
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "kubetest-models" },
  spec: {
    capacity: { storage: "1Gi" },
    accessModes: ["ReadWriteMany"],
    storageClassName: "",
    hostPath: { path: join(KUBERNETES_LAB.tmp, "models") },
  },
};
const CLAIM = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "kubetest-models", namespace: "default" },
  spec: {
    accessModes: ["ReadWriteMany"],
    storageClassName: "",
    volumeName: VOLUME.metadata.name,
    resources: { requests: { storage: "1Gi" } },
  },
};
const OBJECTS = { apiVersion: "v1", kind: "List", items: [VOLUME, CLAIM] };

const POD = {
  metadata: { labels: { team: "serving" } },
  spec: {
    tolerations: [{ key: "team", operator: "Equal", value: "serving", effect: "NoSchedule" }],
    volumes: [
      { name: "models", persistentVolumeClaim: { claimName: CLAIM.metadata.name } },
      // SkyPilot's own, on /dev/shm, which has no limit.
      { name: "dshm", emptyDir: { medium: "Memory", sizeLimit: "2Gi" } },
    ],
    containers: [{ volumeMounts: [{ name: "models", mountPath: "/models" }] }],
  },
};

describe.skipIf(reason !== undefined)(
  titled("a cluster for each replica on Kubernetes"),
  { timeout: TIMEOUT },
  () => {
    let stack: LabStack;
    let before: string[] = [];
    const config: ConfigInput = {
      ...committed(),
      placement: "dedicated",
      cluster: { gpusPerNode: 8, accelerator: "H100" },
      pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
      sky: { ...committed().sky, config: { kubernetes: { pod_config: POD } } },
    };
    const inPod = (pod: string, words: string) => askKubernetes("exec", pod, "--", "sh", "-c", words);

    beforeAll(async () => {
      requireKubernetes();
      mkdirSync(VOLUME.spec.hostPath.path, { recursive: true });
      await givenKubernetes(OBJECTS, "apply");
      await askKubernetes("taint", "nodes", "--all", TAINT);
      before = await objects();
      stack = new LabStack("kubededicated", "test", MARK);
      stack.configure(config);
    }, TIMEOUT);
    afterAll(async () => {
      await stack.end();
      await askKubernetes("taint", "nodes", "--all", `${TAINT}-`);
      await givenKubernetes(OBJECTS, "delete");
    }, TIMEOUT);

    it("comes up, and answers from both", async () => {
      const { code, told, outputs } = await stack.do("up");
      expect(code, told).toBe(0);
      expect(await KUBERNETES_SKY.clusters()).toHaveLength(3);
      const endpoint = endpointOf(outputs, (await stack.deployment()).apiKey);
      const workers = new Set<string>();
      const another = async () => workers.add((await ask(endpoint, "Hello?")).worker).size;
      await expect.poll(another, GONE).toBe(2);
      for (const name of ["aggregated-0", "aggregated-1"]) expect(processOfProgram(name)).toBeGreaterThan(0);
    });

    it("has the user's settings in each pod", async () => {
      const own = await askKubernetes("get", "pods", "-l", "team=serving", "-o", "name");
      expect(own.trim().split("\n")).toHaveLength(3);
      const names = (await pods()).map(({ name }) => name);
      for (const name of names) {
        expect(await inPod(name, "df -k --output=size /dev/shm | tail -1")).toMatch(/^\s*2097152\s*$/);
        await inPod(name, `touch /models/${name}`);
      }
      expect((await inPod(names[0] ?? "", "ls /models")).trim().split("\n").toSorted()).toEqual(
        names.toSorted(),
      );
    });

    it("goes, and leaves nothing but the user's claim", async () => {
      const { code, told } = await stack.do("destroy");
      expect(code, told).toBe(0);
      await expect.poll(objects, GONE).toEqual(before);
    });
  },
);
