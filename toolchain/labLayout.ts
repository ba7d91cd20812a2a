/** Files and ports of the lab. */

/**
 * All files of the lab are in one directory, except a few lines of `/etc/hosts` and one file of
 * `/etc/profile.d`. There is one lab per machine, since it has fixed ports and names.
 */
const LAB_ROOT = "/var/lib/dynamo-sky-lab";

export const LAB = {
  root: LAB_ROOT,
  /**
   * HOME of every `sky` of the lab: its clusters, keys and configuration are never in the user's own
   * `~/.sky`.
   */
  home: `${LAB_ROOT}/home`,
  /** The same for a second API server, which stands for a team's in tests. */
  remoteHome: `${LAB_ROOT}/remote-home`,
  /** Home of the lab's user. */
  login: `${LAB_ROOT}/login`,
  /** slurm.conf, gres.conf, sshd_config and keys. */
  etc: `${LAB_ROOT}/etc`,
  /** Early on the PATH of the nodes: `curl`, `uv`, and preinstalled programs for tasks. */
  bin: `${LAB_ROOT}/bin`,
  /** Output of the daemons. */
  log: `${LAB_ROOT}/log`,
  /** PID files of the daemons. */
  run: `${LAB_ROOT}/run`,
  /** Slurm's own state. */
  spool: `${LAB_ROOT}/spool`,
  /** SkyPilot's directory on the nodes (`slurm.workdir`); each cluster's part is removed with it. */
  nodes: `${LAB_ROOT}/nodes`,
  /** Socket, key and log of munge, whose daemon runs as its own user. */
  munge: `${LAB_ROOT}/munge`,
  /** TMPDIR of the lab's processes. */
  tmp: `${LAB_ROOT}/tmp`,
} as const;

/** Held while the lab is used or changed, since there is one per machine. */
export const LAB_LOCK = "/run/lock/dynamo-sky-lab";

/**
 * Ports on loopback; none is a default of Slurm, sshd or SkyPilot, to avoid conflicts with real ones on the
 * machine.
 */
export const LAB_PORTS = {
  slurmctld: 17_000,
  sshd: 17_003,
  skypilot: 17_004,
  /** Of the first node; the others have the following ports. */
  slurmd: 17_010,
} as const;

/**
 * Hash of the user of the lab's SkyPilots, in the names of what they put into /tmp, whatever TMPDIR is.
 * SkyPilot's own choice is the same for all that a user runs on a machine, and `down` would remove the files
 * of the others.
 */
export const LAB_SKYPILOT_USER = "51a4d1ab";

/** The host's name in `~/.slurm/config`, which is the region in SkyPilot: `infra: slurm/lab`. */
export const LAB_REGION = "lab";
export const LAB_INFRA = `slurm/${LAB_REGION}`;

/**
 * Slurm's partitions: equal nodes, in the order of their addresses. SkyPilot chooses the one with the
 * accelerator.
 */
export const LAB_PARTITIONS = [
  /** Two large nodes, for `Pulumi.multi.yaml`. A cluster of three does not fit. */
  { name: "h100", nodes: ["gpu0", "gpu1"], accelerator: "H100", gpus: 8 },
  /** Four small ones, for two replicas over two nodes each. */
  { name: "a100", nodes: ["gpu2", "gpu3", "gpu4", "gpu5"], accelerator: "A100", gpus: 1 },
] as const;

/**
 * Slurm's nodes, all on this machine. The first of each partition has the address of the machine's own host
 * name, by which SkyPilot determines the node of a task.
 */
export const LAB_NODES = LAB_PARTITIONS.flatMap(({ nodes, accelerator, gpus }) =>
  nodes.map((name, index) => ({ name, accelerator, gpus, address: `127.0.0.${index + 1}` })),
).map((node, index) => ({ ...node, port: LAB_PORTS.slurmd + index }));

/** CPUs and memory that each node claims besides GPUs. */
export const LAB_NODE = { cpus: 64, memoryMb: 1_000_000 } as const;

/**
 * Login user of the lab: another name of root, with its own home, since SkyPilot writes into the home of the
 * password file (`.bashrc`, `.ssh`), which must not be root's. It has no password; `down` removes it.
 */
export const LAB_USER = "dynamo-sky-lab";

/** Set to the lab's root in the environment of all its processes: `down` finds them by this. */
export const LAB_MARK = "DYNAMO_SKY_LAB";

/** Files outside of the lab's directory; `down` restores them. */
export const HOSTS_FILE = "/etc/hosts";
export const HOSTS_COMMENT = "# dynamo-sky lab";
export const PROFILE_FILE = "/etc/profile.d/dynamo-sky-lab.sh";

/** Environment of Slurm's commands and daemons, and of logins on the lab. */
export const SLURM_ENVIRONMENT = {
  [LAB_MARK]: LAB_ROOT,
  SLURM_CONF: `${LAB.etc}/slurm.conf`,
  TMPDIR: LAB.tmp,
} as const;

/** Environment of the lab's `sky`, in addition to the user's. */
export const SKY_ENVIRONMENT = {
  [LAB_MARK]: LAB_ROOT,
  HOME: LAB.home,
  TMPDIR: LAB.tmp,
  SKYPILOT_API_SERVER_LOCAL_PORT: String(LAB_PORTS.skypilot),
  SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
} as const;
