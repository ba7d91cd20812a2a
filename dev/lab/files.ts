/** The text of all files of the lab. Pure. */

import { join } from "node:path";
import { quoted } from "../../lib/shell";
import {
  HOSTS_COMMENT,
  LAB,
  LAB_MARK,
  LAB_NODE,
  LAB_NODES,
  LAB_PARTITIONS,
  LAB_PORTS,
  LAB_REGION,
  LAB_SKYPILOT_USER,
  LAB_USER,
  SLURM_ENVIRONMENT,
} from "../../toolchain/labLayout";

/**
 * https://slurm.schedmd.com/slurm.conf.html. `config_overrides` lets a node claim more CPUs and memory than
 * the machine has.
 *
 * @param hostname The machine's own name: the real host of each node.
 */
export function slurmConf(hostname: string): string {
  const nodes = LAB_NODES.map(
    ({ name, address, port, accelerator, gpus }) =>
      `NodeName=${name} NodeHostname=${hostname} NodeAddr=${address} Port=${port} CPUs=${LAB_NODE.cpus} ` +
      `RealMemory=${LAB_NODE.memoryMb} Gres=gpu:${accelerator}:${gpus}`,
  );
  const partitions = LAB_PARTITIONS.map(
    ({ name, nodes: members }, index) =>
      `PartitionName=${name} Nodes=${members.join(",")} Default=${index === 0 ? "YES" : "NO"} MaxTime=1-00:00:00 State=UP`,
  );
  return lines(
    "ClusterName=lab",
    `SlurmctldHost=${hostname}(127.0.0.1)`,
    `SlurmctldPort=${LAB_PORTS.slurmctld}`,
    "SlurmUser=root",
    "SlurmdUser=root",
    "AuthType=auth/munge",
    `AuthInfo=socket=${LAB.munge}/munge.socket`,
    "ProctrackType=proctrack/linuxproc",
    "TaskPlugin=task/none",
    "SwitchType=switch/none",
    `StateSaveLocation=${LAB.spool}/slurmctld`,
    `SlurmdSpoolDir=${LAB.spool}/slurmd.%n`,
    `SlurmctldPidFile=${LAB.run}/slurmctld.slurm`,
    `SlurmdPidFile=${LAB.run}/slurmd.%n.slurm`,
    "ReturnToService=2",
    "SelectType=select/cons_tres",
    "SelectTypeParameters=CR_Core_Memory",
    "SlurmdParameters=config_overrides",
    "GresTypes=gpu",
    "MpiDefault=none",
    "KillWait=10",
    ...nodes,
    ...partitions,
  );
}

/** Without device files a node registers no GPU and drains; empty ones are enough. */
export function gresConf(): string {
  return lines(
    "AutoDetect=off",
    ...LAB_NODES.map(
      ({ name, accelerator, gpus }) =>
        `NodeName=${name} Name=gpu Type=${accelerator} File=${gpuFiles(gpus === 1 ? "0" : `[0-${gpus - 1}]`)}`,
    ),
  );
}

/** The device files of GPUs: one, or several in Slurm's notation. */
function gpuFiles(which: number | string): string {
  return `${LAB.spool}/gpu/nvidia${which}`;
}

