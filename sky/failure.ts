/** Why SkyPilot failed, and what to do: from what it printed. Pure. */

/** Kinds of failure, each with one next step. */
export const FAILURES = {
  unreachable: {
    title: "SkyPilot's API server cannot be reached",
    advice:
      "See 'sky api info'. A local server: 'sky api stop', then run this again. A remote one: check SKYPILOT_API_SERVER_ENDPOINT and 'sky api login'.",
  },
  credentials: {
    title: "no access to the cloud",
    advice: "Run 'sky check' and follow what it says about this cloud, then run this again.",
  },
  quota: {
    title: "the account's quota does not allow it",
    advice:
      "Ask the cloud for a higher quota (https://docs.skypilot.co/en/latest/cloud-setup/quota.html), or add another infra to 'sky.infra'.",
  },
  invalid: {
    title: "the request cannot be met as it is",
    advice:
      "Change the configuration ('cluster.accelerator', 'cluster.nodes', 'sky.*'); 'sky gpus list' shows what there is.",
  },
  capacity: {
    title: "no capacity",
    advice:
      "Add more infras to 'sky.infra' for failover, set 'sky.retryUntilUp', ask for fewer nodes, or try again later.",
  },
  setup: {
    title: "setting up the nodes failed",
    advice: "Repair what the lines say, then run this again: it goes on with the same nodes.",
  },
  run: {
    title: "the task failed",
    advice: "Repair what the lines say, then run this again: it starts the task on the same nodes.",
  },
  timeout: {
    title: "it took too long",
    advice: "Raise 'timeouts.provisionMinutes', or look into what the lines say. The next 'up' starts over.",
  },
  unknown: {
    title: "SkyPilot failed",
    advice: "Read the lines; 'sky status' and 'sky api status' show where SkyPilot stands.",
  },
} as const;
export type FailureKind = keyof typeof FAILURES;

export interface Failure {
  readonly kind: FailureKind;
  /** What SkyPilot itself said, in its words. */
  readonly cause: string;
}

/**
 * Patterns of SkyPilot's exceptions (sky/exceptions.py) and of the clouds' error codes, the most specific first: a lack of
 * quota is reported as a lack of resources as well, and an impossible request too.
 */
const PATTERNS: readonly (readonly [FailureKind, RegExp])[] = [
  [
    "unreachable",
    // The last one is what `sky api …` says, in the words of the library that it asks with.
    /ApiServer(Connection|Authentication)Error|Could not connect to SkyPilot API server|APIVersionMismatchError|ConnectionPool\(.*with url: \/api\//,
  ],
  ["quota", /\bquota|VcpuLimitExceeded|InstanceLimitExceeded|MaxSpotInstanceCountExceeded/i],
  [
    "credentials",
    /is not enabled|No cloud (access|is enabled)|NoCloudAccessError|CloudUserIdentityError|AuthFailure|UnauthorizedOperation|AccessDenied|PermissionDenied|credentials? (are|is|not|have)|expired token/i,
  ],
  [
    "invalid",
    /InvalidSkyPilotConfigError|Catalog does not contain|No resource satisfying|ResourcesMismatchError|NotSupportedError|ProvisionUnsupportedError|InvalidClusterNameError|Invalid .*(YAML|resources)|configuration is not available|did you mean|ValueError|\bUsage: sky/i,
  ],
  [
    "setup",
    /ClusterSetUpError|Failed to set up|Failed to setup|setup failed|ProvisionPrechecksError|SkyletInternalError/i,
  ],
  [
    "capacity",
    /ResourcesUnavailableError|InsufficientInstanceCapacity|InsufficientCapacity|EXHAUSTED|out of (capacity|stock)|Failed to (acquire|provision)|pending: |Timed out .*(job|allocat|provision)/i,
  ],
];

/** Slurm's reasons for which a job never starts, however long one waits. https://slurm.schedmd.com/job_reason_codes.html */
const NEVER =
  /\b(PartitionNodeLimit|PartitionTimeLimit|BadConstraints|AccountNotAllowed|InvalidAccount|InvalidQOS|QOSMaxNodePerJobLimit|QOSMaxNodePerUserLimit|AssocMaxNodePerJobLimit)\b/;

const LONGEST_CAUSE = 600;

/** Classifies by the lines that SkyPilot printed last. */
export function classify(lines: readonly string[], timedOut = false): Failure {
  for (const [kind, pattern] of PATTERNS) {
    const line = lines.findLast((candidate) => pattern.test(candidate));
    if (line !== undefined && !(timedOut && kind === "capacity")) return { kind, cause: tidy(line) };
  }
  const last = lines.at(-1);
  return {
    kind: timedOut ? "timeout" : "unknown",
    cause: last === undefined ? "it printed nothing" : tidy(last),
  };
}

/**
 * Whether the reason for which a cluster is not up yet (`init_status_reason`) will never go away by waiting.
 */
export function neverStarts(reason: string): boolean {
  return NEVER.test(reason);
}

function tidy(line: string): string {
  const text = line.trim().replace(/^([\w.]+\.)?\w*(Error|Exception): /, "");
  return text.length <= LONGEST_CAUSE ? text : `${text.slice(0, LONGEST_CAUSE)} …`;
}

/** More that belongs into a failure's message. */
export interface FailureDetails {
  /** Where the lines are from: `Last lines of rank 1`. */
  readonly source?: string;
  readonly lines?: readonly string[];
  /** What still runs, and what that costs. */
  readonly left?: string;
}

/** The whole message: what failed, the cause, the lines, what is left running, the next step. */
export function failureMessage(what: string, failure: Failure, details: FailureDetails = {}): string {
  const { title, advice } = FAILURES[failure.kind];
  const { source = "Last lines", lines = [], left } = details;
  return [
    `${what}: ${title}.`,
    `Cause: ${failure.cause}`,
    ...(lines.length === 0 ? [] : [`${source}:`, ...lines.map((line) => `  ${line}`)]),
    ...(left === undefined ? [] : [left]),
    `Next: ${advice}`,
  ].join("\n");
}
