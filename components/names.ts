/** How clusters are called. */

/** Longest prefix kept; names go into file names, socket paths and cloud resources, all of which have limits. */
const LONGEST_PREFIX = 40;

/** Characters of the random suffix, which keeps clusters of equal prefix (another person's, a former one's) apart. */
export const SUFFIX_LENGTH = 6;

/** The text in lower-case letters, digits and single hyphens: what SkyPilot and every cloud accept in a name. */
export function asName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/** The beginning of the names of a deployment's clusters: what tells it from others, cut after 40 characters. */
export function clusterPrefixName(prefix: string): string {
  return asName(asName(prefix).slice(0, LONGEST_PREFIX));
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
