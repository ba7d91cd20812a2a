/** Features that SkyPilot does not support on Slurm and Kubernetes are rejected, and nothing else. */

import { describe, expect, it, test } from "vitest";
import { dynamoImage } from "../../config/checks/image";
import { TASK_CONFIG_KEYS } from "../../config/checks/skyConfig";
import {
  cannot,
  cloudOf,
  hasCatalog,
  hasNetworkTiers,
  ignores,
  infraKind,
  kubernetesSections,
  runsAsImageUser,
  runsContainers,
  takesRdmaByMachineImage,
  takesRunOptions,
} from "../../config/infra";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { programsOf } from "../../plan/types";
import { type BadInput, messageOf } from "./configMessages";

const TP8 = [{ role: "aggregated", tensorParallel: 8, replicas: 2 }] as const;
const TP16 = [{ role: "aggregated", tensorParallel: 16 }] as const;
const REGISTRY = { server: "nvcr.io", username: "$oauthtoken" };
const NVIDIA = dynamoImage("sglang");
const PRIVATE = { registryPassword: "nvapi-x" };

const BAD: readonly BadInput[] = [
  [
    "volumes on a cloud that has none of SkyPilot's",
    { sky: { infra: ["aws", "k8s/a"], volumes: { "/mnt": "weights" } } },
    [
      'dynamo-sky:sky.volumes: asks "aws" for volumes, which SkyPilot cannot do on aws. Remove sky.volumes; sky.fileMounts brings buckets, or take aws out of sky.infra.',
    ],
  ],
  [
    "a container's image without its prefix",
    { sky: { infra: "lambda", image: "nvcr.io/org/dynamo:1" } },
    [
      'dynamo-sky:sky.image: "nvcr.io/org/dynamo:1" is taken for an image of the cloud\'s machines. Write docker:nvcr.io/org/dynamo:1 for a container.',
    ],
  ],
  [
    "spot on Slurm",
    { sky: { infra: "slurm/hpc", useSpot: true } },
    [
      'dynamo-sky:sky.useSpot: asks "slurm/hpc" for spot instances, which SkyPilot cannot do on Slurm. Set sky.useSpot to false.',
    ],
  ],
  [
    "spot on Slurm beside a cloud",
    { sky: { infra: ["aws", "slurm"], useSpot: true } },
    [
      'dynamo-sky:sky.useSpot: asks "slurm" for spot instances, which SkyPilot cannot do on Slurm. Set sky.useSpot to false, or take slurm out of sky.infra.',
    ],
  ],
  [
    "an open endpoint on Slurm",
    { access: { gateway: true }, sky: { infra: "slurm/hpc", openEndpoint: true } },
    [
      'dynamo-sky:sky.openEndpoint: asks "slurm/hpc" for ports that are opened, which SkyPilot cannot do on Slurm. Set sky.openEndpoint to false, and reach the endpoint from the cluster\'s network.',
    ],
  ],
  [
    "an open endpoint on Kubernetes with several pods",
    { cluster: { nodes: 2 }, pools: TP8, sky: { infra: ["aws", "k8s/a"], openEndpoint: true } },
    [
      'dynamo-sky:sky.openEndpoint: asks "k8s/a" for a load balancer before all 2 pods, of which only the first has the gateway: the others refuse what it sends them. Set cluster.nodes to 1, or placement to "dedicated", where the gateway\'s cluster has one pod; or set this to false, and make a service of the first pod yourself (its label: component: CLUSTER_ON_KUBERNETES-head).',
    ],
  ],
  [
    "stopping what is idle on Slurm",
    { sky: { infra: "slurm/hpc", autostopMinutes: 10, autostopDown: false } },
    [
      'dynamo-sky:sky.autostopDown: asks "slurm/hpc" for clusters that are stopped and kept, which SkyPilot cannot do on Slurm. Remove sky.autostopDown: clusters are taken down then.',
    ],
  ],
  [
    "stopping what is idle on Kubernetes",
    { sky: { infra: ["gcp", "k8s/a", "ssh/rack"], autostopMinutes: 10, autostopDown: false } },
    [
      'dynamo-sky:sky.autostopDown: asks "k8s/a" for clusters that are stopped and kept, which SkyPilot cannot do on Kubernetes. Remove sky.autostopDown: clusters are taken down then, or take k8s/a, ssh/rack out of sky.infra.',
    ],
  ],
  [
    "a disk tier on Kubernetes",
    { sky: { infra: "kubernetes", diskTier: "high" } },
    [
      'dynamo-sky:sky.diskTier: asks "kubernetes" for the disk tier "high", which SkyPilot cannot do on Kubernetes. Remove sky.diskTier.',
    ],
  ],
  [
    "a login at a registry on Kubernetes",
    { ...PRIVATE, sky: { infra: ["aws", "k8s/a"], registry: REGISTRY } },
    [
      'dynamo-sky:sky.registry: asks "k8s/a" for a login at a registry, which SkyPilot cannot do on Kubernetes. Make a secret of type docker-registry there and name it in sky.config (kubernetes.pod_config.spec.imagePullSecrets), and remove sky.registry and registryPassword where no other infra needs them, or take k8s/a out of sky.infra.',
    ],
  ],
  [
    "several nodes on RunPod",
    { cluster: { nodes: 2 }, pools: TP8, sky: { infra: "runpod" } },
    [
      'dynamo-sky:cluster.nodes: asks "runpod" for a cluster of several nodes, which SkyPilot cannot do on runpod. Use one node with all GPUs of a replica.',
    ],
  ],
  [
    "a replica over several nodes on Vast, and RDMA",
    { placement: "dedicated", pools: TP16, sky: { infra: "vast", networkTier: "best" } },
    [
      'dynamo-sky:sky.networkTier: asks "vast" for machines with RDMA, which SkyPilot cannot do on vast. Remove sky.networkTier.',
      'dynamo-sky:cluster.nodes: asks "vast" for a cluster of several nodes, which SkyPilot cannot do on vast. Use one node with all GPUs of a replica.',
    ],
  ],
  [
    "spot, a machine's image and clusters that are kept on Lambda",
    {
      sky: {
        infra: "lambda/us-east-1",
        useSpot: true,
        image: "ami-1",
        autostopMinutes: 5,
        autostopDown: false,
      },
    },
    [
      'dynamo-sky:sky.useSpot: asks "lambda/us-east-1" for spot instances, which SkyPilot cannot do on lambda. Set sky.useSpot to false.',
      'dynamo-sky:sky.autostopDown: asks "lambda/us-east-1" for clusters that are stopped and kept, which SkyPilot cannot do on lambda. Remove sky.autostopDown: clusters are taken down then.',
      'dynamo-sky:sky.image: asks "lambda/us-east-1" for the machine image "ami-1", which SkyPilot cannot do on lambda. Remove sky.image, or name a container\'s image (docker:…).',
    ],
  ],
  [
    "a container on OCI",
    { sky: { infra: "oci", image: "docker:ubuntu:24.04" } },
    [
      'dynamo-sky:sky.image: asks "oci" for a container, which SkyPilot cannot do on oci. Remove sky.image: Dynamo comes from PyPI then.',
    ],
  ],
  [
    "accelerators that NVIDIA's image is not for",
    {
      placement: "dedicated",
      cluster: { accelerator: "MI300X" },
      pools: [{ role: "aggregated", tensorParallel: 8, accelerator: "tpu-v5p-8" }],
    },
    [
      "dynamo-sky:cluster.accelerator: \"MI300X\" is no GPU of NVIDIA's, and what the nodes run by default is built for CUDA. Use a GPU of NVIDIA's, or set sky.image to an image with Dynamo and sglang for this accelerator.",
      "dynamo-sky:pools[0].accelerator: \"tpu-v5p-8\" is no GPU of NVIDIA's, and what the nodes run by default is built for CUDA. Use a GPU of NVIDIA's, or set sky.image to an image with Dynamo and sglang for this accelerator.",
    ],
  ],
  [
    "keys that SkyPilot does not take from a task",
    {
      sky: {
        infra: ["aws", "k8s"],
        config: { aws: { vpc_name: "a" }, kubernetes: { pod_confg: {}, networking: "nodeport" }, docker: 1 },
      },
    },
    [
      `dynamo-sky:sky.config.aws: SkyPilot does not take this from a task. Allowed: ${TASK_CONFIG_KEYS.join(", ")}. Put all else into SkyPilot's own ~/.sky/config.yaml, or that of its API server.`,
      'dynamo-sky:sky.config.kubernetes.pod_confg: SkyPilot does not take this from a task. Did you mean "kubernetes.pod_config"? Put all else into SkyPilot\'s own ~/.sky/config.yaml, or that of its API server.',
      `dynamo-sky:sky.config.kubernetes.networking: SkyPilot does not take this from a task. Allowed: ${TASK_CONFIG_KEYS.filter((key) => key.startsWith("kubernetes.")).join(", ")}. Put all else into SkyPilot's own ~/.sky/config.yaml, or that of its API server.`,
      "dynamo-sky:sky.config.docker: 1 is not an object. Allowed: an object with keys of SkyPilot's config.yaml.",
    ],
  ],
  [
    "configuration of a cloud that is not among the infras",
    { sky: { infra: "aws", config: { kubernetes: { pod_config: {} } } } },
    [
      "dynamo-sky:sky.config.kubernetes: has no effect: none of sky.infra (aws) is kubernetes. Remove it, or add that infra.",
    ],
  ],
  [
    "another user than root for NVIDIA's image in a pod",
    {
      sky: {
        infra: "k8s",
        config: {
          kubernetes: {
            pod_config: {
              spec: {
                securityContext: { runAsNonRoot: true },
                containers: [{ name: "logs" }, { securityContext: { runAsUser: 1000 } }],
              },
            },
          },
        },
      },
    },
    [
      "dynamo-sky:sky.config.kubernetes.pod_config.spec.securityContext.runAsNonRoot: true makes the pod's user another one than root, and SkyPilot needs root or sudo in a pod, which NVIDIA's image does not have. Remove it, or set sky.image to an image with sudo for its user.",
      "dynamo-sky:sky.config.kubernetes.pod_config.spec.containers[1].securityContext.runAsUser: 1000 makes the pod's user another one than root, and SkyPilot needs root or sudo in a pod, which NVIDIA's image does not have. Remove it, or set sky.image to an image with sudo for its user.",
    ],
  ],
  [
    "another user than root for NVIDIA's image on a cloud's machine",
    { sky: { infra: "aws", config: { docker: { run_options: ["--ipc=host", "-u 1000:0"] } } } },
    [
      "dynamo-sky:sky.config.docker.run_options: \"1000:0\" makes the container's user another one than root, and SkyPilot needs root or sudo in a container, which NVIDIA's image does not have. Remove it, or set sky.image to an image with sudo for its user.",
    ],
  ],
  [
    "NVIDIA's image where a container runs as its image's user",
    { sky: { infra: ["runpod", "aws", "vast"], image: NVIDIA } },
    [
      `dynamo-sky:sky.image: "${NVIDIA}" runs as its own user on runpod, vast, without the root or sudo that SkyPilot needs there. Remove it: nodes run SkyPilot's own image then, with Dynamo from PyPI.`,
    ],
  ],
  [
    "a container on FluidStack, whose template has none",
    { sky: { infra: "fluidstack", image: "docker:ubuntu:24.04" } },
    [
      'dynamo-sky:sky.image: asks "fluidstack" for a container, which SkyPilot cannot do on fluidstack. Remove sky.image: Dynamo comes from PyPI then.',
    ],
  ],
];

