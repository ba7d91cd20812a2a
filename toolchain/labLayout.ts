/** Where the lab keeps its files, and on which ports it listens. */

/**
 * Everything that the lab makes lies in one directory, apart from a few lines of `/etc/hosts` and one file of
 * `/etc/profile.d`. There is one lab a machine, since it has fixed ports and names.
 */
export const LAB_ROOT = "/var/lib/dynamo-sky-lab";

export const LAB = {
  root: LAB_ROOT,
  /** HOME of every `sky` of the lab: its clusters, keys and configuration are never in the user's own `~/.sky`. */
  home: `${LAB_ROOT}/home`,
  /** The same of a second API server, which the tests take for a team's. */
  remoteHome: `${LAB_ROOT}/remote-home`,
  /** Home of the lab's user. */
  login: `${LAB_ROOT}/login`,
  /** slurm.conf, gres.conf, sshd_config and keys. */
  etc: `${LAB_ROOT}/etc`,
  /** Early on the PATH of the nodes: `curl`, `uv`, and what tasks find installed. */
  bin: `${LAB_ROOT}/bin`,
  /** Output of the daemons. */
  log: `${LAB_ROOT}/log`,
  /** Process ids of the daemons. */
  run: `${LAB_ROOT}/run`,
  /** Slurm's own state. */
  spool: `${LAB_ROOT}/spool`,
  /** SkyPilot's directory on the nodes (`slurm.workdir`); each cluster's part goes with it. */
  nodes: `${LAB_ROOT}/nodes`,
  /** Socket, key and log of munge, whose daemon runs as a user of its own. */
  munge: `${LAB_ROOT}/munge`,
  /** TMPDIR of the lab's processes. */
  tmp: `${LAB_ROOT}/tmp`,
} as const;

/** Held by whoever uses or changes the lab, since there is one a machine. */
export const LAB_LOCK = "/run/lock/dynamo-sky-lab";

/** There while the lab was started for a test or a benchmark, which takes it down at its end; nobody else counts on it. */
export const LAB_BORROWED = `${LAB_ROOT}/borrowed`;

/** Ports on loopback; none is the default of Slurm, sshd or SkyPilot, so that real ones on the machine keep theirs. */
export const LAB_PORTS = {
  slurmctld: 17_000,
  sshd: 17_003,
  skypilot: 17_004,
  /** Of the first node; the next ones have the next ports. */
  slurmd: 17_010,
} as const;

/** The host's name in `~/.slurm/config`, which SkyPilot takes for the region: `infra: slurm/lab`. */
export const LAB_REGION = "lab";
export const LAB_INFRA = `slurm/${LAB_REGION}`;

/** Slurm's partitions: equal nodes, in the order of their addresses. SkyPilot takes the one that has the accelerator. */
export const LAB_PARTITIONS = [
  /** Two large nodes, as `Pulumi.multi.yaml` wants them. A cluster of three does not fit. */
  { name: "h100", nodes: ["gpu0", "gpu1"], accelerator: "H100", gpus: 8 },
  /** Four small ones, for two replicas over two nodes each. */
  { name: "a100", nodes: ["gpu2", "gpu3", "gpu4", "gpu5"], accelerator: "A100", gpus: 1 },
] as const;

/**
 * The nodes that Slurm believes in: all this machine. The first of each partition has the address of the machine's own name, since
 * SkyPilot finds out by that on which node of a cluster a task runs.
 */
export const LAB_NODES = LAB_PARTITIONS.flatMap(({ nodes, accelerator, gpus }) =>
  nodes.map((name, index) => ({ name, accelerator, gpus, address: `127.0.0.${index + 1}` })),
).map((node, index) => ({ ...node, port: LAB_PORTS.slurmd + index }));

/** What each node claims to have besides GPUs. */
export const LAB_NODE = { cpus: 64, memoryMb: 1_000_000 } as const;

/**
 * Who logs in on the lab: another name of root, with a home of its own, since SkyPilot writes into the home that the
 * password file names (`.bashrc`, `.ssh`), and that must not be root's own. It has no password; `down` removes it.
 */
export const LAB_USER = "dynamo-sky-lab";

/** Set in the environment of every process of the lab to its root: by this `down` finds them all. */
export const LAB_MARK = "DYNAMO_SKY_LAB";

/** Files outside of the lab's directory; `down` undoes each. */
export const HOSTS_FILE = "/etc/hosts";
export const HOSTS_COMMENT = "# dynamo-sky lab";
export const PROFILE_FILE = "/etc/profile.d/dynamo-sky-lab.sh";

/** What Slurm's commands and daemons, and logins on the lab, have in their environment. */
export const SLURM_ENVIRONMENT = {
  [LAB_MARK]: LAB_ROOT,
  SLURM_CONF: `${LAB.etc}/slurm.conf`,
  TMPDIR: LAB.tmp,
} as const;

/** What a `sky` of the lab has in its environment, besides the user's. */
export const SKY_ENVIRONMENT = {
  [LAB_MARK]: LAB_ROOT,
  HOME: LAB.home,
  TMPDIR: LAB.tmp,
  SKYPILOT_API_SERVER_LOCAL_PORT: String(LAB_PORTS.skypilot),
  SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
} as const;
