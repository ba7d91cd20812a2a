/** `lab up`: starts everything in dependency order; idempotent. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { UserError } from "../../lib/errors";
import type { Progress } from "../../lib/progress";
import { HOSTS_FILE, LAB, LAB_USER, PROFILE_FILE } from "../../toolchain/labLayout";
import { labDaemons } from "./daemons";
import { labFiles, profileScript, withHosts } from "./files";
import { ensureDaemons } from "./processes";
import { ensurePackages, ensureUser, findProgram, linkPrograms, requireLabMachine } from "./system";
import type { LabTools } from "./tools";

/** Variables that uv's downloads need on some machines; SkyPilot calls it with an empty environment. */
const UV_SETTINGS = [
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "UV_DEFAULT_INDEX",
  "UV_INDEX_URL",
  "UV_FIND_LINKS",
  "UV_NATIVE_TLS",
];

/** Debian's packages, each with a program that shows its presence. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "slurm-wlm": ["slurmctld", "slurmd", "sbatch", "srun"],
  munge: ["munged", "munge"],
  "openssh-server": ["sshd"],
  "openssh-client": ["ssh", "ssh-keygen"],
  rsync: ["rsync"],
  curl: ["curl"],
};

/** @throws UserError if the machine cannot run a lab, or a daemon does not start. */
export async function labUp(
  findTools: () => Promise<LabTools>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  requireLabMachine();
  ensurePackages(LAB.root, PACKAGES, progress);
  const tools = await findTools();
  writeLabFiles(tools);
  linkPrograms(LAB.bin, tools.programs);
  makeKeys();
  ensureUser(LAB_USER, LAB.login);
  changeSystemFiles(tools);
  await ensureDaemons(LAB, labDaemons(tools.sky), progress, signal);
}

function writeLabFiles(tools: LabTools): void {
  const directories = [
    LAB.home,
    LAB.etc,
    LAB.bin,
    LAB.log,
    LAB.run,
    LAB.spool,
    LAB.login,
    LAB.tmp,
    LAB.nodes,
  ];
  for (const path of directories) mkdirSync(path, { recursive: true, mode: 0o700 });
  mkdirSync(join(LAB.spool, "slurmctld"), { recursive: true });
  const machine = {
    hostname: hostname(),
    curl: findProgram("curl"),
    uv: tools.uv,
    python: tools.python,
  };
  const inherited = UV_SETTINGS.flatMap((name) => {
    const value = process.env[name];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  const uvSettings = { UV_CACHE_DIR: tools.uvCache, ...Object.fromEntries(inherited) };
  for (const { path, text, mode } of labFiles(machine, uvSettings)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, text);
    chmodSync(path, mode);
  }
}

/** Keys of sshd, of SkyPilot's user, and of munge. */
function makeKeys(): void {
  const host = join(LAB.etc, "ssh_host_ed25519_key");
  const user = join(LAB.home, ".ssh", "id_ed25519");
  mkdirSync(dirname(user), { recursive: true, mode: 0o700 });
  for (const path of [host, user]) {
    if (!existsSync(path))
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "dynamo-sky-lab", "-f", path]);
  }
  writeFileSync(join(LAB.etc, "authorized_keys"), readFileSync(`${user}.pub`), { mode: 0o600 });
  makeMungeDirectory();
  // sshd's privilege separation directory; it exists on machines that run an sshd.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
}

/** munged requires a directory and a key owned by its own user, not writable by others. */
function makeMungeDirectory(): void {
  const [uid, gid] = ["-u", "-g"].map((flag) =>
    Number(execFileSync("id", [flag, "munge"], { encoding: "utf8" })),
  );
  if (uid === undefined || gid === undefined)
    throw new UserError("The user 'munge' is missing: reinstall the package munge.");
  const key = join(LAB.munge, "munge.key");
  mkdirSync(LAB.munge, { recursive: true, mode: 0o755 });
  if (!existsSync(key)) writeFileSync(key, randomBytes(128), { mode: 0o400 });
  for (const path of [LAB.munge, key]) chownSync(path, uid, gid);
}

/** The two files outside of the lab's directory. */
function changeSystemFiles(tools: LabTools): void {
  const hosts = readFileSync(HOSTS_FILE, "utf8");
  const changed = withHosts(hosts, hostname());
  // Written in place: in containers the file is a mount, which cannot be replaced.
  if (changed !== hosts) writeFileSync(HOSTS_FILE, changed);
  writeFileSync(PROFILE_FILE, profileScript(tools.nodeEnvironment), { mode: 0o644 });
}
