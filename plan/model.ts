import { modelSource } from "../config/model";
import { NODE_DIR } from "../lib/placeholders";
import type { DeploymentConfig } from "./config";

/**
 * Model argument of a node's engines: a hub id or a path unchanged; for a bucket the node's `model`
 * directory, which the node's set-up fills or mounts before the programs start.
 */
export function modelPath({ model }: DeploymentConfig): string {
  return modelSource(model) === "bucket" ? `${NODE_DIR}/model` : model;
}
