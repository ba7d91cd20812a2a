/** The one home of every version that this project installs or was written against. */
export const VERSIONS = {
  /** Pulumi CLI; the same as the `@pulumi/pulumi` package. */
  pulumi: "3.255.0",
  /**
   * `ai-dynamo` and `ai-dynamo-runtime` on PyPI, and the tag of NVIDIA's images on NGC. What it asks for and PyPI does not carry is left
   * out: `runtime/overrides.txt`. How to move to another release: docs/upgrading.md.
   */
  dynamo: "1.6.1",
  /** Supervisor on PyPI: keeps the programs of a node running. */
  supervisor: "4.3.0",
  /** NVIDIA's load generator on PyPI, for `bin/dynamo-sky bench`. */
  aiperf: "0.13.0",
  /** SkyPilot on PyPI. */
  skypilot: "0.14.1",
  /** Pulumi's `command` provider plugin; the same as the `@pulumi/command` package. */
  commandPlugin: "1.2.1",
  /** Pulumi's `random` provider plugin; the same as the `@pulumi/random` package. */
  randomPlugin: "4.21.2",
  /** actionlint, built from its Go module: checks the GitHub workflows. */
  actionlint: "1.7.12",
  /** uv on PyPI: makes the Python environments. */
  uv: "0.13.9",
  /** etcd, where it is built from its Go module; a system's or Debian's own is preferred. */
  etcd: "3.6.16",
  /** NATS server, where it is built from its Go module; a system's or Debian's own is preferred. */
  natsServer: "2.15.2",
} as const;

/**
 * The engines that a node can get: `pypi` with the extra of `ai-dynamo`, `image` in NVIDIA's image on NGC.
 *
 * The plan writes one set of flags. It is right for both as long as the two columns are the same (a test sees to it); where they
 * part, the flags that differ belong here, beside the versions that have them. Images of other releases are refused
 * (`config/checks/image.ts`). Source of `image`, and of what older releases have:
 * https://docs.nvidia.com/dynamo/v1.6.1/reference/releases/deprecations (the table of pins)
 */
export const ENGINE_VERSIONS = {
  sglang: { pypi: "0.5.21", image: "0.5.21" },
  vllm: { pypi: "0.31.0", image: "0.31.0" },
  trtllm: { pypi: "1.3.0rc29", image: "1.3.0rc29" },
} as const;

/** NVIDIA's images on NGC by engine; `mocker` needs none: what PyPI has of Dynamo is a tenth of the size. */
export const ENGINE_IMAGES = {
  sglang: "sglang-runtime",
  vllm: "vllm-runtime",
  trtllm: "tensorrtllm-runtime",
} as const;

/** Where those images are. */
export const IMAGE_REGISTRY = "nvcr.io/nvidia/ai-dynamo";
