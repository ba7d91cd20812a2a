/**
 * TensorRT-LLM over several nodes: two replicas, each one MPI world over two nodes, as planned and with real
 * Open MPI.
 *
 * TensorRT-LLM itself is not available. Instead rank 0 serves with Dynamo's mocker and all ranks are those of
 * `standIns/`, which documents what it imitates; all nodes are this machine, so the MPI worlds, which listen
 * at all addresses, get separate ports.
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { locateTestEnvironment } from "../../dev/testEnvironments";
import { kill, processesOf } from "../../lib/processes";
import { parseConfig } from "../../plan/config";
import { programLog } from "../../plan/node/paths";
import { plan } from "../../plan/plan";
import type { ProgramPlan } from "../../plan/types";
import { programsOf } from "../../plan/types";
import { locateTools } from "../../toolchain/index";
import { readHistory } from "../nodes";
import { listeners, unlisted } from "../sockets";
import { Clients, clientOf } from "./clients";
import { eventually, TestDeployment, unusedPorts } from "./support";

const openMpi = locateTestEnvironment("openmpi") ?? "";
const dynamo = locateTools().python?.bin ?? "";
const standIns = join(__dirname, "standIns");

/** Becomes the command that follows. It only works if all spaces, quotes and line ends are preserved. */
const BECOME = [
  "python3",
  "-c",
  `import os, sys\nos.execvp(sys.argv[1], sys.argv[1:])  # "it's" {"x": [1, 2]} *`,
];
const config = {
  router: { mode: "round-robin", blockSize: 32 },
  frontend: { migrationLimit: 10 },
  controlPlane: { leaseTtlSeconds: 10 },
  cluster: { nodes: 4, gpusPerNode: 2 },
  pools: [{ role: "aggregated", replicas: 2, tensorParallel: 4 }],
};
const facts = { discovery: "etcd", events: "nats" } as const;

/** Rank 0's command with the mocker in place of TensorRT-LLM's worker. */
function served(program: ProgramPlan): readonly string[] {
  const simulated = { target: "local", engine: "mocker", model: "Qwen/Qwen3-8B", ...config };
  const { clusters } = plan(parseConfig(simulated), facts);
  const programs = programsOf({ clusters });
  return [...BECOME, ...(programs.find(({ name }) => name === program.name)?.command ?? [])];
}

const PORTS_OF_A_WORLD = 60;
const FIRST_PORT = unusedPorts(2 * PORTS_OF_A_WORLD);

/**
 * A tenth of them for `mpirun`, which uses its whole range, four tenths for the daemons, and half for the
 * ranks.
 */
const daemons = (first: number, count: number): Record<string, string> =>
  bothFamilies((family) => ({
    [`OMPI_MCA_oob_tcp_dynamic_ip${family}_ports`]: `${first}-${first + count - 1}`,
  }));
const ranks = (first: number, count: number): Record<string, string> =>
  bothFamilies((family) => ({
    [`OMPI_MCA_btl_tcp_port_min_${family}`]: String(first),
    [`OMPI_MCA_btl_tcp_port_range_${family}`]: String(count),
  }));
function bothFamilies(of: (family: string) => Record<string, string>): Record<string, string> {
  return { ...of("v4"), ...of("v6") };
}

