/** A deployment on this machine for tests: planned from a configuration, run through the driver's verbs. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { DeploymentConfig } from "../../config/deployment";
import { kill, processesOf } from "../../lib/processes";
import type { ObservedClusters } from "../../local/observe";
import type { LocalLeaseSpec, LocalProgramsSpec } from "../../local/spec";
import { parseConfig } from "../../plan/config";
import { programLog } from "../../plan/node/paths";
import { type PlanFacts, plan } from "../../plan/plan";
import {
  type CONTROL_PLANE_SECRETS,
  ETCD_PASSWORD,
  ETCD_ROOT_PASSWORD,
  LOCKSTEP_SECRET,
  NATS_TOKEN,
  NODES_AUTHORITY,
} from "../../plan/programs/controlPlane";
import type { ReadySpec } from "../../plan/readySpec";
import {
  type ClusterPlan,
  CONTROL_PLANE_ROLES,
  type DeploymentPlan,
  type ProgramPlan,
} from "../../plan/types";
import { type Unit, unitsOf } from "../../plan/units";
import { pidsOf, removeShortPaths } from "../nodes";
import type { ListenedNode } from "../sockets";

export { eventually } from "../eventually";

const DRIVER = join(__dirname, "..", "..", "bin", "dynamo-sky");

/** Result of a call of the driver. */
export interface DriverRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A separate state directory; closing it kills all processes that run below it. */
export class Machine {
  readonly state = mkdtempSync(join(tmpdir(), "dsky-"));
  /** With its own loopback network, so that tests and deployments do not conflict. */
  readonly network = `127.${random(64, 250)}.${random(1, 250)}`;

  /** Calls a verb with its input, like Pulumi's command. */
  async run(verb: string, input: unknown, env: Readonly<Record<string, string>> = {}): Promise<DriverRun> {
    const child = spawn(DRIVER, verb.split(" "), {
      // A machine with GPUs may show only some of them, and the tests' nodes have others.
      env: { ...process.env, CUDA_VISIBLE_DEVICES: undefined, DYNAMO_SKY_STATE: this.state, ...env },
      stdio: "pipe",
    });
    child.stdin.end(typeof input === "string" ? input : JSON.stringify(input));
    const code = new Promise<number | null>((resolve) => child.on("close", resolve));
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await code, stdout, stderr };
  }

  /** Like {@link run}, and fails the test with the output if the verb fails. */
  async must(verb: string, input: unknown): Promise<DriverRun> {
    const run = await this.run(verb, input);
    if (run.code !== 0) throw new Error(`${verb} ended with ${run.code}:\n${run.stderr}${run.stdout}`);
    return run;
  }

  nodeDirectory(cluster: string, rank = 0): string {
    return join(this.state, "clusters", cluster, `node${rank}`);
  }

  /** Process ids of a node's programs, by name. */
  async pids(cluster: string, rank = 0): Promise<Record<string, number>> {
    return pidsOf(this.nodeDirectory(cluster, rank));
  }

  /** All processes that run below the state directory. */
  processes(): number[] {
    return processesOf(this.state).map(({ pid }) => pid);
  }

  private nodeDirectories(): string[] {
    const clusters = join(this.state, "clusters");
    const names = existsSync(clusters) ? readdirSync(clusters) : [];
    return names.flatMap((name) =>
      readdirSync(join(clusters, name))
        .filter((entry) => /^node\d+$/.test(entry))
        .map((entry) => join(clusters, name, entry)),
    );
  }

  /** Kills everything without the driver, which may be what is broken. */
  close(): void {
    for (const pid of this.processes()) kill(pid);
    removeShortPaths(this.nodeDirectories());
    rmSync(this.state, { recursive: true, force: true });
  }
}

/** One planned deployment of one cluster, run like the components do. */
export class TestDeployment {
  readonly machine = new Machine();
  readonly name = "test-main-abc123";
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** As in the configuration: the plan's is the served name. */
  readonly model: string;
  readonly cluster: ClusterPlan;
  readonly units: readonly Unit[];
  /** Values of the programs' secrets for the next lease; those of etcd and NATS are added. */
  secrets: Readonly<Record<string, string>> = {};
  /** Generated ones of etcd and NATS. */
  readonly credentials: Readonly<Record<(typeof CONTROL_PLANE_SECRETS)[number], string>> = {
    [ETCD_PASSWORD]: newPassword(),
    [ETCD_ROOT_PASSWORD]: newPassword(),
    [NATS_TOKEN]: newPassword(),
    [LOCKSTEP_SECRET]: newPassword(),
    [NODES_AUTHORITY]: newPassword(),
  };

  /** @param change Changes a program of the plan for the test. */
  constructor(
    config: Readonly<Record<string, unknown>>,
    facts: PlanFacts,
    change: (program: ProgramPlan) => ProgramPlan = (program) => program,
  ) {
    const defaults = { target: "local", engine: "mocker", model: "Qwen/Qwen3-8B" };
    const quick = { stopSeconds: 10, dependencySeconds: 60 };
    const parsed = parseConfig({ ...defaults, timeouts: quick, ...config });
    this.config = parsed;
    this.model = parsed.model;
    this.plan = plan(parsed, facts);
    const [cluster] = this.plan.clusters;
    if (cluster === undefined) throw new Error("the plan has no cluster");
    this.cluster = {
      ...cluster,
      nodes: cluster.nodes.map((node) => ({ ...node, programs: node.programs.map(change) })),
    };
    this.units = unitsOf(this.cluster);
  }

