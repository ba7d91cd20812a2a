/** The one home of every version that this project installs or was written against. */
export const VERSIONS = {
  /** Pulumi CLI; the same as the `@pulumi/pulumi` package. */
  pulumi: "3.255.0",
  /** `ai-dynamo` and `ai-dynamo-runtime` on PyPI. 1.5.0 to 1.6.1 need packages that PyPI does not carry. */
  dynamo: "1.4.2",
  /** Tag of NVIDIA's images on NGC with the same engines: https://docs.nvidia.com/dynamo/v1.4.1/reference/release-artifacts */
  dynamoImage: "1.4.1",
  /** Supervisor on PyPI: keeps the programs of a node running. */
  supervisor: "4.3.0",
  /** SkyPilot on PyPI. */
  skypilot: "0.14.1",
  /** Pulumi's `command` provider plugin; the same as the `@pulumi/command` package. */
  commandPlugin: "1.2.1",
  /** Pulumi's `random` provider plugin; the same as the `@pulumi/random` package. */
  randomPlugin: "4.21.2",
  /** uv on PyPI: makes the Python environments. */
  uv: "0.13.9",
  /** etcd, where it is built from its Go module; a system's or Debian's own is preferred. */
  etcd: "3.6.16",
  /** NATS server, where it is built from its Go module; a system's or Debian's own is preferred. */
  natsServer: "2.15.2",
} as const;