function standingIn(program: ProgramPlan): ProgramPlan {
  const { mpi, command, env, replica } = program;
  if (mpi === undefined) return program;
  const first = FIRST_PORT + replica * PORTS_OF_A_WORLD;
  const ofDaemons = daemons(first + PORTS_OF_A_WORLD / 10, (4 * PORTS_OF_A_WORLD) / 10);
  return {
    ...program,
    mpi: { ...mpi, ...(mpi.daemonEnv === undefined ? {} : { daemonEnv: ofDaemons }) },
    command: mpi.worker === undefined ? command : [...command.slice(0, mpi.worker), ...served(program)],
    env: {
      ...env,
      // Dynamo's Python, since Open MPI's environment has another one.
      PATH: [standIns, dynamo, openMpi, process.env["PATH"]].join(":"),
      // NVIDIA's image sets it too.
      OPAL_PREFIX: dirname(openMpi),
      STAND_IN_PYTHON: join(openMpi, "python"),
      // Like the older of two versions of the script: `mpirun` does not end by itself.
      ...(replica === 1 ? { STAND_IN_LEAVES_LEADER: "1" } : {}),
      ...(mpi.worker === undefined ? ofDaemons : daemons(first, PORTS_OF_A_WORLD / 10)),
      ...ranks(first + PORTS_OF_A_WORLD / 2, PORTS_OF_A_WORLD / 2),
    },
    ports: {
      ...program.ports,
      ...Object.fromEntries(Array.from({ length: PORTS_OF_A_WORLD }, (_, at) => [`mpi${at}`, first + at])),
    },
  };
}

const deployment = new TestDeployment({ engine: "trtllm", ...config }, facts, standingIn);
const { machine, name } = deployment;

/** Replica 0 on nodes 0 and 1, replica 1 on nodes 2 and 3. */
const PROGRAMS = ["aggregated-0", "aggregated-0-rank1", "aggregated-1", "aggregated-1-rank1"];
const logOf = (node: number): string =>
  readFileSync(join(machine.nodeDirectory(name, node), programLog(PROGRAMS[node] ?? "")), "utf8");
const starts = (): number[] =>
  PROGRAMS.map((program, node) => readHistory(machine.nodeDirectory(name, node), program)?.starts ?? 0);

const rankSchema = z.object({
  rank: z.number(),
  world: z.number(),
  pid: z.number(),
  node: z.string(),
  gpus: z.string(),
  stranger: z.array(z.string()),
});

/** Data sent by the ranks of a replica to rank 0 over MPI, at their latest start. */
function ranksOf(replica: number): z.output<typeof rankSchema>[] {
  const told = logOf(2 * replica)
    .split("\n")
    .findLast((line) => line.startsWith("ranks "));
  return z.array(rankSchema).parse(JSON.parse(told?.slice("ranks ".length) ?? "[]"));
}

/** Ids of all processes of a replica. */
function pidsOf(replica: number): number[] {
  return [2 * replica, 2 * replica + 1].flatMap((node) =>
    processesOf(machine.nodeDirectory(name, node))
      .filter(({ command }) => command === PROGRAMS[node])
      .map(({ pid }) => pid),
  );
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
}

const SLURM = { SLURM_PROCID: "0", SLURM_NTASKS: "1", SLURM_JOB_ID: "7", SLURM_NNODES: "1" };

beforeAll(() => {
  // As in a SkyPilot task on Slurm, where every process could take itself for a Slurm task.
  Object.assign(process.env, SLURM);
  return deployment.up();
});
afterAll(() => deployment.close());

