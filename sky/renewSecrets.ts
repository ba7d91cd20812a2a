/** Updates secrets that programs reload at run time on running nodes, without a restart. */
import { z } from "zod";
import { askNode } from "../lib/agent";
import { UserError } from "../lib/errors";
import type { NodeShell } from "../lib/nodes";
import { quoted } from "../lib/shell";
import { READ_AGAIN } from "../plan/programs/gateway";
import type { Launch } from "./launch";
import { ENVIRONMENT } from "./setup";
import { sshConfig } from "./tunnel";

/** The gateway runs on the first node. */
const RANK = 0;
/** The node's own limit is lower. Unit: seconds. */
const SECONDS = 120;
const CONNECT_SECONDS = 20;

const answerSchema = z.strictObject({ changed: z.boolean() });

/** The secrets of a launch that a running node reloads. */
function readAgain(secrets: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(secrets).filter(([name]) => READ_AGAIN.includes(name)));
}

/**
 * Makes sure that the running task has the keys and the certificate of this launch.
 *
 * @throws UserError with ssh's message, and what to do instead.
 */
export async function renewSecrets({ input, sky, context }: Launch): Promise<void> {
  const { cluster } = input;
  const secrets = readAgain(input.secrets);
  if (Object.keys(secrets).length === 0) return;
  const options = ["BatchMode=yes", "LogLevel=ERROR", `ConnectTimeout=${CONNECT_SECONDS}`];
  const ssh = [
    ...sshConfig(cluster, sky.env["HOME"]),
    ...options.flatMap((option) => ["-o", option]),
    cluster,
  ];
  const node: NodeShell = {
    command: "ssh",
    args: (words) => [...ssh, `exec python3 ${words.map(quoted).join(" ")}`],
    env: sky.env,
    directory: `~/${ENVIRONMENT}/node${RANK}`,
    sky: { cluster, rank: RANK },
  };
  let changed: boolean | undefined;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(SECONDS * 1000)]);
  try {
    await askNode(node, { secrets }, (answer) => ({ changed } = answerSchema.parse(answer)), signal);
  } catch (error) {
    context.signal.throwIfAborted();
    throw notRenewed(cluster, error instanceof Error ? error.message : String(error));
  }
  if (changed) context.progress.line("new keys and certificate are on the node: nothing is started anew");
}

function notRenewed(cluster: string, said: string): UserError {
  const last = said.trim().split("\n").at(-1) ?? "";
  return new UserError(
    [
      `${cluster}: the gateway's new keys could not be handed to the node that runs.`,
      `Cause: ssh ${cluster}: ${last}`,
      `Next: see that 'ssh ${cluster}' works, and run 'up' again. Or end the task ('sky cancel ${cluster} --all'): 'up' then starts it with the new keys.`,
    ].join("\n"),
  );
}
