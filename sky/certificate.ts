/** The certificate of a gateway whose address is unknown until its machines exist. */
import type { ServedCertificate } from "../lib/tls/served";
import { TLS_BUNDLE } from "../plan/programs/gateway";
import { findEndpoint } from "./endpoint";
import type { Launch } from "./launch";
import { provision } from "./provision";
import { cancelRequests } from "./requests";
import type { SkyLaunch, SkyTask } from "./spec";
import { takenDown } from "./stillRunning";

/** The secret for the nodes, and the part that clients see. */
export interface Certified {
  readonly secrets: Readonly<Record<string, string>>;
  readonly certificate: ServedCertificate;
}

/**
 * Issues the certificate for the cluster's address. If there is no cluster yet, launches its machines first,
 * without a task: a client that trusts the authority must find the address in the certificate.
 *
 * @param launchOf Creates the launch of another input.
 */
export async function certify(
  launch: Launch,
  seed: string,
  launchOf: (input: SkyLaunch) => Launch,
): Promise<Certified> {
  const { input, sky, context } = launch;
  await cancelRequests(launch);
  let cluster = await sky.cluster(input.cluster);
  if (cluster?.status !== "UP") {
    context.progress.line("machines first, then the task: the certificate is for their address");
    await provision(launchOf({ ...input, task: machinesOnly(input.task), secrets: {} }), { fast: false });
    cluster = await sky.cluster(input.cluster);
  }
  if (cluster === undefined) throw takenDown(input.cluster);
  const { endpoint, headAddress } = await findEndpoint(launch, cluster);
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, "");
  const names = [...new Set([host, headAddress, ...(input.tls?.names ?? [])])];
  const { issueCertificate } = require("../lib/tls/issue") as typeof import("../lib/tls/issue");
  const { bundle, ...certificate } = await issueCertificate(seed, names);
  context.progress.line(`certificate for ${names.join(", ")}: SHA-256 ${certificate.fingerprint}`);
  // Base64 on one line: it is passed through a shell and an environment variable.
  const secret = { [TLS_BUNDLE]: Buffer.from(bundle).toString("base64") };
  return { secrets: { ...input.secrets, ...secret }, certificate };
}

/** The task without its programs. */
function machinesOnly({ num_nodes, resources, config }: SkyTask): SkyTask {
  return { num_nodes, resources, ...(config === undefined ? {} : { config }) };
}
