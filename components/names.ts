/** How clusters are called. */
import { createHash } from "node:crypto";

/** Longest prefix kept; names go into file names, socket paths and cloud resources, all of which have limits. */
const LONGEST_PREFIX = 40;

/** Characters of the digest that stands for what a name could not keep. */
const DIGEST_LENGTH = 6;

/** Characters of the random suffix, which keeps clusters of equal prefix (another person's, a former one's) apart. */
export const SUFFIX_LENGTH = 6;

/** The text in lower-case letters, digits and single hyphens: what SkyPilot and every cloud accept in a name. */
export function asName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/**
 * The beginning of the names of a deployment's clusters: what tells it from others. It begins with a letter, as some clouds want
 * it, and has at most 40 characters. Where the text itself cannot be had (too long, capitals, other characters), a digest of
 * it stands at the end, so that `dev_1` and `dev-1`, or two stacks of a long name, are never taken for each other.
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
 * @param prefix What tells this deployment from others, usually project and stack.
 * @param cluster Name of the cluster in the plan; never cut, since it tells the clusters of one deployment apart.
 */
export function clusterBaseName(prefix: string, cluster: string): string {
  return `${clusterPrefixName(prefix)}-${asName(cluster)}`;
}