const GOOD: readonly (readonly [string, ConfigInput["sky"]])[] = [
  ["taking down what is idle on Slurm", { infra: "slurm/hpc", autostopMinutes: 10 }],
  [
    "stopping idle containers on Slurm, which is possible with Pyxis",
    { infra: "slurm/hpc", autostopMinutes: 10, autostopDown: false, image: "docker:ubuntu:24.04" },
  ],
  ["spot on Kubernetes, where nodes may have labels for it", { infra: "k8s/a", useSpot: true }],
  ["an open endpoint on Kubernetes, of one pod", { infra: "k8s/a", openEndpoint: true }],
  ["the best disk that there is on Kubernetes", { infra: "k8s", diskTier: "best" }],
  [
    "all of it on a cloud",
    { infra: ["aws", "gcp"], useSpot: true, autostopMinutes: 10, autostopDown: false, diskTier: "high" },
  ],
  [
    "another user than root in an image that has sudo",
    {
      infra: "k8s",
      image: "docker:registry.example.com/mine:1",
      config: { kubernetes: { pod_config: { spec: { securityContext: { runAsUser: 1000 } } } } },
    },
  ],
  [
    "another user than root in a container that has sudo",
    {
      infra: "aws",
      image: "docker:registry.example.com/mine:1",
      config: { docker: { run_options: ["--user=1000"] } },
    },
  ],
  ["root by a name of its own", { infra: "aws", config: { docker: { run_options: "--user root:root" } } }],
  [
    "NVIDIA's image on Vast, which is asked for root",
    { infra: "vast", image: NVIDIA, config: { vast: { create_instance_kwargs: { user: "root" } } } },
  ],
  ["an image of one's own on RunPod", { infra: "runpod", image: "docker:registry.example.com/mine:1" }],
  [
    "a container as root in a pod of another user",
    {
      infra: "k8s",
      config: {
        kubernetes: {
          pod_config: {
            spec: {
              securityContext: { runAsUser: 1000, runAsNonRoot: true },
              containers: [{ securityContext: { runAsUser: 0, runAsNonRoot: false } }],
            },
          },
        },
      },
    },
  ],
  [
    "keys of a newer Kubernetes",
    { infra: "k8s", config: { kubernetes: { pod_config: { spec: { zzz: 1 } } } } },
  ],
  [
    "options of sbatch that SkyPilot leaves out",
    {
      infra: "slurm/hpc",
      config: { slurm: { sbatch_options: { requeue: false, exclusive: true } } },
    },
  ],
  [
    "root by its own words",
    { infra: "k8s", config: { kubernetes: { pod_config: { spec: { securityContext: { runAsUser: 0 } } } } } },
  ],
];

