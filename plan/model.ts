import { modelSource } from "../config/model";
import { digest } from "../lib/digest";
import { MODELS } from "../lib/placeholders";
import type { DeploymentConfig } from "./config";

/** Where a node's engines find the deployment's model. */
export function modelPath({ model }: DeploymentConfig): string {
  return pathOf(model);
}

/**
 * Where engines find a model: a hub id or a path as it was given; for a bucket a directory that the node's set-up fills before the programs
 * start.
 */
export function pathOf(model: string): string {
  return modelSource(model) === "bucket" ? `${MODELS}/${directoryOf(model)}` : model;
}

/** Name of the directory into which a bucket is copied: another bucket's files never come to lie among its files. */
export function directoryOf(bucket: string): string {
  const last = bucket.split("/").findLast((part) => part !== "") ?? "";
  return `${last.replaceAll(/[^\w.-]/g, "-")}-${digest(bucket)}`;
}
