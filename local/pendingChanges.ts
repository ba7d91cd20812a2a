/**
 * Files that say that something was begun and has not come to its end. Pulumi keeps the former input of a change that
 * failed; going back to that makes no difference that it could see, while the node has the changed programs. So what was
 * left half done counts as broken until it has been done.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clusterDirectory, nodeDirectory } from "./directories";

function unitFile(cluster: string, rank: number, unit: string): string {
  return join(nodeDirectory(cluster, rank), "run", `${unit}.unfinished`);
}

function clusterFile(cluster: string): string {
  return join(clusterDirectory(cluster), "unproven");
}

/** Notes that a unit of a node is being changed, and with it that the deployment has yet to prove that it serves. */
export function beginUnit(cluster: string, rank: number, unit: string): void {
  writeFileSync(clusterFile(cluster), "", { mode: 0o600 });
  writeFileSync(unitFile(cluster, rank, unit), "", { mode: 0o600 });
}

/** Notes that the unit runs as it should. */
export function finishUnit(cluster: string, rank: number, unit: string): void {
  rmSync(unitFile(cluster, rank, unit), { force: true });
}

export function isUnfinished(cluster: string, rank: number, unit: string): boolean {
  return existsSync(unitFile(cluster, rank, unit));
}

/** Notes that the deployment serves. */
export function proveCluster(cluster: string): void {
  rmSync(clusterFile(cluster), { force: true });
}

/** Whether something of the cluster was changed and the deployment has not proven since that it serves. */
export function isUnproven(cluster: string): boolean {
  return existsSync(clusterFile(cluster));
}
