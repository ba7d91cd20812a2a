/** The lab as a test sees it: SkyPilot's own words, and what runs on the machine. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { Progress } from "../../driver/progress";
import type { ConfigInput } from "../../plan/schema";
import { type ClusterRecord, clusterRecords, type JobRecord, jobQueues, jsonIn } from "../../sky/records";
import { LAB, LAB_INFRA, LAB_MARK, LAB_ROOT, SKY_ENVIRONMENT } from "../../tools/lab/layout";
import { whyNoLab } from "../../tools/lab/system";
import { findLabTools, installedSky } from "../../tools/lab/tools";
import { labUp } from "../../tools/lab/up";
import { REPOSITORY, type TestProject } from "../engine/programHarness";

/** Why the lab's tests cannot run on this machine; undefined when they can. */
export const reasonAgainstLab = whyNoLab();

export const LAB_UP_MS = 600_000;
/** Of a test that launches one or two clusters. */
export const LAUNCH_MS = 400_000;

/** Brings the lab up, unless it is. @returns whether it was, so that it can be left as it was found. */
export async function ensureLab(): Promise<boolean> {
  const wasUp = existsSync(LAB.etc);
  const progress = new Progress();
  await labUp(() => findLabTools(progress), progress, AbortSignal.timeout(LAB_UP_MS));
  return wasUp;
}

/** Runs the lab's `sky`. */
export function sky(...args: readonly string[]): { readonly code: number; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(installedSky(), args, {
    encoding: "utf8",
    env: { ...process.env, ...SKY_ENVIRONMENT },
    timeout: LAUNCH_MS,
  });
  return { code: status ?? -1, output: `${stdout}${stderr}` };
}

/** The clusters that SkyPilot knows, whose name begins with the prefix. */
export function clusters(prefix: string): ClusterRecord[] {
  const all = clusterRecords.parse(jsonIn(sky("status", "-o", "json").output));
  return all.filter(({ name }) => name.startsWith(prefix));
}

/** The jobs of a cluster, oldest first. */
export function jobs(cluster: string): JobRecord[] {
  const queues = jobQueues.parse(jsonIn(sky("queue", "-o", "json", cluster).output));
  return (queues[cluster] ?? []).toSorted((a, b) => a.job_id - b.job_id);
}

/** Command lines of processes that run for a cluster: it is named in their environment or their arguments. */
export function processesFor(cluster: string): string[] {
  const { stdout } = spawnSync("ps", ["axwwe", "-o", "pid=,args="], { encoding: "utf8", maxBuffer: 1 << 28 });
  return stdout
    .split("\n")
    .filter((line) => line.includes(cluster) && line.includes(LAB_MARK) && line.includes(LAB_ROOT));
}

/** A stack's program in a process of its own, which can be killed with all that it started. */
export function startUp(project: TestProject, stack: string): ChildProcess & { readonly text: () => string } {
  writeFileSync(
    join(project.directory, "Pulumi.yaml"),
    stringify({
      name: "lab-test",
      runtime: "nodejs",
      main: relative(project.directory, join(REPOSITORY, "program.cjs")),
    }),
  );
  const child = spawn(
    process.execPath,
    ["--import", "tsx", join(REPOSITORY, "tools", "stack.ts"), "up", "-s", stack, "-C", project.directory],
    {
      cwd: REPOSITORY,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        DYNAMO_SKY_STATE: project.state,
        PULUMI_BACKEND_URL: `file://${project.state}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
      },
    },
  );
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      text += data.toString();
    });
  return Object.assign(child, { text: () => text });
}

/** A deployment of two replicas, one a node, on ports of its own. */
export function deployment(changes: Partial<ConfigInput> = {}): ConfigInput {
  return {
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100" },
    pools: [{ role: "aggregated", replicas: 2, tensorParallel: 8 }],
    router: { mode: "round-robin" },
    frontend: { port: 21_000 },
    ports: {
      etcdClient: 21_010,
      etcdPeer: 21_020,
      nats: 21_030,
      natsMonitor: 21_040,
      workerSystem: 21_050,
      workerRpc: 21_060,
      frontendResponse: 21_070,
    },
    sky: { infra: LAB_INFRA },
    ...changes,
  };
}
