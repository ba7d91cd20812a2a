/** What SkyPilot cannot do on Slurm and on Kubernetes is refused, and nothing else. */
import { describe, expect, it, test } from "vitest";
import { type ConfigInput, parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { type BadInput, messageOf } from "./configMessages";

const BAD: readonly BadInput[] = [
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
];

const GOOD: readonly (readonly [string, ConfigInput["sky"]])[] = [
  ["taking down what is idle on Slurm", { infra: "slurm/hpc", autostopMinutes: 10 }],
  [
    "stopping idle containers on Slurm, which is possible with Pyxis",
    { infra: "slurm/hpc", autostopMinutes: 10, autostopDown: false, image: "docker:ubuntu:24.04" },
  ],
  ["spot on Kubernetes, where nodes may have labels for it", { infra: "k8s/a", useSpot: true }],
  ["the best disk that there is on Kubernetes", { infra: "k8s", diskTier: "best" }],
  [
    "all of it on a cloud",
    { infra: ["aws", "gcp"], useSpot: true, autostopMinutes: 10, autostopDown: false, diskTier: "high" },
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
    const programs = clusters.flatMap(({ nodes }) => nodes.flatMap((node) => node.programs));
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
