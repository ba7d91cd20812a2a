import { modelSource } from "../config/model";
import { digest } from "../lib/digest";
import { MODELS } from "../lib/placeholders";
import type { DeploymentConfig } from "./config";

/** Model argument of a node's engines. */
export function modelPath({ model }: DeploymentConfig): string {
  return pathOf(model);
}

/**
 * Model argument of an engine: a hub id or a path unchanged; for a bucket a directory that is filled before the
 * programs start.
 */
export function pathOf(model: string): string {
  return modelSource(model) === "bucket" ? `${MODELS}/${directoryOf(model)}` : model;
}

/** Directory into which a bucket is copied: each bucket has its own, so that files of two never mix. */
export function directoryOf(bucket: string): string {
  const last = bucket.split("/").findLast((part) => part !== "") ?? "";
  return `${last.replaceAll(/[^\w.-]/g, "-")}-${digest(bucket)}`;
}
