/**
 * Whether `slurm/lab` and `kubernetes/lab` are this machine's labs, or clusters of the user's with this name.
 */
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { parse } from "yaml";
import { UserError } from "../lib/errors";
import { KUBERNETES_CONTEXT } from "./kubernetesLabLayout";
import { LAB_REGION } from "./labLayout";
import { LABS, type Lab } from "./labs";

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
  /** `KUBECONFIG`; undefined if not set. */
  readonly kubeconfig: string | undefined;
}

export function thisMachine(lab: Lab): Machine {
  return {
    hasLab: existsSync(lab.etc),
    labAnswers: () => takesConnections(lab.skyPilotPort),
    home: process.env["HOME"] ?? homedir(),
    apiServer: process.env["SKYPILOT_API_SERVER_ENDPOINT"],
    kubeconfig: process.env["KUBECONFIG"],
  };
}

/** The lab that all infras name; there may be a cluster of the user's with its name. */
export function labNamed(infra: readonly string[]): Lab | undefined {
  const namesOf = (lab: Lab) => [lab.infra, ...(lab.otherInfras ?? [])];
  return LABS.find((lab) => infra.length > 0 && infra.every((name) => namesOf(lab).includes(name)));
}

/**
 * The lab of this machine that is meant; undefined if none is.
 *
 * @throws UserError if it is and does not answer: SkyPilot would start an API server in the user's own home,
 * which knows no such cluster.
 */
export async function labOf(
  infra: readonly string[],
  machineOf: (lab: Lab) => Machine = thisMachine,
): Promise<Lab | undefined> {
  const lab = labNamed(infra);
  if (lab === undefined) return undefined;
  const machine = machineOf(lab);
  const { hasLab, labAnswers, apiServer } = machine;
  if (hasLab) {
    if (apiServer || (await labAnswers())) return lab;
    throw new UserError(`The lab's API server does not answer. Start what is missing of the lab: ${lab.up}`);
  }
  // A remote API server has its own configuration.
  const isOwn = infra.every((name) => OWN[lab.kind].has(machine, name.split("/")[1]));
  if (apiServer || configuredServer(machine.home) || isOwn) return undefined;
  throw new UserError(
    `'sky.infra' is ${infra[0]}, and the lab of this machine is not up. Start it: ${lab.up}\n(${OWN[lab.kind].words})`,
  );
}

/** A cluster of the user's with a lab's name. */
const OWN: Readonly<
  Record<
    Lab["kind"],
    { readonly has: (machine: Machine, name: string | undefined) => boolean; readonly words: string }
  >
> = {
  slurm: {
    has: ({ home }) => slurmHosts(home).includes(LAB_REGION),
    words: `A Slurm cluster of your own of this name has to be in ~/.slurm/config, as 'Host ${LAB_REGION}'.`,
  },
  kubernetes: {
    has: (machine, name) => kubernetesContexts(machine).includes(name),
    words: `A Kubernetes cluster of your own of this name has to be a context '${KUBERNETES_CONTEXT}' of your kubeconfig.`,
  },
};

/**
 * Names of the contexts in the user's kubeconfigs:
 * https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
function kubernetesContexts({ home, kubeconfig }: Machine): unknown[] {
  const files = kubeconfig?.split(delimiter).filter(Boolean) ?? [join(home, ".kube", "config")];
  return files.flatMap((file) => {
    const config: unknown = parse(readOrEmpty(file));
    const { contexts } = (config ?? {}) as { contexts?: readonly { name?: unknown }[] | null };
    return (contexts ?? []).map(({ name }) => name);
  });
}

/**
 * Names of the clusters in `~/.slurm/config`:
 * https://docs.skypilot.co/en/latest/reference/slurm/slurm-getting-started.html
 */
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
