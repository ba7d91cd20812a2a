import { modelSource } from "../config/model";
import { NODE_DIR } from "../lib/placeholders";
import type { DeploymentConfig } from "./config";

/**
 * Where a node's engines find the model: a hub id or a path as it was given; for a bucket the node's `model` directory, which
 * the node's set-up fills or mounts before the programs start.
 */
export function modelPath({ model }: DeploymentConfig): string {
  return modelSource(model) === "bucket" ? `${NODE_DIR}/model` : model;
}
