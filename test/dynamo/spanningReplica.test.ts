/**
 * Two replicas, each over two nodes: one loses a rank and restarts as a whole, while the other serves every
 * request.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kill, processesOf } from "../../lib/processes";
import { programLog } from "../../plan/node/paths";
import { NODES_AUTHORITY } from "../../plan/programs/controlPlane";
import { certificateFrom, encryptedDoors, knock } from "../encryption";
import { readHistory } from "../nodes";
import { Clients } from "./clients";
import { eventually, TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    controlPlane: { leaseTtlSeconds: 10 },
    cluster: { nodes: 4, gpusPerNode: 1 },
    pools: [{ role: "aggregated", replicas: 2, tensorParallel: 2 }],
  },
  { discovery: "etcd", events: "nats" },
);
const { machine, name } = deployment;
/** Endpoint, metrics, etcd's own, NATS's monitor. */
const OPEN = [8000, 9100, 2380, 2381, 8222];
/** Placement of the ranks: replica 0 on nodes 0 and 1, replica 1 on nodes 2 and 3. */
const RANKS = [
  { node: 0, program: "aggregated-0" },
  { node: 1, program: "aggregated-0-rank1" },
  { node: 2, program: "aggregated-1" },
  { node: 3, program: "aggregated-1-rank1" },
] as const;
type Rank = (typeof RANKS)[number];

const starts = (): number[] =>
  RANKS.map(({ node, program }) => readHistory(machine.nodeDirectory(name, node), program)?.starts ?? 0);

/** The engine's process of a rank, a child of its launcher. */
function engineOf({ node, program }: Rank): number {
  const found = processesOf(machine.nodeDirectory(name, node)).filter(({ command }) => command === program);
  expect(found).toHaveLength(1);
  return found[0]?.pid ?? 0;
}

const logOf = ({ node, program }: Rank): string =>
  readFileSync(join(machine.nodeDirectory(name, node), programLog(program)), "utf8");

beforeAll(() => deployment.up());
afterAll(() => deployment.close());

describe("two replicas over two nodes each", () => {
  test("are both held together", () => {
    expect(deployment.plan.expectedWorkers.aggregated).toBe(2);
    expect(starts()).toEqual([1, 1, 1, 1]);
    for (const rank of RANKS) expect(logOf(rank)).toContain("all 2 ranks of aggregated-");
  });

  test("let no peer in without a certificate of the deployment", async () => {
    const doors = encryptedDoors(machine.processes(), OPEN);
    const programs = doors.map(({ program }) => program);
    expect(programs).toEqual(expect.arrayContaining(RANKS.map(({ program }) => program)));
    const own = certificateFrom(deployment.credentials[NODES_AUTHORITY]);
    const foreign = certificateFrom("of another deployment, which has a secret too");
    for (const door of doors) {
      const told = await Promise.all([knock(door), knock(door, foreign), knock(door, own)]);
      expect([door.program, ...told]).toEqual([door.program, "refused", "refused", "accepted"]);
    }
  });

  test.each([
    ["the rank that does not serve", RANKS[3]],
    ["the rank that serves", RANKS[2]],
  ])("%s is killed: its replica starts again, and every request is served meanwhile", async (_, victim) => {
    const before = starts();
    const served = RANKS.slice(0, 2).map(engineOf);
    const clients = new Clients(deployment, 4);
    try {
      await eventually(() => clients.answered > 20);
      kill(engineOf(victim));
      await eventually(
        () => starts().every((count, index) => count === (before[index] ?? 0) + (index < 2 ? 0 : 1)),
        60,
      );
      const answered = clients.answered;
      await deployment.machine.must("ready", deployment.readySpec());
      await eventually(() => clients.answered > answered + 20);
    } finally {
      await clients.stop();
    }
    expect(clients.failures).toEqual([]);
    expect(RANKS.slice(0, 2).map(engineOf)).toEqual(served);
    expect(starts().slice(0, 2)).toEqual(before.slice(0, 2));
    expect(new Set(Object.values(await deployment.observe()))).toEqual(new Set(["RUNNING"]));
  });

  test("leave nothing behind", async () => {
    await machine.must("local release", deployment.leaseSpec);
    expect(machine.processes()).toEqual([]);
  });
});
