/** Names of clusters. */
import { createHash } from "node:crypto";

/**
 * Longest prefix kept; names become part of file names, socket paths and cloud resources, which all have
 * length limits.
 */
const LONGEST_PREFIX = 40;

/** Length of the digest that replaces dropped parts of a name. */
const DIGEST_LENGTH = 6;

/**
 * Length of the random suffix, which distinguishes clusters with equal prefixes (another user's, an earlier
 * one's).
 */
export const SUFFIX_LENGTH = 6;

/**
 * The text in lower-case letters, digits and single hyphens, as SkyPilot and every cloud accept in a name.
 */
export function asName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/**
 * Prefix of the names of a deployment's clusters, which distinguishes it from other deployments. Starts with
 * a letter, as some clouds require, and has at most 40 characters. If the text cannot be used unchanged (too
 * long, capitals, other characters), a digest of it is appended, so that `dev_1` and `dev-1`, or two stacks
 * with long names, never clash.
 */
export function clusterPrefixName(prefix: string): string {
  const name = asName(prefix);
  const whole = /^[a-z]/.test(name) ? name : asName(`d-${name}`);
  if (whole === prefix && whole.length <= LONGEST_PREFIX) return whole;
  const digest = createHash("sha256").update(prefix).digest("hex").slice(0, DIGEST_LENGTH);
  return `${asName(whole.slice(0, LONGEST_PREFIX - DIGEST_LENGTH - 1))}-${digest}`;
}

/**
 * The name of a cluster without its random suffix: `dynamo-sky-dev-main`.
 *
 * @param prefix Distinguishes this deployment from others, usually project and stack.
 * @param cluster Name of the cluster in the plan; never truncated, since it distinguishes the clusters of one
 * deployment.
 */
export function clusterBaseName(prefix: string, cluster: string): string {
  return `${clusterPrefixName(prefix)}-${asName(cluster)}`;
}
