/**
 * A team's pipeline on SkyPilot, from a fresh clone and without a terminal: comments on a pull request,
 * deployment and its monitoring, drift, and an ephemeral stack of a pull request. Real SkyPilot, real Slurm,
 * real Dynamo with its mocker engine.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSummary } from "../../cli/bench/summary";
import { clientOf } from "../../cli/chat";
import { deploymentOf, type RunningDeployment } from "../../cli/deployment/running";
import { outputsIn } from "../../cli/pulumi/exported";
import type { ConfigInput } from "../../config/schema";
import { freePorts } from "../../dev/freePorts";
import { PipelineLife } from "../pipelines/life";
import { PASSPHRASE, PipelineMachine, type Ran } from "../pipelines/machine";
import { commandOf } from "../processes";
import { clusters, labConfig, MARK, REPOSITORY, reason, requireLab, sky, titled } from "./harness";
import { processesOf } from "./processes";

const TIMEOUT = 600_000;
/** For conditions that take seconds on an idle machine. */
const SOON = { timeout: 240_000, interval: 500 };

/** Everything with metrics on one node: both kinds of worker, KV-aware routing, and monitoring. */
const WATCHED: Partial<ConfigInput> = {
  cluster: { nodes: 1, gpusPerNode: 8, accelerator: "H100" },
  pools: [
    { role: "prefill", tensorParallel: 4 },
    { role: "decode", replicas: 2, tensorParallel: 2 },
  ],
  router: { mode: "kv" },
  metrics: { prometheus: true, scrapeIntervalSeconds: 1 },
  sky: { infra: "slurm/lab", labels: { owner: "pipeline" } },
};

/** The relevant part of `bin/dynamo-sky metrics --check --json`. */
interface Checked {
  readonly targets: readonly {
    readonly cluster: string;
    readonly program: string;
    readonly problem: string | null;
  }[];
  readonly questions: readonly { readonly source: string; readonly values: readonly unknown[] }[];
  readonly absent: readonly { readonly reason: string }[];
}

async function checked(machine: PipelineMachine, stack: string): Promise<Checked> {
  const { status, stdout, stderr } = await machine.run("metrics", "--stack", stack, "--check", "--json");
  expect([0, 3], stderr).toContain(status);
  return JSON.parse(stdout);
}

/**
 * Links the npm packages into a clone, like a pipeline's cache: installing them takes a minute. Others are
 * installed.
 */
function linkPackages(clone: string): void {
  const [lock, theirs] = [REPOSITORY, clone].map((root) =>
    readFileSync(join(root, "package-lock.json"), "utf8"),
  );
  if (lock === theirs) symlinkSync(join(REPOSITORY, "node_modules"), join(clone, "node_modules"));
}

/** Control plane and worker on separate clusters. */
const APART: Readonly<Record<string, unknown>> = {
  placement: "dedicated",
  cluster: { gpusPerNode: 1, accelerator: "A100" },
  pools: [{ role: "aggregated" }],
};

