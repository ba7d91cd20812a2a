/**
 * Another stack after the first one on the same lab, through an API server other than the machine's default:
 * two replicas, each over two nodes, of which one loses a rank.
 */
import { statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sendStreams } from "../../dev/benchmarks/streams";
import { freePorts } from "../../dev/freePorts";
import { kill } from "../../lib/processes";
import { LOCKSTEP_SECRET, NATS_TOKEN, NODES_AUTHORITY } from "../../plan/programs/controlPlane";
import { clusters, type Endpoint, labConfig, reason, requireLab, titled } from "./harness";
import { LabStack } from "./labStack";
import { processesOf, processOfProgram } from "./processes";
import { Questions } from "./questions";
import { remoteApiServer } from "./remoteServer";
import { filesOf, nodesDirectory, secretsOnNodes } from "./secrecy";

const TIMEOUT = 600_000;
/** The ranks of the replica that loses its second one, and those of the other. */
const LOST = ["aggregated-1", "aggregated-1-rank1"];
const OTHERS = ["aggregated-0", "aggregated-0-rank1"];
const SOON = { timeout: 120_000, interval: 500 };
/** So long that a stream is open for seconds after its first token. */
const STREAMS = { requests: 60, clients: 60, answerTokens: 400 };

/** Waits until both ranks of the replica run as other processes: none can go on without the other. */
async function restarted(before: readonly number[]): Promise<void> {
  await expect
    .poll(() => LOST.map(processOfProgram), SOON)
    .toSatisfy((now: number[]) => now.every((pid, rank) => pid > 0 && pid !== before[rank]));
}

describe.skipIf(reason !== undefined)(
  titled("two replicas over two nodes each"),
  { timeout: TIMEOUT },
  () => {
    let stack: LabStack;
    let server: Readonly<Record<string, string>>;
    let cluster = "";
    let endpoint: Endpoint;

    beforeAll(async () => {
      requireLab();
      const ports = await freePorts();
      server = await remoteApiServer(ports.frontend.port + 9);
      stack = new LabStack("labtest", "other", server);
      stack.configure(
        labConfig(ports, {
          cluster: { nodes: 4, gpusPerNode: 1, accelerator: "A100" },
          pools: [{ role: "aggregated", replicas: 2, tensorParallel: 2 }],
          // A request of a lost worker migrates to the next worker in turn, which may be the lost one again.
          frontend: { ...ports.frontend, migrationLimit: 10 },
          controlPlane: { leaseTtlSeconds: 10 },
          access: { gateway: false },
        }),
      );
    }, TIMEOUT);
    afterAll(async () => {
      await stack.end();
    }, TIMEOUT);

    it("come up through an API server elsewhere, which alone knows of them", async () => {
      const { code, told, outputs } = await stack.do("up");
      expect(code, told).toBe(0);
      endpoint = { endpoint: String(outputs["endpoint"]), apiKey: undefined, fingerprint: undefined };
      expect(told).toContain("asks nobody in the cluster's network for a key");
      expect(told).toContain(`with the API server ${server["SKYPILOT_API_SERVER_ENDPOINT"]}`);
      expect(await clusters()).toEqual([]);
      const [only, ...others] = await clusters(server);
      expect(others).toEqual([]);
      expect(only).toMatchObject({ nodes: 4 });
      cluster = only?.name ?? "";
    });

    it("leave their secrets on the nodes alone: no API server is sent any", () => {
      const nodes = nodesDirectory(cluster) ?? "";
      const files = filesOf(secretsOnNodes(cluster), stack.directory);
      expect(files.filter(({ path }) => !path.startsWith(nodes))).toEqual([]);
      expect(new Set(files.map(({ secret }) => secret))).toEqual(
        new Set([LOCKSTEP_SECRET, NATS_TOKEN, NODES_AUTHORITY]),
      );
      // The directory of SkyPilot on the nodes is private.
      expect(statSync(nodes).mode & 0o777).toBe(0o700);
    });

    it("have another name than the stack before", () => {
      expect(cluster).toMatch(/^labtest-other-main-[a-z0-9]{6}$/);
    });

    it("are told apart by bin/dynamo-sky verify, which finds no cache-aware router here", async () => {
      const { code, stderr, json } = await stack.verify();
      expect(code, stderr).toBe(3);
      expect(json).toMatchObject({ cacheAware: false, disaggregated: false });
      const programs = new Set(json.requests.map(({ prefillProgram }) => prefillProgram));
      expect(programs).toEqual(new Set(["aggregated-0", "aggregated-1"]));
    });

    it("lose a rank: its replica starts again, while the other one serves every request", async () => {
      const others = OTHERS.map(processOfProgram);
      const lost = LOST.map(processOfProgram);
      const questions = new Questions(endpoint, 3);
      try {
        await expect.poll(() => questions.answered, SOON).toBeGreaterThan(20);
        kill(lost[1] ?? 0);
        await restarted(lost);
        const meanwhile = questions.answered;
        await expect.poll(() => questions.workers.size, SOON).toBeGreaterThan(2);
        await expect.poll(() => questions.answered, SOON).toBeGreaterThan(meanwhile + 20);
      } finally {
        await questions.stop();
      }
      expect(questions.failures).toEqual([]);
      expect(OTHERS.map(processOfProgram)).toEqual(others);
    });

    it("lose a worker with streams open: each of them ends whole, and those that follow", async () => {
      const lost = LOST.map(processOfProgram);
      const known = { url: endpoint.endpoint, model: "Qwen/Qwen3-8B" };
      let open = 0;
      const streams = sendStreams(known, { ...STREAMS, onFirst: () => open++ });
      await expect.poll(() => open, SOON).toBe(STREAMS.requests);
      kill(lost[0] ?? 0);
      const late = await sendStreams(known, { requests: 20, clients: 4, answerTokens: 16 });
      const answers = [...(await streams), ...late];
      expect(answers).toHaveLength(STREAMS.requests + 20);
      expect(answers.filter(({ isWhole }) => !isWhole)).toEqual([]);
      await restarted(lost);
    });

    it("are in sync afterwards: nothing has to be repaired", async () => {
      const drift = await stack.do("drift");
      expect(drift.code, drift.told).toBe(0);
    });

    it("go, and leave no process", async () => {
      const { code, told } = await stack.do("destroy");
      expect(code, told).toBe(0);
      expect(await clusters(server)).toEqual([]);
      await expect.poll(() => processesOf(cluster), SOON).toEqual([]);
    });
  },
);
