/** Nodes of the lab: what listens on them, who is let in, and what is taken off them by hand. */
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { changeUnits } from "../../lib/nodeUnits";
import { Progress } from "../../lib/progress";
import { parseConfig } from "../../plan/config";
import { factsOf } from "../../plan/facts";
import { plan } from "../../plan/plan";
import type { DeploymentPlan, NodePlan } from "../../plan/types";
import { LAB_NODES } from "../../toolchain/labLayout";
import { certificateFrom, knock } from "../encryption";
import { listeners, unlisted } from "../sockets";
import { MINUTES } from "./harness";
import { processIdsOf } from "./processes";
import { nodesDirectory } from "./secrecy";

/** The plan of a configuration; etcd and NATS can be had. */
export function planOf(input: ConfigInput): DeploymentPlan {
  const config = parseConfig(input);
  return plan(
    config,
    factsOf(config, () => true),
  );
}

/** That the nodes of a cluster listen on what is on the written list, and on nothing else. */
export function expectListed(nodes: readonly NodePlan[], cluster: string): void {
  const primary = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.internal === false && one.family === "IPv4")?.address;
  const listened = nodes.map((node) => ({
    node,
    address: addressOf(node),
    target: "sky" as const,
    ...(primary === undefined ? {} : { primary }),
  }));
  const found = listeners(processIdsOf(cluster));
  const names = new Set(found.map(({ program }) => (program === "nginx" ? "gateway" : program)));
  const programs = nodes.flatMap((node) => node.programs.map(({ name }) => name));
  expect([...names]).toEqual(expect.arrayContaining(programs));
  expect(unlisted(found, listened)).toEqual([]);
}

/** That etcd, NATS and a worker of a node refuse who has no certificate of the deployment. */
export async function expectRefusals(head: NodePlan | undefined): Promise<void> {
  const portOf = (role: string, purpose: string) =>
    head?.programs.find((program) => program.role === role)?.ports[purpose] ?? 0;
  const host = head === undefined ? "" : addressOf(head);
  const foreign = certificateFrom("of another deployment, which has a secret too");
  const doors = [
    { host, port: portOf("etcd", "client"), greeting: "GET /version HTTP/1.1\r\nhost: x\r\n\r\n" },
    { host, port: portOf("nats", "client"), isNats: true },
    { host, port: portOf("prefill", "rpc") },
  ];
  for (const door of doors)
    expect([door.port, await knock(door), await knock(door, foreign)]).toEqual([
      door.port,
      "refused",
      "refused",
    ]);
}

/** Takes a unit off a node as nobody should: by hand. */
export async function takeOff(cluster: string, rank: number, unit: string): Promise<void> {
  const context = {
    progress: new Progress(() => undefined),
    signal: AbortSignal.timeout(10 * MINUTES),
    result: () => undefined,
  };
  const shell = {
    command: "python3",
    args: (words: readonly string[]) => words,
    directory: join(nodesDirectory(cluster) ?? "", `node${rank}`),
  };
  expect(await changeUnits(shell, { remove: { unit } }, () => "", context)).toBe(true);
}

/** Addresses of a cluster's nodes for each other. */
function addressOf({ rank }: NodePlan): string {
  const nodes = LAB_NODES.filter(({ accelerator }) => accelerator === "H100");
  return nodes[rank]?.address ?? "";
}
