/** Where clients reach a cluster. */
import { poll } from "../lib/poll";
import { LAST_LINES, launchFailure } from "./failure";
import type { Launch } from "./launch";
import type { ClusterRecord } from "./records";
import type { SkyLaunched, SkyTask } from "./spec";
import { stillRunning } from "./stillRunning";

/**
 * Clouds take up to some minutes to give a load balancer an address. SkyPilot waits a minute each time that
 * it is asked: `_query_ports_for_loadbalancer` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/provision/kubernetes/network.py
 */
const OPENED_SECONDS = 300;

/**
 * The address that the cloud opened for the port if the task requests one; otherwise the head's address and
 * the port.
 *
 * @throws UserError when the cloud gives none: the head's own address, of a pod for example, is none that
 *   clients outside could reach, and a deployment that nobody reaches would cost money until it is given up.
 */
export async function findEndpoint(
  launch: Launch,
  cluster: ClusterRecord,
): Promise<Pick<SkyLaunched, "endpoint" | "headAddress">> {
  const { input, sky } = launch;
  const headAddress = cluster.head_ip ?? lastWord((await sky.must(["status", "--ip", input.cluster])).stdout);
  const scheme = input.tls ? "https" : "http";
  const direct = { headAddress, endpoint: `${scheme}://${bracketed(headAddress)}:${input.port}` };
  if (!opensPorts(input.task)) return direct;
  const opened = await openedAddress(launch);
  return { headAddress, endpoint: `${scheme}://${opened.replace(/^https?:\/\//, "")}` };
}

async function openedAddress({ input, sky, context, secondsLeft }: Launch): Promise<string> {
  const args = ["status", "--endpoint", String(input.port), input.cluster];
  let opened = "";
  let said: readonly string[] = [];
  const timeoutSeconds = Math.round(Math.min(OPENED_SECONDS, secondsLeft()));
  const missing = await poll({
    timeoutSeconds,
    progress: context.progress,
    signal: context.signal,
    check: async () => {
      const { code, stdout, lines } = await sky.ask(args);
      if (code === 0) opened = lastWord(stdout);
      said = lines.slice(-LAST_LINES);
      return opened === "" ? `an address for port ${input.port}, which the cloud opens` : undefined;
    },
  });
  if (missing === undefined) return opened;
  const cause = `SkyPilot told no endpoint of port ${input.port} within ${timeoutSeconds} s`;
  throw launchFailure(
    input.cluster,
    `The launch of ${input.cluster} failed`,
    { kind: "endpoint", cause },
    { source: "SkyPilot says", lines: said, running: await stillRunning(sky, input.cluster) },
  );
}

/** Host and port of the URL. */
export function hostAndPort(endpoint: string): { readonly host: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(endpoint);
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || (protocol === "https:" ? 443 : 80)),
  };
}

/** Whether the task asks the cloud to open ports. */
function opensPorts({ resources }: SkyTask): boolean {
  return resources["ports"] !== undefined;
}

/** The last word of the last line: some commands print a line of prose before the answer. */
function lastWord(output: string): string {
  return output.trim().split(/\s+/).at(-1) ?? "";
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
