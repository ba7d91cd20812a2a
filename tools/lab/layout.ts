/** Where the lab keeps its files, and on which ports it listens. */
import { join } from "node:path";

/** Everything that the lab makes lies in one directory, apart from two lines of `/etc/hosts` and one file of `/etc/profile.d`. */
export interface LabLayout {
  /** The lab's own directory; removed by `down`. */
  readonly root: string;
  /** HOME of every `sky` of the lab: its clusters, keys and configuration are never in the user's own `~/.sky`. */
  readonly home: string;
  /** slurm.conf, gres.conf, sshd_config and keys. */
  readonly etc: string;
  /** Early on the PATH of the nodes: `curl` and what the lab's tasks find installed. */
  readonly bin: string;
  /** Output of the daemons. */
  readonly log: string;
  /** Process ids of the daemons. */
  readonly run: string;
  /** Slurm's own state. */
  readonly spool: string;
  /** SkyPilot's directory on the nodes (`slurm.workdir`), instead of root's home. */
  readonly nodes: string;
  /** Socket, key and log of munge. Not below a home directory, since its daemon runs as a user of its own. */
  readonly munge: string;
}

/** @param stateDirectory The project's state directory. */
export function labLayout(stateDirectory: string): LabLayout {
  const root = join(stateDirectory, "lab");
  return {
    root,
    home: join(root, "home"),
    etc: join(root, "etc"),
    bin: join(root, "bin"),
    log: join(root, "log"),
    run: join(root, "run"),
    spool: join(root, "spool"),
    nodes: join(root, "nodes"),
    munge: "/run/dynamo-sky-lab",
  };
}

/** Ports on loopback; none is the default of Slurm, sshd or SkyPilot, so that real ones on the machine keep theirs. */
export const LAB_PORTS = {
  slurmctld: 17_000,
  slurmd: [17_001, 17_002],
  sshd: 17_003,
  skypilot: 17_004,
} as const;

/** The host's name in `~/.slurm/config`, which SkyPilot takes for the region: `infra: slurm/lab`. */
export const LAB_REGION = "lab";
export const LAB_INFRA = `slurm/${LAB_REGION}`;

/** The nodes that Slurm believes in. */
export const LAB_NODES = [
  { name: "gpu0", address: "127.0.0.1", port: LAB_PORTS.slurmd[0] },
  { name: "gpu1", address: "127.0.0.2", port: LAB_PORTS.slurmd[1] },
] as const;

/** What each node claims to have. */
export const LAB_NODE = { cpus: 64, memoryMb: 1_000_000, accelerator: "H100", gpus: 8 } as const;

/** Set in the environment of every process of the lab to its root: by this `down` finds them all. */
export const LAB_MARK = "DYNAMO_SKY_LAB";

/** Files outside of the lab's directory; `down` undoes each. */
export const HOSTS_FILE = "/etc/hosts";
export const HOSTS_COMMENT = "# dynamo-sky lab";
export const PROFILE_FILE = "/etc/profile.d/dynamo-sky-lab.sh";

/** What a `sky` of the lab has in its environment, besides the user's. */
export function skyEnvironment(layout: LabLayout): Record<string, string> {
  return {
    [LAB_MARK]: layout.root,
    HOME: layout.home,
    SKYPILOT_API_SERVER_LOCAL_PORT: String(LAB_PORTS.skypilot),
    SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
  };
}

/** What Slurm's commands and daemons have in their environment. */
export function slurmEnvironment(layout: LabLayout): Record<string, string> {
  return { [LAB_MARK]: layout.root, SLURM_CONF: join(layout.etc, "slurm.conf") };
}
