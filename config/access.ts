/** Access: the gateway, its keys and its limits. */
import { isIP } from "node:net";
import {
  ALL_DEFAULTS,
  allowedText,
  certificateText,
  flag,
  list,
  oneOf,
  optional,
  required,
  section,
  setting,
  text,
  whole,
} from "./values";

/** Keys are referred to by name; their values are generated and in no configuration. */
const keyName = () =>
  text({
    noun: "the name of a key",
    allowed: "lower-case letters, digits and single hyphens, at most 40, such as default or team-a",
    pattern: /^(?=.{1,40}$)[a-z0-9]+(-[a-z0-9]+)*$/,
  });

/**
 * A time in the documented form, or in Go's form: Pulumi parses an unquoted time and passes it on as Go
 * formats it.
 */
const MOMENT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(Z| \+0000 UTC)$/;
const MOMENT_ALLOWED = "a time in UTC, such as 2027-01-31T18:00:00Z";

const moment = () =>
  text({ noun: "a time", allowed: MOMENT_ALLOWED, pattern: MOMENT, accepts: isMoment })
    .transform(asIso)
    .register(allowedText, { allowed: MOMENT_ALLOWED });

function asIso(value: string): string {
  return value.replace(MOMENT, "$1T$2Z");
}

/** Whether the date exists: `Date` turns the 31st of February into the 3rd of March. */
function isMoment(value: string): boolean {
  const time = Date.parse(asIso(value));
  return !Number.isNaN(time) && new Date(time).toISOString() === asIso(value).replace("Z", ".000Z");
}

const retiredKeySchema = section({
  name: required(keyName(), { about: "Name of the key as it stood in `access.keys`." }),
  graceUntil: required(moment(), { about: "When it is no longer accepted (ISO 8601, UTC)." }),
});

/** `off`: plain HTTP. */
export const TLS_KINDS = ["generated", "own", "off"] as const;

/**
 * As in https://www.rfc-editor.org/rfc/rfc1123#section-2, without wildcards, which a generated certificate
 * does not need.
 */
const HOST_NAME =
  /^(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

const serverName = () =>
  text({
    noun: "a host",
    allowed: "a host name or an IP address, such as llm.example.com or 10.0.0.7",
    accepts: (value) => isIP(value) !== 0 || HOST_NAME.test(value),
  });

const tlsSchema = section({
  mode: optional(oneOf("a kind of TLS", TLS_KINDS), {
    absent:
      "own where `access.tls.certificate` is given; else generated, and off on target local, where nothing leaves the machine",
    about:
      "`generated`: a certificate made for the address that the endpoint gets; what clients have to trust is the stack output `certificate`. `own`: yours. `off`: keys, prompts and answers travel readable by everyone on the way.",
  }),
  certificate: optional(certificateText(), {
    absent: "none",
    about: "Your certificate. Its key is `tlsKey`.",
  }),
  names: setting(list("hosts", serverName()), {
    default: [],
    about:
      "What clients connect to besides the endpoint's own address; a generated certificate is for these names too.",
  }),
});

/** Whether there is a gateway; undefined if the target is unknown. */
export function hasGateway({
  access,
  target,
}: {
  readonly access?: { readonly gateway?: boolean | undefined } | undefined;
  readonly target?: "sky" | "local" | undefined;
}): boolean | undefined {
  if (access === undefined) return undefined;
  return access.gateway ?? (target === undefined ? undefined : target === "sky");
}

/** One takes all requests while the other is changed. */
const FRONTENDS_BEHIND_A_GATEWAY = 2;

/** How many frontends there are; undefined if it is unknown whether there is a gateway. */
export function frontendReplicas({
  frontend,
  ...known
}: Parameters<typeof hasGateway>[0] & {
  readonly frontend: { readonly replicas?: number | undefined };
}): number | undefined {
  const gateway = hasGateway(known);
  return frontend.replicas ?? (gateway === undefined ? undefined : gateway ? FRONTENDS_BEHIND_A_GATEWAY : 1);
}

/** The name of the key if the configuration has none. */
const USUAL_KEY = "default";

/** Whether the keys are the default: one key with the default name. */
export function areUsualKeys(keys: readonly string[]): boolean {
  return keys.length === 1 && keys[0] === USUAL_KEY;
}

export const accessSchema = section({
  gateway: optional(flag(), {
    absent: "true; false on target local, where only this machine reaches the endpoint",
    about:
      "Puts a gateway (nginx) in front of the frontends, the only thing clients can talk to: it asks for a key (`Authorization: Bearer`), limits what a key may ask for, and lets nothing through but `/v1/`. Without it the endpoint asks nobody in the cluster's network for a key.",
  }),
  keys: setting(list("names of keys", keyName(), 1), {
    default: [USUAL_KEY],
    about:
      "Names of the keys that are accepted. Their values are generated and are secret stack outputs; `apiKey` is the first one's.",
  }),
  retiredKeys: setting(list("retired keys", retiredKeySchema), {
    default: [],
    about: "Keys on their way out: still accepted for a while, so that clients can move on to another.",
  }),
  tls: setting(tlsSchema, { ...ALL_DEFAULTS, about: "Encryption between clients and the gateway." }),
  allowPlainHttp: setting(flag(), {
    default: false,
    about:
      "Lets an endpoint be open to the internet without TLS (`sky.openEndpoint`, `access.tls.mode` off): for who has something in front of it that ends TLS, and lets nobody else at it.",
  }),
  maxRequestMB: setting(whole({ min: 1, max: 1024 }), {
    default: 32,
    about: "Largest request; a larger one is answered with 413.",
    unit: "MB",
  }),
  requestsPerSecond: setting(whole({ min: 1, max: 100_000 }), {
    default: 200,
    unit: "requests per second",
    about: "What one key may ask for on average; more is answered with 429.",
  }),
  burst: setting(whole({ min: 0, max: 1_000_000 }), {
    default: 400,
    unit: "requests",
    about: "Requests above `access.requestsPerSecond` that are let through at once.",
  }),
  connectionsPerKey: setting(whole({ min: 1, max: 10_000 }), {
    default: 1000,
    unit: "requests",
    about: "Requests of one key that may be in progress at the same time; more is answered with 429.",
  }),
});