/** sshd of the lab: one key, on loopback, and the environment that marks a session as the lab's. */
function sshdConfig(): string {
  const environment = Object.entries(SLURM_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  return lines(
    `Port ${LAB_PORTS.sshd}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${LAB.etc}/ssh_host_ed25519_key`,
    `AuthorizedKeysFile ${LAB.etc}/authorized_keys`,
    `PidFile ${LAB.run}/sshd.ssh`,
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "StrictModes no",
    "UsePAM no",
    "MaxStartups 100",
    "MaxSessions 100",
    "Subsystem sftp internal-sftp",
    `SetEnv ${environment.join(" ")}`,
  );
}

/** `~/.slurm/config` of the lab's SkyPilot: the login node, as an ssh host. */
function slurmSshConfig(): string {
  return lines(
    `Host ${LAB_REGION}`,
    "  HostName 127.0.0.1",
    `  Port ${LAB_PORTS.sshd}`,
    `  User ${LAB_USER}`,
    `  IdentityFile ${LAB.home}/.ssh/id_ed25519`,
    "  StrictHostKeyChecking no",
  );
}

/** `~/.sky/config.yaml` of the lab's SkyPilot. */
function skypilotConfig(): string {
  return lines("slurm:", "  cluster_configs:", `    ${LAB_REGION}:`, `      workdir: ${LAB.nodes}`);
}

/** SkyPilot downloads its catalogue; this part is enough without internet access. */
export const ACCELERATOR_CATALOGUE = lines(
  "AcceleratorName,Clouds",
  ...["A100", "H100", "H200"].map((name) => `${name},"[]"`),
);

/**
 * SkyPilot downloads uv to each node. For that address this `curl` returns a script that installs the lab's
 * own uv, and passes all other calls to the real one.
 */
export function curlWrapper(realCurl: string | undefined): string {
  return lines(
    "#!/bin/sh",
    "for argument; do",
    '  if [ "$argument" = https://astral.sh/uv/install.sh ]; then',
    `    printf '%s\\n' 'mkdir -p "$UV_INSTALL_DIR" && cp "${LAB.bin}/uv" "$UV_INSTALL_DIR/uv"'`,
    "    exit 0",
    "  fi",
    "done",
    realCurl === undefined ? 'echo "this machine has no curl" >&2; exit 127' : `exec ${realCurl} "$@"`,
  );
}

/**
 * uv for the nodes. SkyPilot requests Python 3.10 and calls uv with an empty environment: the wrapper uses
 * the installed Python, and restores settings that downloads need.
 *
 * @param settings Variables that uv needs on this machine: certificates, cache, proxy, package index.
 */
export function uvWrapper(uv: string, python: string, settings: Readonly<Record<string, string>>): string {
  return lines(
    "#!/bin/sh",
    ...Object.entries(settings).map(([name, value]) => `export ${name}=${quoted(value)}`),
    "for argument; do",
    "  shift",
    `  [ "$argument" = 3.10 ] && argument=${quoted(python)}`,
    '  set -- "$@" "$argument"',
    "done",
    `exec ${quoted(uv)} "$@"`,
  );
}

/**
 * Only for login shells of the lab (with its mark): puts the lab's `bin` first on PATH, which `/etc/profile`
 * has just reset, and sets variables for the nodes' tasks.
 */
export function profileScript(settings: Readonly<Record<string, string>>): string {
  return lines(
    "# Written by the lab of dynamo-sky; removed by 'npm run lab -- down'. No effect outside of the lab.",
    `if [ "\${${LAB_MARK}:-}" = ${quoted(LAB.root)} ]; then`,
    `  export PATH=${quoted(LAB.bin)}:"$PATH"`,
    ...Object.entries(settings).map(([name, value]) => `  export ${name}=${quoted(value)}`),
    "fi",
  );
}

/**
 * `/etc/hosts` with the nodes' names, which SkyPilot resolves. The machine's own name comes first, so that it
 * resolves to the first node's address: many systems give it another (127.0.1.1, a container's), and SkyPilot
 * would not find a task's node in its cluster.
 */
export function withHosts(hosts: string, hostname: string): string {
  const own = [{ name: hostname, address: "127.0.0.1" }, ...LAB_NODES];
  return `${own.map(({ name, address }) => `${address} ${name} ${HOSTS_COMMENT}\n`).join("")}${withoutHosts(hosts)}`;
}

/** The original `/etc/hosts`. */
export function withoutHosts(hosts: string): string {
  return hosts
    .split(/(?<=\n)/)
    .filter((line) => !line.includes(HOSTS_COMMENT))
    .join("");
}

/** Files of the lab's directory, with their modes. */
export function labFiles(
  machine: { hostname: string; curl: string | undefined; uv: string; python: string },
  uvSettings: Readonly<Record<string, string>>,
): { readonly path: string; readonly text: string; readonly mode: number }[] {
  return [
    { path: join(LAB.etc, "slurm.conf"), text: slurmConf(machine.hostname), mode: 0o600 },
    { path: join(LAB.etc, "gres.conf"), text: gresConf(), mode: 0o600 },
    { path: join(LAB.etc, "sshd_config"), text: sshdConfig(), mode: 0o600 },
    { path: join(LAB.home, ".slurm", "config"), text: slurmSshConfig(), mode: 0o600 },
    { path: join(LAB.home, ".sky", "config.yaml"), text: skypilotConfig(), mode: 0o600 },
    {
      path: join(LAB.home, ".sky", "catalogs", "v8", "common", "accelerators.csv"),
      text: ACCELERATOR_CATALOGUE,
      mode: 0o600,
    },
    ...[LAB.home, LAB.remoteHome].map((home) => ({
      path: join(home, ".sky", "user_hash"),
      text: LAB_SKYPILOT_USER,
      mode: 0o600,
    })),
    { path: join(LAB.bin, "curl"), text: curlWrapper(machine.curl), mode: 0o700 },
    { path: join(LAB.bin, "uv"), text: uvWrapper(machine.uv, machine.python, uvSettings), mode: 0o700 },
    ...Array.from({ length: Math.max(...LAB_NODES.map(({ gpus }) => gpus)) }, (_, gpu) => ({
      path: gpuFiles(gpu),
      text: "",
      mode: 0o600,
    })),
  ];
}

function lines(...all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
