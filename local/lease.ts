/** `local lease`: creates the nodes of a cluster, each with a running supervisor but no programs yet. */
import { join } from "node:path";
import { withLock } from "../lib/lock";
import { defineVerb, type VerbContext } from "../lib/verb";
import { UNITS, unitDirectory } from "../plan/node/paths";
import { clusterDirectory, ranksOnDisk } from "./directories";
import { ensureSupervisor, isOutdated, makeNodeDirectory, writeNode } from "./node";
import { assertPortsFree, nodeAddress } from "./ports";
import type { NodeRecord } from "./record";
import { endNodes } from "./release";
import { type LocalLease, localLeaseSchema } from "./spec";
import type { SupervisorClient } from "./supervisor";
import { findToolchain, nodeEnvironment } from "./toolchain";
import { programsBelow, replaceUnitFiles, unitsOnDisk } from "./unit";

export const verb = defineVerb({
  input: localLeaseSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: lease,
});

async function lease(input: LocalLease, context: VerbContext): Promise<void> {
  await assertPortsFree(input);
  const { model, services, gateway, prometheus } = input;
  const toolchain = await findToolchain({ model, services, gateway, prometheus }, context);
  const wanted = new Set(input.nodes.map(({ rank }) => rank));
  const surplus = ranksOnDisk(input.cluster).filter((rank) => !wanted.has(rank));
  await endNodes(input.cluster, surplus, context);
  await Promise.all(
    input.nodes.map((node) => leaseNode(input, node, nodeRecord(input, node, toolchain), context)),
  );
}

type LeaseNode = LocalLease["nodes"][number];

function nodeRecord(
  input: LocalLease,
  node: LeaseNode,
  toolchain: Awaited<ReturnType<typeof findToolchain>>,
): NodeRecord {
  const rankAddresses = input.nodes.toSorted((a, b) => a.rank - b.rank).map(nodeAddress);
  return {
    address: nodeAddress(node),
    rankAddresses,
    controlAddress: input.headAddress ?? rankAddresses[0] ?? nodeAddress(node),
    pythonBin: toolchain.pythonBin,
    environment: nodeEnvironment(toolchain),
  };
}

async function leaseNode(
  input: LocalLease,
  node: LeaseNode,
  record: NodeRecord,
  context: VerbContext,
): Promise<void> {
  const directory = makeNodeDirectory(input.cluster, node.rank);
  await withLock(join(directory, "lock"), context, async () => {
    writeNode(directory, record, input.secrets);
    if (isOutdated(directory)) {
      context.progress.line(
        `node ${node.rank}: its environment has changed, so its programs are started again`,
      );
      await endNodes(input.cluster, [node.rank], context, { keepFiles: true });
    }
    const client = await ensureSupervisor(input.cluster, node.rank, record, context);
    if (input.units !== undefined) await stopOthers(client, directory, new Set(input.units), context);
  });
  context.progress.line(`node ${node.rank}: ready in ${clusterDirectory(input.cluster)}`);
}

/** Stops and removes all units of a node except the given ones. */
async function stopOthers(
  client: SupervisorClient,
  directory: string,
  kept: ReadonlySet<string>,
  { progress }: VerbContext,
): Promise<void> {
  const others = unitsOnDisk(join(directory, UNITS)).filter(({ unit }) => !kept.has(unit));
  await Promise.all(
    others.map(async ({ unit }) => {
      progress.line(`stopping ${unit}, which the deployment no longer has`);
      const programs = programsBelow(join(directory, unitDirectory(unit)));
      await replaceUnitFiles(client, directory, unit, []);
      await Promise.all(programs.map(({ name, stopSeconds }) => client.remove(name, stopSeconds)));
    }),
  );
}
