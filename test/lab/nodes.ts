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
import { NODES_AUTHORITY } from "../../plan/programs/controlPlane";
import type { DeploymentPlan, NodePlan } from "../../plan/types";
import { LAB_NODES } from "../../toolchain/labLayout";
import {
  encryptedDoors,
  expectGuarded,
  NEEDLES,
  overhear,
  type Prompted,
  REQUEST,
  sendPrompt,
} from "../encryption";
import { listeners, unlisted } from "../sockets";
import { MINUTES } from "./harness";
import { processIdsOf } from "./processes";
import { nodesDirectory, secretsOnNodes } from "./secrecy";

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
  const primary = primaryAddress();
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

/** Purposes of ports for clients, for probes, or for their own node only: these do not speak TLS. */
const PLAIN = ["http", "frontendHttp", "gatewayStatus", "system", "metrics", "peer", "monitor"];

/** The planned ports of a purpose, with the addresses of their nodes. */
function portsOf(nodes: readonly NodePlan[], purposes: readonly string[]) {
  return nodes.flatMap((node) =>
    node.programs.flatMap(({ name, ports }) =>
      purposes.flatMap((purpose) => {
        const port = ports[purpose];
        return port === undefined ? [] : [{ program: name, port, end: `${addressOf(node)}:${port}` }];
      }),
    ),
  );
}

/** The sockets on which the programs of a cluster take each other's connections. */
function doorsOf(nodes: readonly NodePlan[], cluster: string) {
  const plain = portsOf(nodes, PLAIN).map(({ port }) => port);
  const names = nodes.flatMap(({ programs }) => programs.map(({ name }) => name));
  return encryptedDoors(processIdsOf(cluster), plain).filter(({ program }) => names.includes(program));
}

/**
 * That etcd, NATS, every worker's port for requests and every frontend's for answers let in who has a
 * certificate of the deployment, and nobody else.
 */
export async function expectRefusals(nodes: readonly NodePlan[], cluster: string): Promise<void> {
  const doors = doorsOf(nodes, cluster);
  const named = ({ program, port }: { readonly program: string; readonly port: number }) =>
    `${program}:${port}`;
  const planned = portsOf(nodes, ["client", "rpc", "response"]).map(named);
  expect(doors.map(named)).toEqual(expect.arrayContaining(planned));
  await expectGuarded(doors, secretsOnNodes(cluster)[NODES_AUTHORITY] ?? "");
}

/**
 * That a listener to all that the nodes say to each other reads no prompt, no answer and no KV event. It does
 * read: the gateway and the frontends, which are on one node, speak plain HTTP with each other.
 */
export async function expectUnheard(
  nodes: readonly NodePlan[],
  cluster: string,
  endpoint: Prompted,
): Promise<void> {
  const between = doorsOf(nodes, cluster).map(({ port }) => port);
  const within = portsOf(nodes, ["frontendHttp"]).map(({ port }) => port);
  const addresses = [...nodes.map(addressOf), primaryAddress() ?? ""];
  const { seen, packets } = await overhear(addresses, { ...NEEDLES, request: REQUEST }, async () => {
    // Each begins otherwise, so that the router spreads them over the workers of both nodes.
    await Promise.all(Array.from({ length: PROMPTS }, (_, index) => sendPrompt(endpoint, index + 1)));
  });
  // The machine's other programs may talk at these addresses too.
  const own = Object.entries(seen).map(([text, ports]) => [
    text,
    ports.filter((port) => [...between, ...within].includes(port)),
  ]);
  expect(Object.fromEntries(own.filter(([, ports]) => ports?.length !== 0))).toEqual({
    request: within.toSorted(),
  });
  // Which workers had work is the router's choice.
  for (const purpose of ["rpc", "response", "client"]) {
    const heard = portsOf(nodes, [purpose]).map(({ port }) => packets[port] ?? 0);
    expect(Math.max(...heard), purpose).toBeGreaterThan(3);
  }
}

const PROMPTS = 16;

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

/** The machine's own address, at which frontends take answers. */
function primaryAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flat();
  return all.find((one) => one?.internal === false && one.family === "IPv4")?.address;
}
