/** Files written by the lab: outside of its directory, and for Slurm. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  curlWrapper,
  gresConf,
  labFiles,
  profileScript,
  slurmConf,
  uvWrapper,
  withHosts,
  withoutHosts,
} from "../../dev/lab/files";
import { KUBERNETES_SKYPILOT_USER } from "../../toolchain/kubernetesLabLayout";
import { LAB, LAB_NODES, LAB_PARTITIONS, LAB_PORTS, LAB_SKYPILOT_USER } from "../../toolchain/labLayout";

describe("/etc/hosts", () => {
  it.each(["", "127.0.0.1 localhost\n", "127.0.0.1 localhost"])("is given back as it was: %j", (before) => {
    const during = withHosts(before, "machine");
    expect(during.split("\n")[0]).toMatch(/^127\.0\.0\.1 machine /);
    for (const { name, address } of LAB_NODES) expect(during).toContain(`${address} ${name} `);
    expect(withHosts(during, "machine")).toBe(during);
    expect(withoutHosts(during)).toBe(before);
  });
});

describe("Slurm", () => {
  it("has every node once, each with a port of its own", () => {
    const lines = slurmConf("machine").split("\n");
    for (const { name, address, port } of LAB_NODES)
      expect(lines.filter((line) => line.startsWith(`NodeName=${name} `))).toEqual([
        expect.stringContaining(`NodeAddr=${address} Port=${port} `),
      ]);
    const ports = [
      ...LAB_NODES.map(({ port }) => port),
      LAB_PORTS.slurmctld,
      LAB_PORTS.sshd,
      LAB_PORTS.skypilot,
    ];
    expect(new Set(ports).size).toBe(ports.length);
  });

  it("has one partition that is the default, and GPUs on all nodes", () => {
    const conf = slurmConf("machine");
    expect(conf.match(/Default=YES/g)).toHaveLength(1);
    for (const { name, nodes } of LAB_PARTITIONS)
      expect(conf).toContain(`PartitionName=${name} Nodes=${nodes.join(",")} `);
    expect(gresConf().match(/^NodeName=/gm)).toHaveLength(LAB_NODES.length);
  });
});

describe("SkyPilot", () => {
  it("has a user of its own in each lab, whose files in /tmp nobody else has", () => {
    const machine = { hostname: "machine", curl: undefined, uv: "/opt/uv", python: "/usr/bin/python3" };
    const written = new Map(labFiles(machine, {}).map(({ path, text }) => [path, text]));
    for (const home of [LAB.home, LAB.remoteHome])
      expect(written.get(join(home, ".sky", "user_hash"))).toBe(LAB_SKYPILOT_USER);
    // https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/utils/common_utils.py (is_valid_user_hash)
    for (const user of [LAB_SKYPILOT_USER, KUBERNETES_SKYPILOT_USER]) expect(user).toMatch(/^[0-9a-f]{8}$/);
    expect(LAB_SKYPILOT_USER).not.toBe(KUBERNETES_SKYPILOT_USER);
  });
});

describe("scripts", () => {
  it.each([
    ["curl", curlWrapper("/usr/bin/curl")],
    ["curl where there is none", curlWrapper(undefined)],
    ["uv", uvWrapper("/opt/uv's", "/usr/bin/python3", { UV_CACHE_DIR: "/a b" })],
    ["the profile", profileScript({ HF_HOME: "/it's here" })],
  ])("of %s can be read by a shell", (_what, script) => {
    const { status, stderr } = spawnSync("sh", ["-n"], { input: script, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
