/**
 * `sky nodes`: gives the nodes of a cluster that is up their secrets, and takes off what the deployment no
 * longer has.
 */

import { UserError } from "../lib/errors";
import type { NodeShell } from "../lib/nodes";
import { changeUnits } from "../lib/nodeUnits";
import { inOneLine } from "../lib/oneLine";
import { bypassProxies } from "../lib/proxies";
import type { ServedCertificate } from "../lib/tls/served";
import { defineVerb, type VerbContext } from "../lib/verb";
import { READ_AGAIN, TLS_BUNDLE } from "../plan/programs/gateway";
import { findSky } from "../toolchain/skypilot";
import { Sky } from "./cli";
import { type SkyNodes, type SkyNodesResult, skyNodesSchema } from "./spec";
import { hasSshEntry, sharedConnection, sshShell } from "./ssh";

export const verb = defineVerb({
  input: skyNodesSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: async (input, context) => {
    const { certificate, secrets } = await certified(input, context);
    const { cluster, infra, nodes, units, files, rollout } = input;
    const shellOf = await shells(cluster, infra, context);
    await Promise.all(
      nodes.map(async ({ rank, secrets: names }) => {
        const values = Object.fromEntries(
          names.flatMap((name) => (secrets[name] === undefined ? [] : [[name, secrets[name]]])),
        );
        await onNode(cluster, rank, shellOf(rank), { secrets: { values, reread: READ_AGAIN } }, context);
        const keep = { units, files, ...(rollout !== undefined && rank === 0 ? { rollout } : {}) };
        await onNode(cluster, rank, shellOf(rank), { keep }, context);
      }),
    );
    context.progress.line(`secrets are on ${nodes.length === 1 ? "the node" : `${nodes.length} nodes`}`);
    context.result({ ...(certificate === undefined ? {} : { certificate }) } satisfies SkyNodesResult);
  },
});

/** The secrets with the certificate of the gateway, issued for the address that clients use. */
async function certified(
  { secrets, tls, endpoint, headAddress }: SkyNodes,
  { progress }: VerbContext,
): Promise<{ secrets: Readonly<Record<string, string>>; certificate?: ServedCertificate }> {
  const seed = tls?.seed;
  if (seed === undefined) return { secrets };
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, "");
  const names = [...new Set([host, headAddress, ...(tls?.names ?? [])])];
  const { issueCertificate } = require("../lib/tls/issue") as typeof import("../lib/tls/issue");
  const { bundle, ...certificate } = await issueCertificate(seed, names);
  progress.line(`certificate for ${names.join(", ")}: SHA-256 ${certificate.fingerprint}`);
  // As a secret of a recipe is.
  return { secrets: { ...secrets, [TLS_BUNDLE]: inOneLine(bundle) }, certificate };
}

/** A shell on each node of a cluster, by rank; undefined if SkyPilot knows no such cluster. */
export async function findShells(
  cluster: string,
  infra: readonly string[],
  context: VerbContext,
): Promise<((rank: number) => NodeShell) | undefined> {
  bypassProxies();
  const { env } = await findSky(infra, context.progress.line);
  if (!hasSshEntry(cluster, env)) {
    const sky = await Sky.find(infra, context);
    if ((await sky.cluster(cluster).finally(() => sky.close())) === undefined) return undefined;
  }
  const connection = sharedConnection(env);
  return (rank) => ({
    ...sshShell(cluster, rank, connection),
    failure: (said) => unreachable(cluster, rank, said),
  });
}

/** The same. @throws UserError if SkyPilot knows no such cluster. */
export async function shells(
  cluster: string,
  infra: readonly string[],
  context: VerbContext,
): Promise<(rank: number) => NodeShell> {
  const found = await findShells(cluster, infra, context);
  if (found !== undefined) return found;
  throw new UserError(`SkyPilot knows no cluster ${cluster}: run \`pulumi up\` again, which launches it.`);
}

/**
 * Carries out a change on a node.
 *
 * @throws UserError with ssh's message, and what to do.
 */
export async function onNode(
  cluster: string,
  rank: number,
  shell: NodeShell,
  change: Parameters<typeof changeUnits>[1],
  context: VerbContext,
): Promise<void> {
  const logOf = () => `sky logs ${cluster}`;
  if (!(await changeUnits(shell, change, logOf, context)))
    throw unreachable(cluster, rank, "its supervisor does not answer");
}

function unreachable(cluster: string, rank: number, said: string): UserError {
  return new UserError(
    [
      `${cluster}: node ${rank} could not be changed; what runs on it runs on.`,
      `Cause: ${said.trim().split("\n").at(-1) ?? ""}`,
      `Next: see that 'ssh ${cluster}' works and that its task runs ('sky queue ${cluster}'), and run 'up' again.`,
    ].join("\n"),
  );
}
