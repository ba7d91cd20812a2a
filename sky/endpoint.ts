/** Where clients reach a cluster. */
import type { Launch } from "./launch";
import type { ClusterRecord } from "./records";
import type { SkyLaunched, SkyTask } from "./spec";

/**
 * The address that the cloud opened for the port if the task requests one; otherwise the head's address and
 * the port.
 */
export async function findEndpoint(
  launch: Launch,
  cluster: ClusterRecord,
): Promise<Pick<SkyLaunched, "endpoint" | "headAddress">> {
  const { input, sky, context } = launch;
  const headAddress = cluster.head_ip ?? lastWord((await sky.must(["status", "--ip", input.cluster])).stdout);
  const scheme = input.tls ? "https" : "http";
  const direct = { headAddress, endpoint: `${scheme}://${bracketed(headAddress)}:${input.port}` };
  if (!opensPorts(input.task)) return direct;
  const args = ["status", "--endpoint", String(input.port), input.cluster];
  const outcome = await sky.ask(args);
  const opened = lastWord(outcome.stdout);
  if (outcome.code === 0 && opened !== "") {
    return { headAddress, endpoint: `${scheme}://${opened.replace(/^https?:\/\//, "")}` };
  }
  context.progress.line(`SkyPilot tells no endpoint for port ${input.port}; using the head's address`);
  return direct;
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
