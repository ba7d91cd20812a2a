/** New values for secrets that programs read again when they change, given to nodes that run: nothing is started anew for them. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { UserError } from "../lib/errors";
import { packageRoot } from "../lib/root";
import { quoted } from "../lib/shell";
import { READ_AGAIN } from "../plan/programs/gateway";
import type { Launch } from "./launch";
import { sshConfig } from "./tunnel";

/** The gateway is on the first node. */
const RANK = 0;
/** The node's own bound is below it. Unit: seconds. */
const SECONDS = 120;
const CONNECT_SECONDS = 20;

const answerSchema = z.strictObject({ changed: z.boolean() });

/** Those of a launch's secrets that a running node is given. */
function readAgain(secrets: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(secrets).filter(([name]) => READ_AGAIN.includes(name)));
}

/**
 * Sees to it that the task which runs has the keys and the certificate of this launch.
 *
 * @throws UserError with what ssh said, and what to do instead.
 */
export async function handOver(launch: Launch): Promise<void> {
  const { input, context } = launch;
  const secrets = readAgain(input.secrets);
  if (Object.keys(secrets).length === 0) return;
  const { code, stdout, complaint } = await tell(launch, { cluster: input.cluster, rank: RANK, secrets });
  context.signal.throwIfAborted();
  const answer = code === 0 ? answerSchema.safeParse(parsed(stdout)) : undefined;
  if (answer?.success !== true) throw notHandedOver(input.cluster, complaint || stdout || `code ${code}`);
  if (answer.data.changed)
    context.progress.line("new keys and certificate are on the node: nothing is started anew");
}

function notHandedOver(cluster: string, said: string): UserError {
  const last = said.trim().split("\n").at(-1) ?? "";
  return new UserError(
    [
      `${cluster}: the gateway's new keys could not be handed to the node that runs.`,
      `Cause: ssh ${cluster}: ${last}`,
      `Next: see that 'ssh ${cluster}' works, and run 'up' again. Or end the task ('sky cancel ${cluster} --all'): 'up' then starts it with the new keys.`,
    ].join("\n"),
  );
}

function parsed(output: string): unknown {
  try {
    return JSON.parse(output.trim().split("\n").at(-1) ?? "");
  } catch {
    return undefined;
  }
}

interface Told {
  readonly code: number | null;
  readonly stdout: string;
  readonly complaint: string;
}

/** Runs `runtime/hand_over.py` there. Script and request come through standard input: no command line has a value of a secret. */
async function tell({ input, sky, context }: Launch, request: object): Promise<Told> {
  const script = readFileSync(join(packageRoot(), "runtime", "hand_over.py"), "utf8");
  const reader = `import sys; exec(sys.stdin.read(${script.length}))`;
  const options = ["BatchMode=yes", "LogLevel=ERROR", `ConnectTimeout=${CONNECT_SECONDS}`];
  const words = [
    ...sshConfig(input.cluster, sky.env["HOME"]),
    ...options.flatMap((option) => ["-o", option]),
    input.cluster,
    `exec python3 -c ${quoted(reader)}`,
  ];
  const child = spawn("ssh", words, {
    env: { ...process.env, ...sky.env },
    stdio: "pipe",
    signal: AbortSignal.any([context.signal, AbortSignal.timeout(SECONDS * 1000)]),
  });
  // It may end without reading; its exit code says so.
  child.stdin.on("error", () => undefined);
  child.stdin.end(script + JSON.stringify(request));
  const ended = new Promise<{ code: number | null; problem: string }>((resolve) => {
    child.once("error", (error) => resolve({ code: null, problem: error.message }));
    child.once("close", (code) => resolve({ code, problem: "" }));
  });
  const [stdout, stderr, { code, problem }] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ]);
  return { code, stdout, complaint: problem || stderr };
}