  get endpoint(): string {
    return `http://${this.address(this.plan.endpoint.rank)}:${this.plan.endpoint.port}`;
  }

  /** Log files by program. */
  get logs(): Record<string, string[]> {
    const entries = this.cluster.nodes.flatMap(({ rank, programs }) =>
      programs.map(({ name }) => [
        name,
        [join(this.machine.nodeDirectory(this.name, rank), programLog(name))],
      ]),
    );
    return Object.fromEntries(entries);
  }

  get leaseSpec(): LocalLeaseSpec {
    return {
      cluster: this.name,
      model: this.model,
      services: this.units.some(({ role }) => role === "etcd" || role === "nats"),
      gateway: this.units.some(({ role }) => role === "gateway"),
      planner: this.units.some(({ role }) => role === "planner"),
      prometheus: this.units.some(({ role }) => role === "prometheus"),
      secrets: { ...this.credentials, ...this.secrets },
      nodes: this.cluster.nodes.map(({ rank, programs }) => ({
        rank,
        address: this.address(rank),
        ports: programs.flatMap(({ name, ports }) =>
          Object.entries(ports).map(([purpose, port]) => ({ program: name, purpose, port })),
        ),
      })),
    };
  }

  /** Its nodes, for the list of expected listeners. */
  get listenedNodes(): ListenedNode[] {
    return this.cluster.nodes.map((node) => ({ node, address: this.address(node.rank), target: "local" }));
  }

  readySpec(change: Partial<ReadySpec> = {}): ReadySpec {
    const { model, task, namespace, expectedWorkers } = this.plan;
    const basis = { endpoint: this.endpoint, model, task, namespace, expectedWorkers, logs: this.logs };
    return { ...basis, timeoutSeconds: 90, ...change };
  }

  unit(name: string): Unit {
    const unit = this.units.find((candidate) => candidate.name === name);
    if (unit === undefined)
      throw new Error(`no unit ${name} among ${this.units.map((u) => u.name).join(", ")}`);
    return unit;
  }

  programsSpec(unit: Unit): LocalProgramsSpec {
    const nodes = unit.nodes.map(({ rank, programs }) => ({
      rank,
      address: this.address(rank),
      programs: [...programs],
    }));
    return { cluster: this.name, unit: unit.name, nodes };
  }

  /** Lease, all units in parallel like Pulumi (control plane first), readiness. */
  async up(ready: Partial<ReadySpec> = {}): Promise<void> {
    await this.machine.must("local lease", this.leaseSpec);
    const roles: readonly string[] = CONTROL_PLANE_ROLES;
    const isControl = ({ role }: Unit) => roles.includes(role);
    for (const stage of [this.units.filter(isControl), this.units.filter((unit) => !isControl(unit))]) {
      await Promise.all(stage.map((unit) => this.machine.must("local apply", this.programsSpec(unit))));
    }
    await this.machine.must("ready", this.readySpec(ready));
  }

  async observe(): Promise<Record<string, string>> {
    const { stdout } = await this.machine.must("local observe", { clusters: [this.name] });
    const observed: ObservedClusters = JSON.parse(stdout);
    const programs = (observed[this.name] ?? []).flatMap((node) => node.programs);
    return Object.fromEntries(programs.map(({ name, state }) => [name, state]));
  }

  close(): void {
    this.machine.close();
  }

  address(rank: number): string {
    return `${this.machine.network}.${1 + rank}`;
  }
}

/**
 * First of `count` consecutive ports of this machine that are free on all addresses, and were not used within
 * the last minute, below the kernel's ephemeral range.
 */
export function unusedPorts(count: number): number {
  const used = new Set(
    ["tcp", "tcp6"].flatMap((table) =>
      [...readFileSync(`/proc/net/${table}`, "utf8").matchAll(/^ *\d+: \w+:(\w+)/gm)].map(([, port = ""]) =>
        Number.parseInt(port, 16),
      ),
    ),
  );
  for (;;) {
    const first = random(10_000, 32_000 - count);
    if (![...used].some((port) => port >= first && port < first + count)) return first;
  }
}

function newPassword(): string {
  return randomBytes(20).toString("hex");
}

function random(from: number, to: number): number {
  return from + Math.floor(Math.random() * (to - from));
}

/** A program's own process, which is a child of its launcher. */
export function processOf({ machine, name, cluster }: TestDeployment, program: string): number {
  const node = cluster.nodes.find(({ programs }) => programs.some((one) => one.name === program));
  const directory = machine.nodeDirectory(name, node?.rank);
  const found = processesOf(directory).filter(({ command }) => command === program);
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${program} has ${found.length} processes`);
  return only.pid;
}
