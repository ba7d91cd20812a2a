/** The lab's daemons in start order, each with its readiness check. */
import { join } from "node:path";
import {
  LAB,
  LAB_MARK,
  LAB_NODES,
  LAB_PORTS,
  LAB_REGION,
  LAB_USER,
  SLURM_ENVIRONMENT,
} from "../../toolchain/labLayout";
import { SLURM } from "../../toolchain/labs";
import { ask } from "./ask";
import type { Daemon } from "./processes";
import { skyPilotServer } from "./skyPilotServer";
import { findProgram } from "./system";

const START_SECONDS = 30;

export function labDaemons(sky: string): Daemon[] {
  return [munged(), slurmctld(), ...slurmds(), sshd(), skyPilotServer(SLURM, sky)];
}

function munged(): Daemon {
  const socket = join(LAB.munge, "munge.socket");
  const files = {
    "key-file": "munge.key",
    "log-file": "munged.log",
    "pid-file": "munged.pid",
    "seed-file": "munged.seed",
  };
  const args = Object.entries(files).map(([flag, name]) => `--${flag}=${join(LAB.munge, name)}`);
  return {
    name: "munged",
    command: [
      program("runuser"),
      "-u",
      "munge",
      "--",
      program("munged"),
      "--foreground",
      "--force",
      `--socket=${socket}`,
      ...args,
    ],
    env: { [LAB_MARK]: LAB.root },
    check: () => ask("munge's answer", program("munge"), ["-n", "-S", socket], {}),
    timeoutSeconds: START_SECONDS,
  };
}

function slurmctld(): Daemon {
  const env = SLURM_ENVIRONMENT;
  return {
    name: "slurmctld",
    command: [program("slurmctld"), "-D"],
    env,
    after: ["munged"],
    check: () =>
      ask("slurmctld's answer", program("scontrol"), ["ping"], env, (answer) => / is UP/.test(answer)),
    timeoutSeconds: START_SECONDS,
  };
}

function slurmds(): Daemon[] {
  const env = SLURM_ENVIRONMENT;
  return LAB_NODES.map(({ name }) => ({
    name: `slurmd-${name}`,
    command: [program("slurmd"), "-D", "-N", name],
    env,
    after: ["slurmctld"],
    check: () =>
      ask(`Slurm's node ${name}`, program("sinfo"), ["-h", "-N", "-n", name, "-o", "%T"], env, (state) =>
        /^(idle|mixed|allocated|completing)$/m.test(state),
      ),
    timeoutSeconds: START_SECONDS,
  }));
}

function sshd(): Daemon {
  const key = join(LAB.home, ".ssh", "id_ed25519");
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
  ];
  return {
    name: "sshd",
    command: [program("sshd"), "-D", "-e", "-f", join(LAB.etc, "sshd_config")],
    env: { [LAB_MARK]: LAB.root },
    check: () =>
      ask(
        `a login on ${LAB_REGION}`,
        program("ssh"),
        [
          ...options.flatMap((option) => ["-o", option]),
          "-F",
          "none",
          "-i",
          key,
          "-p",
          String(LAB_PORTS.sshd),
          `${LAB_USER}@127.0.0.1`,
          "true",
        ],
        {},
      ),
    timeoutSeconds: START_SECONDS,
  };
}

/** Full path of a system program; its bare name if not found, so that the error names it. */
function program(name: string): string {
  return findProgram(name) ?? name;
}
