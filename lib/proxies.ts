/**
 * Bypasses proxies for addresses of this machine. A site's `http_proxy` is for external hosts: without
 * exemptions, gRPC sends the loopback traffic between Pulumi's engine, its plugins and SkyPilot's server to
 * the proxy, which rejects it ("14 UNAVAILABLE") or can read it.
 */

/** In all notations: some programs support networks, others only names and single addresses. */
const LOOPBACK = ["localhost", "127.0.0.1", "::1", "127.0.0.0/8"];

/** Programs differ in which they read; grpc-js reads only the lower case one, and its own first. */
const VARIABLES = ["no_proxy", "NO_PROXY"] as const;
const OF_GRPC = "no_grpc_proxy";

/**
 * The variables that exempt loopback and these hosts from the proxy, in addition to the user's exemptions.
 *
 * @param hosts Names and addresses besides loopback: those of a cluster. Default: none.
 */
export function proxyExemptions(
  env: Readonly<Record<string, string | undefined>>,
  hosts: readonly string[] = [],
): Record<string, string> {
  const wanted = [...LOOPBACK, ...hosts];
  const given = VARIABLES.flatMap((name) => listIn(env[name]));
  const exempt = [...new Set([...given, ...wanted])].join(",");
  const ofGrpc = listIn(env[OF_GRPC]);
  return {
    ...Object.fromEntries(VARIABLES.map((name) => [name, exempt])),
    ...(ofGrpc.length === 0 ? {} : { [OF_GRPC]: [...new Set([...ofGrpc, ...wanted])].join(",") }),
  };
}

/** Whether a proxy is configured. */
export function usesProxy(env: Readonly<Record<string, string | undefined>>): boolean {
  return Object.entries(env).some(
    ([name, value]) => /^(https?|all|grpc)_proxy$/i.test(name) && Boolean(value),
  );
}

/**
 * Makes this process, and every child that it starts from now on, reach loopback and these hosts without a
 * proxy.
 */
export function bypassProxies(hosts: readonly string[] = []): void {
  Object.assign(process.env, proxyExemptions(process.env, hosts));
}

/** The host of a URL, for {@link bypassProxies}. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

function listIn(value: string | undefined): string[] {
  return (value ?? "").split(/[\s,]+/).filter((entry) => entry !== "");
}