const MODEL = { model: "Qwen/Qwen3-8B" };

describe("what SkyPilot cannot do on an infra", () => {
  test.each(BAD)("is refused: %s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });

  test.each(GOOD)("is not: %s", (_title, sky) => {
    expect(() => parseConfig({ ...MODEL, ...(sky === undefined ? {} : { sky }) })).not.toThrow();
  });

  test("is not: a login for a cloud beside Kubernetes with a pull secret, and an AMD GPU with its own image", () => {
    const spec = { imagePullSecrets: [{ name: "nvcr" }] };
    const config = { kubernetes: { pod_config: { spec } } };
    const pulled = { ...PRIVATE, sky: { infra: ["aws", "k8s/a"], registry: REGISTRY, config } };
    expect(() => parseConfig({ ...MODEL, ...pulled })).not.toThrow();
    const rocm = { cluster: { accelerator: "MI300X" }, sky: { image: "docker:registry.example.com/rocm:1" } };
    expect(() => parseConfig({ ...MODEL, ...rocm })).not.toThrow();
  });

  test("is no question on this machine", () => {
    expect(() =>
      parseConfig({ ...MODEL, target: "local", sky: { infra: "slurm/hpc", useSpot: true } }),
    ).not.toThrow();
  });
});

describe("dedicated clusters", () => {
  const ports = (infra: string): number[] => {
    const config = parseConfig({
      ...MODEL,
      placement: "dedicated",
      metrics: { exporters: true },
      pools: [
        { role: "prefill", replicas: 2, tensorParallel: 4 },
        { role: "decode", replicas: 2, tensorParallel: 16 },
      ],
      sky: { infra },
    });
    const { clusters } = plan(config, { discovery: "etcd", events: "nats" });
    const programs = programsOf({ clusters });
    return programs.flatMap((program) => Object.values(program.ports));
  };

  it("never meet on a port on Slurm, which may give them parts of one machine", () => {
    const all = ports("slurm/hpc");
    expect(new Set(all).size).toBe(all.length);
  });

  it("have the usual ports on machines of their own", () => {
    const all = ports("aws");
    expect(new Set(all).size).toBeLessThan(all.length);
  });
});

describe("a cloud's other name", () => {
  it.each([
    ["DigitalOcean/nyc2", "do/nyc2"],
    ["k8s/team", "kubernetes/team"],
  ])("%s is the same cloud as %s, whatever is asked", (other, own) => {
    const seen = (infra: string) => [
      ...[cloudOf, infraKind, hasCatalog, runsContainers, takesRunOptions, runsAsImageUser].map((of) =>
        of(infra),
      ),
      ...[hasNetworkTiers, takesRdmaByMachineImage].map((of) => of(infra)),
      ...[cannot(infra, "spot"), ignores(infra, "labels"), kubernetesSections([infra])],
    ];
    expect(seen(other)).toEqual(seen(own));
  });
});
