/** `local lease`: makes the nodes of a cluster, each with a running supervisor and no program yet. */
import { join } from "node:path";
import { defineVerb, type VerbContext } from "../driver/verb";
import { clusterDirectory, nodeDirectory, ranksOnDisk } from "./directories";
import { withLock } from "./lock";
import { ensureSupervisor, type NodeRecord, prepareNode } from "./node";
import { assertPortsFree, nodeAddress } from "./ports";
import { endNodes } from "./release";
import { type LocalLease, localLeaseSchema } from "./spec";
import { findToolchain, nodeEnvironment } from "./toolchain";

export const verb = defineVerb({
  input: localLeaseSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: lease,
});

async function lease(input: LocalLease, context: VerbContext): Promise<void> {
  await assertPortsFree(input);
  const toolchain = await findToolchain({ model: input.model, services: input.services }, context);
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
  const directory = nodeDirectory(input.cluster, node.rank);
  const changed = prepareNode(input.cluster, node.rank, record, input.secrets);
  await withLock(join(directory, "lock"), context, async () => {
    if (changed) {
      context.progress.line(
        `node ${node.rank}: its environment has changed, so its programs are started again`,
      );
      await endNodes(input.cluster, [node.rank], context, { keepFiles: true });
    }
    await ensureSupervisor(input.cluster, node.rank, record, context);
  });
  context.progress.line(`node ${node.rank}: ready in ${clusterDirectory(input.cluster)}`);
}
