/** Whether a local deployment has been proven to serve since its last change: a marker file. */

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writePrivate } from "../lib/files";
import { clusterDirectory } from "./directories";

function marker(cluster: string): string {
  return join(clusterDirectory(cluster), "unproven");
}

/** Marks the deployment as not proven to serve. */
export function beginChange(cluster: string): void {
  writePrivate(marker(cluster), "");
}

/** Marks the deployment as proven to serve. */
export function proveCluster(cluster: string): void {
  rmSync(marker(cluster), { force: true });
}

/** Whether the cluster has changed since the deployment was last proven to serve. */
export function isUnproven(cluster: string): boolean {
  return existsSync(marker(cluster));
}
