/**
 * Simulates two hosts on this machine: each has its network namespace, host name and `/etc/hosts`, with a
 * cable (veth) between them. For what loopback addresses cannot show: interfaces, host names, a cut network.
 * Needs root on Linux.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kill, processesOf } from "../lib/processes";
import { runtimeFiles } from "../lib/runtimeFiles";
import { unitDirectory } from "../plan/node/paths";
import type { ProgramPlan } from "../plan/types";
import { unitFiles } from "./runtime";

/** Why this machine cannot create them; undefined if it can. */
export function whyNoTwoHosts(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can make them";
  const name = `dsky-try-${process.pid}`;
  try {
    ip("netns", "add", name);
    ip("netns", "del", name);
    execFileSync("unshare", ["--mount", "--uts", "true"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return `network namespaces cannot be made (${error instanceof Error ? error.message.split("\n")[0] : error})`;
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: "pipe" });
}

/** The interface of each host with its address. Others come before it. */
export const CABLE = "cable0";

export class TwoHosts {
  readonly addresses = ["10.213.77.1", "10.213.77.2"] as const;
  private readonly directory = mkdtempSync(join(tmpdir(), "dsky-hosts-"));
  private readonly names = [0, 1].map((host) => `dsky-${process.pid}-${host}`);
  private readonly children: ChildProcess[] = [];

  constructor() {
    for (const name of this.names) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
      // Like docker's, which has an address too but is not connected.
      ip("-n", name, "link", "add", "docker0", "type", "bridge");
      ip("-n", name, "address", "add", "172.17.0.1/16", "dev", "docker0");
      ip("-n", name, "link", "set", "docker0", "up");
    }
    const [first = "", second = ""] = this.names;
    ip("link", "add", CABLE, "netns", first, "type", "veth", "peer", "name", CABLE, "netns", second);
    for (const [host, name] of this.names.entries()) {
      ip("-n", name, "address", "add", `${this.addresses[host]}/24`, "dev", CABLE);
      ip("-n", name, "link", "set", CABLE, "up");
      mkdirSync(this.nodeDirectory(host));
      // As written by the installers of Debian and Ubuntu.
      writeFileSync(
        join(this.directory, `hosts${host}`),
        `127.0.0.1 localhost\n127.0.1.1 ${this.hostName(host)}\n`,
      );
      for (const [file, text] of Object.entries(runtimeFiles()))
        writeFileSync(join(this.nodeDirectory(host), file), text);
    }
  }

  hostName(host: number): string {
    return `gpu-node-${host}`;
  }

  nodeDirectory(host: number): string {
    return join(this.directory, `node${host}`);
  }

  log(host: number): string {
    return readFileSync(join(this.directory, `log${host}`), "utf8");
  }

  /**
   * Runs a planned program on a host like its supervisor: by `runtime/launch.py`, once. @returns Its exit
   * code.
   */
  launch(
    host: number,
    program: ProgramPlan,
    secrets: Readonly<Record<string, string>>,
  ): Promise<number | null> {
    const node = this.nodeDirectory(host);
    const unit = unitDirectory("unit");
    mkdirSync(join(node, unit), { recursive: true });
    for (const [path, text] of Object.entries(unitFiles("unit", [program])))
      writeFileSync(join(node, path), text);
    // Another program of the node may read them just now.
    writeFileSync(join(node, "secrets.new"), JSON.stringify(secrets), { mode: 0o600 });
    renameSync(join(node, "secrets.new"), join(node, "secrets.json"));
    const log = join(this.directory, `log${host}`);
    const become = 'hostname "$1"; mount --bind "$2" /etc/hosts; log="$3"; shift 3; exec "$@" >> "$log" 2>&1';
    const [head] = this.addresses;
    const child = spawn(
      "ip",
      [
        ...[
          "netns",
          "exec",
          this.names[host] ?? "",
          "unshare",
          "--mount",
          "--uts",
          "sh",
          "-ec",
          become,
          "sh",
        ],
        ...[this.hostName(host), join(this.directory, `hosts${host}`), log],
        ...["python3", "launch.py", `${unit}/${program.name}.json`],
      ],
      {
        cwd: node,
        stdio: "inherit",
        env: {
          ...process.env,
          CUDA_VISIBLE_DEVICES: undefined,
          NODE_DIR: node,
          DYNAMO_SKY_NODE_DIR: node,
          HEAD_IP: head,
          CONTROL_IP: head,
          NODE_IP: this.addresses[host],
          ...Object.fromEntries(this.addresses.map((address, rank) => [`RANK_IP_${rank}`, address])),
        },
      },
    );
    this.children.push(child);
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => resolve(code));
    });
  }

  /**
   * Drops all packets silently. @param at The hosts whose end of the cable is out: what listens at its
   * address has nobody left, not even on the host itself. Default: both.
   */
  cut(at: readonly number[] = [0, 1]): void {
    for (const host of at) ip("-n", this.names[host] ?? "", "link", "set", CABLE, "down");
  }

  close(): void {
    for (const { pid } of processesOf(this.directory)) kill(pid);
    for (const child of this.children) child.kill("SIGKILL");
    for (const name of this.names) ip("netns", "del", name);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
