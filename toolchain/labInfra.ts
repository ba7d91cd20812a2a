/** Whether `slurm/lab` is this machine's lab, or a Slurm cluster of the user's with this name. */
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { UserError } from "../lib/errors";
import { LAB, LAB_INFRA, LAB_PORTS, LAB_REGION } from "./labLayout";

const CONNECT_MS = 5000;

/** State of the machine that decides it. */
export interface Machine {
  /** Whether the lab is set up. */
  readonly hasLab: boolean;
  /** Whether its API server accepts connections. */
  readonly labAnswers: () => Promise<boolean>;
  /** The user's home directory. */
  readonly home: string;
  /** `SKYPILOT_API_SERVER_ENDPOINT`; undefined if not set. */
  readonly apiServer: string | undefined;
}

export function thisMachine(): Machine {
  return {
    hasLab: existsSync(LAB.etc),
    labAnswers: () => takesConnections(LAB_PORTS.skypilot),
    home: process.env["HOME"] ?? homedir(),
    apiServer: process.env["SKYPILOT_API_SERVER_ENDPOINT"],
  };
}

/** Whether all infras are the lab, or a cluster of its name. */
export function namesLab(infra: readonly string[]): boolean {
  return infra.length > 0 && infra.every((name) => name === LAB_INFRA);
}

/**
 * Whether this machine's lab is meant.
 *
 * @throws UserError if it is and does not answer: SkyPilot would start an API server in the user's own home,
 * which knows no such cluster.
 */
export async function isLab(infra: readonly string[], machine: Machine = thisMachine()): Promise<boolean> {
  if (!namesLab(infra)) return false;
  const { hasLab, labAnswers, apiServer } = machine;
  if (hasLab) {
    if (apiServer || (await labAnswers())) return true;
    throw new UserError(
      "The lab's API server does not answer. Start what is missing of the lab: npm run lab -- up",
    );
  }
  // A remote API server has its own configuration.
  if (apiServer || configuredServer(machine.home) || slurmHosts(machine.home).includes(LAB_REGION))
    return false;
  throw new UserError(
    `'sky.infra' is ${LAB_INFRA}, and the lab of this machine is not up. Start it: npm run lab -- up\n` +
      `(A Slurm cluster of your own of this name has to be in ~/.slurm/config, as 'Host ${LAB_REGION}'.)`,
  );
}

/** Names of the clusters in `~/.slurm/config`: https://docs.skypilot.co/en/latest/reference/slurm/slurm-getting-started.html */
function slurmHosts(home: string): string[] {
  const lines = readOrEmpty(join(home, ".slurm", "config")).split("\n");
  return lines.flatMap((line) => /^\s*Host[\s=]+(.+)$/i.exec(line)?.[1]?.trim().split(/\s+/) ?? []);
}

/** `api_server.endpoint` of the user's SkyPilot, where `sky api login` puts it. */
function configuredServer(home: string): unknown {
  const config: unknown = parse(readOrEmpty(join(home, ".sky", "config.yaml")));
  const { api_server: server } = (config ?? {}) as { api_server?: { endpoint?: unknown } | null };
  return server?.endpoint;
}

function readOrEmpty(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, timeout: CONNECT_MS });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
