/**
 * Marker files for changes that have started and not finished. After a failed change Pulumi keeps the
 * previous input; reverting to it makes no difference to Pulumi, while the node has the changed programs. So
 * an unfinished change counts as broken until it is completed.
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

/** Marks a unit of a node as being changed, and the deployment as not proven to serve. */
export function beginUnit(cluster: string, rank: number, unit: string): void {
  writeFileSync(clusterFile(cluster), "", { mode: 0o600 });
  writeFileSync(unitFile(cluster, rank, unit), "", { mode: 0o600 });
}

/** Marks the unit as running as planned. */
export function finishUnit(cluster: string, rank: number, unit: string): void {
  rmSync(unitFile(cluster, rank, unit), { force: true });
}

export function isUnfinished(cluster: string, rank: number, unit: string): boolean {
  return existsSync(unitFile(cluster, rank, unit));
}

/** Marks the deployment as proven to serve. */
export function proveCluster(cluster: string): void {
  rmSync(clusterFile(cluster), { force: true });
}

/** Whether the cluster has changed since the deployment was last proven to serve. */
export function isUnproven(cluster: string): boolean {
  return existsSync(clusterFile(cluster));
}
