/** Texts that the lab's Kubernetes is made of, and how its processes are told apart. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { VERSIONS } from "../../config/versions";
import { configurations, containerdConfig, kubeletConfig } from "../../dev/lab/kubernetes/files";
import { imageFiles } from "../../dev/lab/kubernetes/image";
import { claimedFiles, nodeScript } from "../../dev/lab/kubernetes/machine";
import { networkScript } from "../../dev/lab/kubernetes/network";
import { containerIn } from "../../dev/lab/kubernetes/traces";
import { kubernetesModule } from "../../toolchain/kubernetes";
import { KUBERNETES_LAB, KUBERNETES_NODE, KUBERNETES_NODES } from "../../toolchain/kubernetesLabLayout";
import { LABS } from "../../toolchain/labs";

const [FIRST, SECOND] = KUBERNETES_NODES;

describe("the two labs", () => {
  it("can run beside each other: no directory, lock or port of one is the other's", () => {
    for (const key of ["infra", "root", "lock", "borrowed", "skyPilotPort", "up"] as const)
      expect(new Set(LABS.map((lab) => lab[key])).size).toBe(LABS.length);
    // A process belongs to a lab by the lab's path in its command line.
    for (const { root } of LABS)
      expect(LABS.filter((other) => `${root}/`.startsWith(`${other.root}/`))).toHaveLength(1);
  });
});

describe("Kubernetes' programs", () => {
  const goMod =
    "module k8s.io/kubernetes\nrequire k8s.io/api v0.0.0\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";

  it("are of one release, whose parts are modules of their own", () => {
    const { files, variables } = kubernetesModule(goMod);
    const [, minor, patch] = VERSIONS.kubernetes.split(".");
    expect(files["go.mod"]).toContain(`require k8s.io/kubernetes v${VERSIONS.kubernetes}\n`);
    expect(files["go.mod"]).toContain(`replace k8s.io/api => k8s.io/api v0.${minor}.${patch}\n`);
    expect(variables["k8s.io/component-base/version.gitVersion"]).toBe(`v${VERSIONS.kubernetes}`);
  });
});

describe("a node", () => {
  it("has nothing of the other's: no socket, port, directory or control group", () => {
    const [own, other] = [FIRST, SECOND].map((node) => parse(kubeletConfig(node)));
    for (const key of [
      "address",
      "port",
      "healthzPort",
      "cgroupRoot",
      "containerRuntimeEndpoint",
      "podLogsDir",
    ])
      expect(own[key]).not.toEqual(other[key]);
    expect(containerdConfig(FIRST.name)).not.toContain(SECOND.name);
  });

  it("claims its CPUs and memory, and keeps the rest of what the kernel says", () => {
    const claimed = claimedFiles("MemTotal:  24 kB\nMemFree:  7 kB\nMemAvailable:  9 kB\n");
    const kib = KUBERNETES_NODE.memoryGiB * 1024 * 1024;
    expect(claimed["meminfo"]?.split("\n").map((line) => line.split(/\s+/))).toEqual([
      ["MemTotal:", String(kib), "kB"],
      ["MemFree:", "7", "kB"],
      ["MemAvailable:", String(kib), "kB"],
      [""],
    ]);
    const cores = Object.keys(claimed).filter((name) => name.endsWith("/core_id"));
    expect(cores).toHaveLength(KUBERNETES_NODE.cpus);
  });

  /** As `/proc/<pid>/cgroup` was in a pod of the lab. */
  const ID = "5d9c3583e5ed4d7df07cc5a96f0c9c8c049336b55b4e0e324301c333862d88f0";
  it.each([
    ["a pod", `9:name=systemd:/k8s.io/${ID}\n4:memory:/k8s.io/${ID}\n0::/k8s.io/${ID}\n`, ID],
    ["a pod on a machine with control groups v2", `0::/k8s.io/${ID}\n`, ID],
    ["a group that the pod's program made", `4:memory:/k8s.io/${ID}/inner\n0::/\n`, ID],
    ["a daemon of the lab", "4:memory:/user.slice\n0::/\n", undefined],
    ["a pod of a kubelet that manages groups", `0::/kubepods/pod1/${ID}\n`, undefined],
    ["something of a like name", `0::/k8s.io-other/${ID}\n`, undefined],
  ])("knows the container of a process in %s by its control group", (_what, cgroups, id) => {
    expect(containerIn(cgroups)).toBe(id);
  });
});

describe("files", () => {
  it.each([
    ["the network", networkScript()],
    ["a node", nodeScript(FIRST.name)],
  ])("of %s can be read by a shell", (_what, script) => {
    const { status, stderr } = spawnSync("sh", ["-n"], { input: script, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it("name no file of the machine's own Kubernetes", () => {
    const all = Object.values(configurations(KUBERNETES_NODES)).join("\n");
    const paths = [...all.matchAll(/\/(?:var|etc|run)\/[\w./-]+/g)].map(([path]) => path);
    expect(paths.filter((path) => !path.startsWith(`${KUBERNETES_LAB.root}/`))).toEqual([]);
  });
});

it("an image has one layer, known by its hash", () => {
  const { config, manifest } = imageFiles("0a1b", "docker.io/x/y:1", { PATH: "/bin" }, ["/pause"]);
  expect(config.rootfs.diff_ids).toEqual(["sha256:0a1b"]);
  expect(config.config).toEqual({ Env: ["PATH=/bin"], Entrypoint: ["/pause"] });
  expect(manifest).toEqual([{ Config: "config.json", RepoTags: ["docker.io/x/y:1"], Layers: ["layer.tar"] }]);
});