describe.skipIf(reason !== undefined)(titled("a pipeline on SkyPilot"), { timeout: TIMEOUT }, () => {
  let scratch = "";
  let clone = "";
  let machine: PipelineMachine;
  /** Another runner of the same pipeline, for concurrent steps. */
  let other: PipelineMachine;
  let life: PipelineLife;
  let deployment: RunningDeployment;
  let pullRequest: Promise<Ran> | undefined;

  const names = async () => (await clusters()).map(({ name }) => name.replace(/-[a-z0-9]{6}$/, ""));

  beforeAll(async () => {
    requireLab();
    scratch = mkdtempSync(join(tmpdir(), "dsky-team-"));
    clone = join(scratch, "clone");
    execFileSync("git", ["clone", "--quiet", REPOSITORY, clone]);
    linkPackages(clone);
    const env = { ...MARK, ...PipelineMachine.backend(join(scratch, "bucket")) };
    machine = new PipelineMachine(clone, clone, env);
    other = new PipelineMachine(clone, clone, env);
    life = new PipelineLife(machine, "prod", { gpus: "8", price: "$0.00" });
    machine.configure("prod", labConfig(await freePorts(), WATCHED));
  }, TIMEOUT);
  afterAll(async () => {
    await pullRequest;
    for (const stack of ["pr-7", "prod"]) await machine.run("stack", "destroy", "--stack", stack);
    for (const one of [machine, other]) one.close();
    rmSync(scratch, { recursive: true, force: true });
  }, TIMEOUT);

  it("tells on a pull request what would be made", async () => {
    await life.preview(join(clone, "observability/policy"));
    expect(await clusters()).toEqual([]);
  });

  it("deploys, with the endpoint and the smoke test in its summary", async () => {
    const page = await life.deploy();
    expect(await names()).toEqual(["dynamo-sky-prod-main"]);
    const { stdout } = await machine.run("stack", "export", "--stack", "prod", "--show-secrets");
    deployment = deploymentOf(outputsIn(JSON.parse(stdout)));
    expect(page).toContain(deployment.endpoint);
  });

  it("begins to deploy a pull request's stack beside it", async () => {
    const { frontend, ports } = await freePorts();
    const settings = { "frontend.port": frontend.port, ports, ...APART };
    const set = Object.entries(settings).flatMap(([key, value]) => [
      "--set",
      `${key}=${JSON.stringify(value)}`,
    ]);
    pullRequest = other.pipeline("ephemeral-up", "--base", "prod", "--id", "7", ...set);
  });

  it("lets in who has the key, and nobody else", async () => {
    const stranger = clientOf({ ...deployment, apiKey: "wrong".padEnd(40, "0") });
    await expect(stranger.models.list()).rejects.toThrow(/401/);
    expect((await clientOf(deployment).models.list()).data).toHaveLength(1);
  });

  it("has a Prometheus with all targets up, and an answer to every query of every dashboard and alert", async () => {
    let found: Checked = { targets: [], questions: [], absent: [] };
    const unanswered = async () => {
      found = await checked(machine, "prod");
      return found.questions.filter(({ values }) => values.length === 0).map(({ source }) => source);
    };
    await expect.poll(unanswered, SOON).toEqual([]);
    const { targets, questions, absent } = found;
    expect(targets.map(({ program, problem }) => [program, problem])).toEqual(
      [
        ...["etcd", "frontend-0", "frontend-1", "prefill-0", "decode-0", "decode-1"],
        ...["exporter-0", "prometheus"],
      ].map((name) => [name, null]),
    );
    expect(questions.length).toBeGreaterThan(60);
    // All others need a GPU, and are listed with that reason.
    expect(absent.length).toBeGreaterThan(0);
    expect(absent.filter((one) => !one.reason.startsWith("needs a GPU"))).toEqual([]);
  });

  it("is shown by bin/dynamo-sky status as it is, for programs and on a screen of 100 columns", async () => {
    let told = "";
    const code = async () => {
      const { status, stdout, stderr } = await machine.run("status", "--stack", "prod", "--json");
      told = stdout === "" ? stderr : stdout;
      return status;
    };
    // A machine that is too busy for a timely ssh connection is reported as a temporary problem.
    await expect.poll(code, SOON).toBe(0);
    expect(JSON.parse(told)).toMatchObject({
      healthy: true,
      endpoint: deployment.endpoint,
      roles: [
        { role: "prefill", ready: 1, wanted: 1 },
        { role: "decode", ready: 2, wanted: 2 },
      ],
      clusters: [{ status: "UP", job: { status: "RUNNING" } }],
    });
    const screen = await machine.run("status", "--stack", "prod");
    expect(screen.status, screen.stderr).toBe(0);
    const lines = screen.stdout.split("\n");
    expect(lines.filter((line) => line.length > 100)).toEqual([]);
    expect(screen.stdout).toContain("decode      2 of 2 ready");
    expect(lines.filter((line) => / running /.test(line))).toHaveLength(10);
  });

  it("is followed by bin/dynamo-sky logs, over a lost connection too, with no line twice", async () => {
    const follow = ["--follow", "--role", "gateway", "--tail", "0", "--json"];
    const child = machine.start("logs", "--stack", "prod", ...follow);
    const seen = { lines: [] as string[], told: "", requests: 0 };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      seen.lines.push(...text.split("\n").filter(Boolean));
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      seen.told += text;
    });
    const asked = async () => {
      const before = seen.lines.length;
      await expect
        .poll(async () => {
          seen.requests++;
          await clientOf(deployment).models.list();
          return seen.lines.length;
        }, SOON)
        .toBeGreaterThan(before);
    };
    try {
      await asked();
      const ssh = machine.processes().filter((pid) => /^ssh\b/.test(commandOf(pid)));
      expect(ssh.length).toBeGreaterThan(0);
      for (const pid of ssh) process.kill(pid, "SIGKILL");
      await expect.poll(() => seen.told, SOON).toContain("trying again");
      await asked();
    } finally {
      child.kill("SIGINT");
    }
    await expect.poll(() => child.exitCode, SOON).toBe(0);
    const lines = seen.lines.map((line): { readonly program: string; readonly line: string } =>
      JSON.parse(line),
    );
    expect(new Set(lines.map(({ program }) => program))).toEqual(new Set(["gateway"]));
    // A request writes one line.
    expect(lines.length).toBeLessThanOrEqual(seen.requests);
    expect(lines.every(({ line }) => line.includes('"GET /v1/models" 200'))).toBe(true);
  });

  it("is measured by bin/dynamo-sky bench, with tables and charts", async () => {
    const out = join(machine.directory, "bench");
    const small = ["--quick", "--clients", "1,2", "--requests", "4", "--repeats", "1"];
    const { status, stdout, stderr } = await machine.run("bench", "--stack", "prod", ...small, "--out", out);
    expect(status, stderr).toBe(0);
    expect(stdout).toContain("# prod: load chat (quick)");
    const { points, deployment: measured } = readSummary(out);
    expect(measured).toMatchObject({ endpoint: deployment.endpoint, isSimulated: true, gpus: 8, nodes: 1 });
    const none = { requests: 4, errors: 0 };
    expect(points).toMatchObject([
      { clients: 1, runs: [none] },
      { clients: 2, runs: [none] },
    ]);
    expect(readFileSync(join(out, "charts.svg"), "utf8")).toContain("Pareto curve");
  });

  it("has the pull request's stack beside it by now, and takes it away with the pull request", async () => {
    if (pullRequest === undefined) throw new Error("it was not begun");
    const { status, stdout, stderr } = await pullRequest;
    expect(status, `${stderr}${stdout}`).toBe(0);
    expect(stdout).toContain("### pr-7 is deployed");
    expect((await names()).toSorted()).toEqual([
      "dynamo-sky-pr-7-aggregated-0",
      "dynamo-sky-pr-7-control",
      "dynamo-sky-prod-main",
    ]);
    // Prometheus is on one cluster, and has found the worker on the other.
    const seen = async () => {
      const { targets } = await checked(other, "pr-7");
      return targets.map(({ cluster, program, problem }) => [cluster, program, problem]);
    };
    await expect.poll(seen, SOON).toEqual([
      ["control", "etcd", null],
      ["control", "frontend-0", null],
      ["control", "frontend-1", null],
      ["control", "exporter-0", null],
      ["control", "prometheus", null],
      ["aggregated-0", "aggregated-0", null],
      ["aggregated-0", "exporter-1", null],
    ]);
    const down = await other.pipeline("ephemeral-down", "--id", "7");
    expect(down.status, down.stderr).toBe(0);
    expect(down.stdout).toContain("pr-7 is destroyed: nothing of it is left.");
    expect(await names()).toEqual(["dynamo-sky-prod-main"]);
    await expect.poll(() => processesOf("dynamo-sky-pr-7"), SOON).toEqual([]);
  });

  it("is in sync, until somebody ends its task: that is told with the reason, and the next deployment repairs it", async () => {
    await life.isInSync();
    const mine = (await clusters()).find(({ name }) => name.startsWith("dynamo-sky-prod-"));
    await sky("cancel", "-y", "-a", mine?.name ?? "");
    await life.hasLost("dynamo-main-launch", /the cluster's task is CANCELLED/);
    await life.deploy(/\d+ updated/);
  });

  it("is gone after destroy, and nobody was told its key", async () => {
    const { status, stderr } = await machine.run("stack", "destroy", "--stack", "prod", "--remove");
    expect(status, stderr).toBe(0);
    expect(await clusters()).toEqual([]);
    for (const { told } of [machine, other])
      for (const secret of [deployment.apiKey ?? "no key", PASSPHRASE]) expect(told).not.toContain(secret);
  });
});
