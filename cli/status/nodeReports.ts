/** Queries all nodes of a deployment in parallel, with a time limit. */

import { askNode, type ReportRequest } from "../../lib/agent";
import { modelInPath } from "../../lib/modelPath";
import { messageOf } from "../../lib/run";
import { type Deployed, type DeployedNode, nodesOf } from "../deployment/deployed";
import type { Reach } from "../deployment/reach";
import { SERIES } from "./metrics";
import { type NodeAnswer, type NodeReport, nodeReport } from "./report";

export interface ReportOptions {
  /** Number of reports per node. */
  readonly times: number;
  /** Seconds between two reports. */
  readonly every: number;
  /** Time limit per node, seconds, in addition to the time between the reports. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/** Every node, with its reports or the reason why there are none. */
export async function reportsOfNodes(
  deployed: Deployed,
  { shell }: Pick<Reach, "shell">,
  isUp: (cluster: string) => boolean,
  options: ReportOptions,
): Promise<(DeployedNode & { readonly answer: NodeAnswer })[]> {
  return Promise.all(
    nodesOf(deployed).map(async (node) => {
      if (!isUp(node.cluster)) return { ...node, answer: { unreachable: "its cluster is not up" } };
      const at = shell(node);
      if (at === undefined) return { ...node, answer: { unreachable: "there is no such node any more" } };
      const limit = options.timeoutSeconds + (options.times - 1) * options.every;
      const timeout = AbortSignal.timeout(limit * 1000);
      const reports: NodeReport[] = [];
      try {
        const request = { report: reportRequest(deployed, node, options) };
        const keep = (answer: unknown) => reports.push(nodeReport.parse(answer));
        await askNode(at, request, keep, AbortSignal.any([options.signal, timeout]));
      } catch (error) {
        options.signal.throwIfAborted();
        const why = timeout.aborted ? `no answer within ${limit} s` : messageOf(error);
        if (reports.length === 0) return { ...node, answer: { unreachable: why } };
      }
      return { ...node, answer: answerOf(reports) };
    }),
  );
}

function answerOf(reports: readonly NodeReport[]): NodeAnswer {
  const now = reports.at(-1);
  if (now === undefined) return { unreachable: "it told nothing" };
  return { earlier: reports.length > 1 ? reports[0] : undefined, now };
}

function reportRequest(
  { model }: Deployed,
  { programs }: DeployedNode,
  { times, every }: ReportOptions,
): ReportRequest {
  const frontends = programs.flatMap(({ name, role, ports }) => {
    // Behind a gateway it has its own port.
    const port = ports["frontendHttp"] ?? ports["http"];
    return role === "frontend" && port !== undefined ? [[name, port] as const] : [];
  });
  return {
    programs: programs.map(({ name }) => name),
    frontends: Object.fromEntries(frontends),
    model: modelInPath(model),
    series: SERIES,
    times,
    every,
  };
}
