/** `local lease`: creates the nodes of a cluster, each with a running supervisor but no programs yet. */
import { join } from "node:path";
import { withLock } from "../lib/lock";
import { changeUnits } from "../lib/nodeUnits";
import { defineVerb, type VerbContext } from "../lib/verb";
import { clusterDirectory, ranksOnDisk } from "./directories";
import { ensureSupervisor, isOutdated, makeNodeDirectory, writeNode } from "./node";
import { assertPortsFree, nodeAddress } from "./ports";
import { type NodeRecord, nodeShell } from "./record";
import { endNodes } from "./release";
import { writeRollout } from "./rollout";
import { type LocalLease, localLeaseSchema } from "./spec";
import { findToolchain, nodeEnvironment } from "./toolchain";

export const verb = defineVerb({
  input: localLeaseSchema,
  timeoutSeconds: ({ timeoutSeconds }) => timeoutSeconds,
  run: lease,
});

async function lease(input: LocalLease, context: VerbContext): Promise<void> {
  await assertPortsFree(input);
  const { model, services, gateway, planner, prometheus } = input;
  const toolchain = await findToolchain({ model, services, gateway, planner, prometheus }, context);
  const wanted = new Set(input.nodes.map(({ rank }) => rank));
  const surplus = ranksOnDisk(input.cluster).filter((rank) => !wanted.has(rank));
  await endNodes(input.cluster, surplus, context);
  await Promise.all(
    input.nodes.map((node) => leaseNode(input, node, nodeRecord(input, node, toolchain), context)),
  );
  writeRollout(input.cluster, input.rollout);
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
    await ensureSupervisor(input.cluster, node.rank, record, context);
    const { units } = input;
    if (units !== undefined)
      await changeUnits(nodeShell(directory, record), { keep: { units } }, () => directory, context);
  });
  context.progress.line(`node ${node.rank}: ready in ${clusterDirectory(input.cluster)}`);
}