describe("two MPI worlds over two nodes each", () => {
  test.each([0, 1])("replica %i has a rank for each GPU, on the right node", (replica) => {
    const seats = ranksOf(replica).map(({ pid: _, ...seat }) => seat);
    const expected = [0, 0, 1, 1].map((node, rank) => ({
      rank,
      world: 4,
      node: deployment.address(2 * replica + node),
      gpus: "0,1",
      stranger: [],
    }));
    expect(seats).toEqual(expected);
  });

  test("register one worker each, whose command has arrived whole, and which answers", async () => {
    expect(deployment.plan.expectedWorkers.aggregated).toBe(2);
    const answer = await clientOf(deployment).chat.completions.create({
      model: deployment.plan.model,
      messages: [{ role: "user", content: "Say hello." }],
      max_tokens: 8,
    });
    expect(answer.usage?.completion_tokens).toBe(8);
  });

  test("listen where it is written down", () => {
    const found = listeners(machine.processes());
    expect(found.some(({ program, address }) => program === PROGRAMS[1] && address === "0.0.0.0")).toBe(true);
    expect(unlisted(found, deployment.listenedNodes)).toEqual([]);
  });

  test.each([
    ["a rank of the second node", () => ranksOf(1)[3]?.pid],
    ["mpirun", () => pidsOf(1).find((pid) => commandOf(pid) === "mpirun")],
    ["the daemon of the second node", () => pidsOf(1).findLast((pid) => commandOf(pid) === "orted")],
  ])(
    "%s is killed: its replica starts again whole, and every request is served meanwhile",
    async (_, victim) => {
      const before = starts();
      const [serving, ending] = [pidsOf(0), pidsOf(1)];
      const pid = victim();
      expect(pid).toBeGreaterThan(0);
      const clients = new Clients(deployment, 4);
      try {
        await eventually(() => clients.answered > 20);
        kill(pid ?? 0);
        const after = before.map((count, node) => count + (node < 2 ? 0 : 1));
        await eventually(() => starts().every((count, node) => count === after[node]), 60);
        await machine.must("ready", deployment.readySpec());
        const answered = clients.answered;
        await eventually(() => clients.answered > answered + 20);
      } finally {
        await clients.stop();
      }
      expect(clients.failures).toEqual([]);
      expect(ranksOf(1)).toHaveLength(4);
      // Nothing of the earlier run is left on either node; and the other replica was not restarted.
      expect(pidsOf(1).filter((one) => ending.includes(one))).toEqual([]);
      expect(pidsOf(0)).toEqual(serving);
      await eventually(async () =>
        Object.values(await deployment.observe()).every((state) => state === "RUNNING"),
      );
    },
  );

  test("leave nothing of themselves when a launcher is killed, and start again", async () => {
    const before = starts();
    const [serving, ending] = [pidsOf(0), pidsOf(1)];
    kill((await machine.pids(name, 2))["aggregated-1"] ?? 0);
    const after = before.map((count, node) => count + (node < 2 ? 0 : 1));
    await eventually(() => starts().every((count, node) => count === after[node]), 60);
    await machine.must("ready", deployment.readySpec());
    expect(pidsOf(1).filter((one) => ending.includes(one))).toEqual([]);
    expect(pidsOf(0)).toEqual(serving);
    // The worker did not deregister, so requests are sent to it until its lease expires.
    const { chat } = clientOf(deployment);
    const request = { model: deployment.plan.model, messages: [{ role: "user" as const, content: "Hi." }] };
    const answers = Array.from(
      { length: 12 },
      () => () =>
        chat.completions.create({ ...request, max_tokens: 2 }).then(
          () => true,
          () => false,
        ),
    );
    await eventually(async () => (await Promise.all(answers.map((ask) => ask()))).every(Boolean));
  });

  test("finish the answers that they are giving when they are told to stop, and leave nothing", async () => {
    const client = clientOf(deployment);
    const tokens = 300;
    const streams = await Promise.all(
      [0, 1].map(() =>
        client.chat.completions.create({
          model: deployment.plan.model,
          messages: [{ role: "user", content: "Count." }],
          max_tokens: tokens,
          stream: true,
          stream_options: { include_usage: true },
        }),
      ),
    );
    const open = new Set<number>();
    const read = streams.map(async (stream, index) => {
      let counted = 0;
      for await (const chunk of stream) {
        open.add(index);
        counted = chunk.usage?.completion_tokens ?? counted;
      }
      return counted;
    });
    await eventually(() => open.size === streams.length);
    const workers = deployment.units.filter(({ role }) => role === "aggregated");
    await Promise.all(workers.map((unit) => machine.must("local remove", deployment.programsSpec(unit))));
    expect(await Promise.all(read)).toEqual([tokens, tokens]);
    expect([pidsOf(0), pidsOf(1)]).toEqual([[], []]);
    for (const node of [0, 2]) expect(logOf(node)).not.toContain("did not stop within 10 s");
  });
});
