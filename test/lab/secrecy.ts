/** Where values of a lab deployment's secrets may be, and a search for them everywhere else. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect } from "vitest";
import { NATS_TOKEN, NODES_AUTHORITY } from "../../plan/programs/controlPlane";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { type DeploymentPlan, type ProgramPlan, secretsOfProgram } from "../../plan/types";
import { ENVIRONMENT } from "../../sky/setup";
import { LAB } from "../../toolchain/labLayout";
import { filesHolding, type HoldingFile, type Secrets, SeenProcesses, secretsIn } from "../secrets";
import type { LabStack } from "./labStack";

/**
 * Files of the first node other than its secrets file, by the secret that a program needs there; relative to
 * its directory.
 */
const NEEDED: Readonly<Record<string, string>> = {
  [API_KEYS]: "run/gateway-keys.conf",
  [TLS_BUNDLE]: "run/gateway-tls.pem",
  [NATS_TOKEN]: "run/nats/nats.conf",
};

/** This program's directory on the nodes of a cluster, which share a home; undefined if there is none. */
export function nodesDirectory(cluster: string): string | undefined {
  const clusters = join(LAB.nodes, ".sky_clusters");
  const home = existsSync(clusters)
    ? readdirSync(clusters).find((name) => name.startsWith(`${cluster}-`))
    : undefined;
  return home === undefined ? undefined : join(clusters, home, ENVIRONMENT);
}

/** The secrets that the first node of a cluster was given, by name. */
export function secretsOnNodes(cluster: string): Secrets {
  return JSON.parse(readFileSync(join(nodesDirectory(cluster) ?? "", "node0", "secrets.json"), "utf8"));
}

/**
 * Files with secrets anywhere that Pulumi, SkyPilot (client, API servers and nodes) and Slurm write: Pulumi's
 * own directory, the whole lab, their temporary files, and other directories, such as that of a stack with
 * its state.
 */
export function filesOf(secrets: Secrets, ...others: readonly string[]): HoldingFile[] {
  const temporary = readdirSync(tmpdir()).filter((name) => /sky|pulumi|slurm|^labtest|^tmp/.test(name));
  const places = [...others, join(homedir(), ".pulumi"), LAB.root];
  return filesHolding(secrets, [...places, ...temporary.map((name) => join(tmpdir(), name))]);
}

/** Tracks the secrets of one stack. */
export class Secrecy {
  private readonly processes = SeenProcesses.watch();
  private secrets: Secrets;
  /** All programs that the stack has had. */
  private readonly programs: ProgramPlan[] = [];

  /** @param given Secrets in the configuration. */
  constructor(
    private readonly stack: LabStack,
    given: Secrets,
  ) {
    this.secrets = given;
  }

  stop(): void {
    this.processes.stop();
  }

  /** Adds secrets that the stack had, and that must not be found any more. */
  learn(secrets: Secrets): void {
    this.secrets = { ...this.secrets, ...secrets };
  }

  /** Expects that each program has its planned secrets, and nothing else has any. */
  async expectKept({ clusters: [planned] }: DeploymentPlan, cluster: string): Promise<void> {
    const generated = await this.stack.generated();
    const onNodes = secretsOnNodes(cluster);
    this.secrets = { ...this.secrets, ...onNodes, seed: generated["dynamo-tls"] ?? "" };
    expect(Object.keys(onNodes).toSorted()).toEqual(
      [...Object.keys(NEEDED), NODES_AUTHORITY, "HF_TOKEN"].toSorted(),
    );
    const directory = nodesDirectory(cluster) ?? "";
    const ownFiles = planned?.nodes.flatMap(({ rank, programs }) =>
      [...new Set(programs.flatMap(secretsOfProgram))].map((secret) => `${secret}: node${rank}/secrets.json`),
    );
    const files = filesOf(this.secrets, this.stack.directory);
    expect(files.map(({ secret, path }) => `${secret}: ${relative(directory, path)}`).toSorted()).toEqual(
      [
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
    // Pulumi passes a program its configuration in the environment, and the compiler that it starts inherits
    // that.
    const isConfiguration = (program: string, secret: string) =>
      program === "Pulumi's program" && secret === "HF_TOKEN";
    expect(
      holders.filter(({ program, secret }) => !needs(program, secret) && !isConfiguration(program, secret)),
    ).toEqual([]);
    this.expectUnseen();
  }

  /** Expects that no secret of the stack is left anywhere. */
  async expectNothing(): Promise<void> {
    const secrets = { ...this.secrets, ...(await this.stack.generated()) };
    expect(filesOf(secrets, this.stack.directory)).toEqual([]);
    expect(SeenProcesses.now().inEnvironments(secrets)).toEqual([]);
    this.secrets = secrets;
    this.expectUnseen();
  }

  /** No command line has had one since the start; nor has the output of the stack's operations. */
  private expectUnseen(): void {
    expect(this.processes.count).toBeGreaterThan(100);
    expect(this.processes.inCommands(this.secrets)).toEqual([]);
    expect(secretsIn(this.stack.printed.join("\n"), this.secrets)).toEqual([]);
  }
}
