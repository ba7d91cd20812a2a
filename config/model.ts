import { digest } from "../lib/digest";
import { MODELS } from "../lib/placeholders";
import { show, text } from "./values";

const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const ABSOLUTE_PATH = /^\/[^\n\r\0]*[^/\n\r\0]\/?$/;
/**
 * Stores from which SkyPilot copies, of `Storage` in
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/data/storage.py
 */
const BUCKETS = [
  "(s3|gs|r2|nebius|cw|vastdata)://[a-z0-9][\\w.-]+",
  "cos://[a-z0-9-]+/[a-z0-9][\\w.-]+",
  "oci://[A-Za-z0-9][\\w.-]*(@[a-z0-9-]+)?",
  "https://[a-z0-9]+\\.blob\\.core\\.windows\\.net/[a-z0-9$][a-z0-9-]+",
];
/** SkyPilot puts the path into commands as it is. */
const BUCKET_URL = new RegExp(`^(${BUCKETS.join("|")})(/[\\w./=+@~:,%-]*)?$`);

/** Source of the weights. */
export type ModelSource = "hub" | "path" | "bucket";

/**
 * The source of a model name; undefined if it is invalid. Rules of hub ids:
 * https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
 */
export function modelSource(model: string): ModelSource | undefined {
  if (BUCKET_URL.test(model)) return "bucket";
  if (ABSOLUTE_PATH.test(model)) return "path";
  const isHubId = HUB_ID.test(model) && model.length <= 96 && !/--|\.\.|[.-](\/|$)|\.git$/.test(model);
  return isHubId ? "hub" : undefined;
}

/**
 * A name for clients. Dynamo takes a comma or a space between two names of one model
 * (`split_served_model_names` of dynamo/common/configuration/utils.py).
 */
export const SERVED_NAME = /^[^\s,\p{Cc}\p{Cs}]+$/u;

/** Default name of the model for clients: the hub id, else the last part of the path. */
export function defaultServedName(model: string): string {
  if (modelSource(model) === "hub") return model;
  const parts = model.split("/").filter((part) => part !== "");
  return parts.at(-1) ?? model;
}

/** A model: hub id, absolute path or bucket URL. */
export const modelName = () => {
  const allowed =
    "a Hugging Face id (Org/Name), an absolute path, or a URL of a bucket (s3://, gs://, r2://, nebius://, cw://, vastdata://, cos://REGION/, oci://, https://ACCOUNT.blob.core.windows.net/)";
  return text({
    noun: "the name of a model",
    allowed,
    accepts: (value) => modelSource(value) !== undefined,
    hint: modelHint,
  });
};

/** A suggestion for an invalid name. */
function modelHint(written: string): string {
  const onHub = /^https?:\/\/(?:huggingface\.co|hf\.co)\/([^/?#]+\/[^/?#]+)/.exec(written)?.[1];
  if (onHub !== undefined && modelSource(onHub) === "hub") return ` Did you mean ${show(onHub)}?`;
  if (/^\.{1,2}\/|^~\//.test(written)) return " Write the whole path, from /.";
  return /^\w[\w.-]*$/.test(written) ? ` Write it with its organisation: Org/${written}.` : "";
}

/** Model argument of a node's engines. */
export function modelPath({ model }: { readonly model: string }): string {
  return pathOf(model);
}

/**
 * Model argument of an engine: a hub id or a path unchanged; for a bucket a directory that is filled before
 * the programs start.
 */
export function pathOf(model: string): string {
  return modelSource(model) === "bucket" ? `${MODELS}/${directoryOf(model)}` : model;
}

/** Directory into which a bucket is copied: each bucket has its own, so that files of two never mix. */
export function directoryOf(bucket: string): string {
  const last = bucket.split("/").findLast((part) => part !== "") ?? "";
  return `${last.replaceAll(/[^\w.-]/g, "-")}-${digest(bucket)}`;
}
