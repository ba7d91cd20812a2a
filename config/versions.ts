/** All versions that this project installs or was written for; an engine's are in its folder (`release`). */
export const VERSIONS = {
  /** Pulumi CLI; the same as the `@pulumi/pulumi` package. */
  pulumi: "3.276.0",
  /**
   * `ai-dynamo` and `ai-dynamo-runtime` on PyPI, and the tag of NVIDIA's images on NGC. What it
   * requires and PyPI does not have is left out: `runtime/overrides.txt`.
   */
  dynamo: "1.6.1",
  /** Supervisor on PyPI: keeps the programs of a node running. */
  supervisor: "4.3.0",
  /** NVIDIA's load generator on PyPI, for `bin/dynamo-sky bench`. */
  aiperf: "0.13.0",
  /** NVIDIA's predictor of layouts on PyPI, for `bin/dynamo-sky size`. */
  aiconfigurator: "0.12.0",
  /** SkyPilot on PyPI. */
  skypilot: "0.14.1",
  /** Pulumi's `command` provider plugin; the same as the `@pulumi/command` package. */
  commandPlugin: "1.2.1",
  /** Pulumi's `random` provider plugin; the same as the `@pulumi/random` package. */
  randomPlugin: "4.21.2",
  /** actionlint, built from its Go module: checks the GitHub workflows. */
  actionlint: "1.7.12",
  /** uv on PyPI: creates the Python environments. */
  uv: "0.13.9",
  /** etcd, if built from its Go module; the system's or Debian's is preferred. */
  etcd: "3.7.3",
  /** NATS server, if built from its Go module; the system's or Debian's is preferred. */
  natsServer: "2.15.3",
  /** Kubernetes of the lab. From 1.35 on the kubelet refuses cgroup v1, which older machines have. */
  kubernetes: "1.34.4",
  /** CoreDNS of the lab: the newest release that was written for this version of Kubernetes. */
  coredns: "1.12.4",
} as const;

/**
 * Lowest version of NVIDIA's driver for Dynamo's engines, on nodes with their images or PyPI's packages: all
 * are built for CUDA 13. Change it with them. Sources:
 * https://docs.nvidia.com/dynamo/v1.6.1/reference/compatibility
 * https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
 */
export const LOWEST_DRIVER = 580;

/** Registry of NVIDIA's images; their names: `release` of each engine. */
export const IMAGE_REGISTRY = "nvcr.io/nvidia/ai-dynamo";
