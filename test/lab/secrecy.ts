/** Where a deployment on the lab may have the values of its secrets, and a search for them everywhere else. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect } from "vitest";
import { ETCD_PASSWORD, ETCD_ROOT_PASSWORD, NATS_TOKEN } from "../../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { type DeploymentPlan, type ProgramPlan, secretsOfProgram } from "../../plan/types";
import { ENVIRONMENT } from "../../sky/setup";
import { LAB } from "../../toolchain/labLayout";
import { filesHolding, type HoldingFile, type Secrets, SeenProcesses, secretsIn } from "../secrets";
import type { LabStack } from "./harness";

/** Files of the first node besides the one that has all secrets of it, by the secret that a program needs there; relative to its directory. */
const NEEDED: Readonly<Record<string, string>> = {
  [API_KEYS]: "run/gateway-keys.conf",
  [TLS_BUNDLE]: "run/gateway-tls.pem",
  // etcd 3.4 writes who logs in, and how, into its log of changes.
  [ETCD_ROOT_PASSWORD]: "etcd/member/wal/0000000000000000-0000000000000000.wal",
  [ETCD_PASSWORD]: "etcd/member/wal/0000000000000000-0000000000000000.wal",
  [NATS_TOKEN]: "run/nats/nats.conf",
};

/** This program's directory on the nodes of a cluster, which share a home; undefined where there is none. */
export function nodesDirectory(cluster: string): string | undefined {
  const clusters = join(LAB.nodes, ".sky_clusters");
  const home = existsSync(clusters)
    ? readdirSync(clusters).find((name) => name.startsWith(`${cluster}-`))
    : undefined;
  return home === undefined ? undefined : join(clusters, home, ENVIRONMENT);
}

/** The secrets that a launch has brought to the nodes of a cluster, by name. */
export function secretsOnNodes(cluster: string): Secrets {
  return JSON.parse(readFileSync(join(nodesDirectory(cluster) ?? "", "secrets.json"), "utf8"));
}

/**
 * Files with secrets anywhere that Pulumi, SkyPilot (client, API servers and nodes) and Slurm write to: Pulumi's own directory, all of the lab, what they
 * put into the directory for temporary files, and other directories, such as that of a stack with its state.
 */
export function filesOf(secrets: Secrets, ...others: readonly string[]): HoldingFile[] {
  const temporary = readdirSync(tmpdir()).filter((name) => /sky|pulumi|slurm|^labtest|^tmp/.test(name));
  const places = [...others, join(homedir(), ".pulumi"), LAB.root];
  return filesHolding(secrets, [...places, ...temporary.map((name) => join(tmpdir(), name))]);
}

/** Watches what becomes of the secrets of one stack. */
export class Secrecy {
  private readonly processes = SeenProcesses.watch();
  private secrets: Secrets;
  /** Of everything that the stack has been. */
  private readonly programs: ProgramPlan[] = [];

  /** @param given What the configuration holds. */
  constructor(
    private readonly stack: LabStack,
    given: Secrets,
  ) {
    this.secrets = given;
  }

  stop(): void {
    this.processes.stop();
  }

  /** Takes in what the stack has had, and nobody is to have any more. */
  learn(secrets: Secrets): void {
    this.secrets = { ...this.secrets, ...secrets };
  }

  /** Expects that each program has the secrets that the plan gives it, and nobody else anything. */
  async expectKept({ clusters: [planned] }: DeploymentPlan, cluster: string): Promise<void> {
    const generated = await this.stack.generated();
    const onNodes = secretsOnNodes(cluster);
    this.secrets = { ...this.secrets, ...onNodes, seed: generated["dynamo-tls"] ?? "" };
    expect(Object.keys(onNodes).toSorted()).toEqual([...Object.keys(NEEDED), "HF_TOKEN"].toSorted());
    const directory = nodesDirectory(cluster) ?? "";
    const ownFiles = planned?.nodes.flatMap(({ rank, programs }) =>
      [...new Set(programs.flatMap(secretsOfProgram))].map((secret) => `${secret}: node${rank}/secrets.json`),
    );
    const files = filesOf(this.secrets, this.stack.directory);
    expect(files.map(({ secret, path }) => `${secret}: ${relative(directory, path)}`).toSorted()).toEqual(
      [
        ...Object.keys(onNodes).map((secret) => `${secret}: secrets.json`),
        ...(ownFiles ?? []),
        ...Object.entries(NEEDED).map(([secret, file]) => `${secret}: node0/${file}`),
      ].toSorted(),
    );
    expect(new Set(files.map(({ mode }) => mode))).toEqual(new Set(["600"]));
    this.processes.look();
    this.programs.push(...(planned?.nodes.flatMap((node) => node.programs) ?? []));
    const needs = (program: string, secret: string) =>
      this.programs.some(({ name, secretEnv }) => name === program && secretEnv.includes(secret));
    const holders = this.processes.inEnvironments(this.secrets);
    expect(holders.some(({ program }) => program === "gateway")).toBe(true);
    // Pulumi hands a program its configuration in the environment, and the compiler that it starts inherits that.
    const isConfiguration = (program: string, secret: string) =>
      program === "Pulumi's program" && secret === "HF_TOKEN";
    expect(
      holders.filter(({ program, secret }) => !needs(program, secret) && !isConfiguration(program, secret)),
    ).toEqual([]);
    this.expectUnseen();
  }

  /** Expects that nothing of it is left anywhere, nor of what the stack has generated since. */
  async expectNothing(): Promise<void> {
    const secrets = { ...this.secrets, ...(await this.stack.generated()) };
    expect(filesOf(secrets, this.stack.directory)).toEqual([]);
    expect(SeenProcesses.now().inEnvironments(secrets)).toEqual([]);
    this.secrets = secrets;
    this.expectUnseen();
  }

  /** No command line has had one, for as long as this has watched; nor anything that the stack's operations have told. */
  private expectUnseen(): void {
    expect(this.processes.count).toBeGreaterThan(100);
    expect(this.processes.inCommands(this.secrets)).toEqual([]);
    expect(secretsIn(this.stack.printed.join("\n"), this.secrets)).toEqual([]);
  }
}
