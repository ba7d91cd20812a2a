/** A tunnel through SkyPilot's ssh to a port of a cluster's head that is not reachable directly. */

import { type ChildProcess, spawn } from "node:child_process";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { inherited } from "../lib/inherited";
import type { Sky } from "./cli";
import { sshConfig } from "./ssh";

const CONNECT_MS = 4000;
const OPEN_SECONDS = 30;
const PAUSE_MS = 200;

/**
 * Whether the host is reachable: a refused connection counts, since then the network is open and only the
 * program is not up yet.
 */
export function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (reached: boolean): void => {
      socket.destroy();
      resolve(reached);
    };
    socket.setTimeout(CONNECT_MS, () => done(false));
    socket.once("connect", () => done(true));
    socket.once("error", (error: NodeJS.ErrnoException) => done(error.code === "ECONNREFUSED"));
  });
}

/** An ssh process that forwards one port, started on demand and restarted when it has ended. */
export class Tunnel {
  private child: ChildProcess | undefined;
  private port = 0;
  private complaint = "";

  constructor(
    private readonly sky: Pick<Sky, "env">,
    private readonly cluster: string,
    private readonly remotePort: number,
  ) {}

  /**
   * Local port on 127.0.0.1 that forwards there.
   *
   * @throws Error with ssh's message if it does not open within 30 s.
   */
  async localPort(signal: AbortSignal): Promise<number> {
    if (this.child === undefined || this.child.exitCode !== null) await this.start();
    const deadline = performance.now() + OPEN_SECONDS * 1000;
    while (!(await listens(this.port))) {
      if (performance.now() > deadline || this.child?.exitCode !== null) {
        throw new Error(
          `ssh ${this.cluster} does not open a tunnel: ${this.complaint.trim() || "no reason given"}`,
        );
      }
      await sleep(PAUSE_MS, undefined, { signal });
    }
    return this.port;
  }

  private async start(): Promise<void> {
    this.port = await freePort();
    this.complaint = "";
    const forward = `127.0.0.1:${this.port}:127.0.0.1:${this.remotePort}`;
    const options = [
      "BatchMode=yes",
      "ExitOnForwardFailure=yes",
      "ServerAliveInterval=15",
      "ControlMaster=no",
      "ControlPath=none",
    ];
    // It runs `cat`, which ends when its stdin closes, so ssh always ends with this process.
    const child = spawn(
      "ssh",
      [
        ...sshConfig(this.cluster, this.sky.env["HOME"]),
        "-L",
        forward,
        ...options.flatMap((option) => ["-o", option]),
        this.cluster,
        "cat",
      ],
      { env: { ...inherited(), ...this.sky.env }, stdio: ["pipe", "ignore", "pipe"] },
    );
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.complaint = (this.complaint + text).slice(-500);
    });
    child.once("error", (error) => {
      this.complaint = error.message;
    });
    process.once("exit", () => child.kill());
    this.child = child;
  }

  close(): void {
    this.child?.kill();
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
