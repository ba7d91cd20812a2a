/**
 * Rejects settings that nothing reads, since another one turns off what they are about. A default is not set.
 */
import { accessSchema, hasGateway } from "../access";
import { healthSchema } from "../health";
import { metricsSchema } from "../metrics";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

/** The groups that such settings are in, with their defaults. */
const USUAL = {
  health: healthSchema.parse({}),
  metrics: metricsSchema.parse({}),
  access: accessSchema.parse({}),
} as const;

interface Idle {
  readonly group: keyof typeof USUAL;
  readonly keys: readonly string[];
  readonly off: (known: Known) => boolean;
  readonly why: string;
  readonly remedy: string;
}

const TABLE: readonly Idle[] = [
  {
    group: "health",
    keys: ["canarySeconds"],
    off: ({ health }) => health?.canary === false,
    why: "while health.canary is false: no engine is asked",
    remedy: "set that to true",
  },
  {
    group: "health",
    keys: ["everySeconds", "timeoutSeconds"],
    off: ({ health }) => health?.failures === 0,
    why: "while health.failures is 0: no worker is asked",
    remedy: "raise that",
  },
  {
    group: "metrics",
    keys: ["retentionDays", "retentionGB"],
    off: ({ metrics }) => metrics?.prometheus === false,
    why: "while metrics.prometheus is false: nothing is kept",
    remedy: "set that to true",
  },
  {
    group: "access",
    keys: ["maxRequestMB", "requestsPerSecond", "burst", "connectionsPerKey"],
    off: (known) => hasGateway(known) === false,
    why: "while access.gateway is false: nothing is limited",
    remedy: "set that to true",
  },
  {
    group: "access",
    keys: ["allowPlainHttp"],
    off: ({ sky, target }) => target === "local" || sky?.openEndpoint === false,
    why: "while sky.openEndpoint is false: nothing is open to the internet",
    remedy: "set that to true",
  },
];

export function idleChecks(known: Known): Problem[] {
  return TABLE.flatMap(({ group, keys, off, why, remedy }): Problem[] => {
    const [settings, usual] = [known[group], USUAL[group]];
    if (settings === undefined || !off(known)) return [];
    return keys
      .filter((key) => at(settings, key) !== at(usual, key))
      .map((key) => {
        const message = `${show(at(settings, key))} has no effect ${why}. Remove it, or ${remedy}.`;
        return { path: [group, key], message };
      });
  });
}

const at = (group: object, key: string): unknown => Reflect.get(group, key);
