/**
 * What is on this machine is asked without a proxy. A site's `http_proxy` is for the world: with it alone, gRPC sends what Pulumi's engine, its
 * plugins and SkyPilot's server say to each other on loopback to the proxy, which refuses it ("14 UNAVAILABLE") or reads it.
 */

/** In the forms that programs know: some read networks, some only names and single addresses. */
const LOOPBACK = ["localhost", "127.0.0.1", "::1", "127.0.0.0/8"];

/** Programs differ in which they read; grpc-js knows only the lower case, and its own first. */
const VARIABLES = ["no_proxy", "NO_PROXY"] as const;
const OF_GRPC = "no_grpc_proxy";

/**
 * The variables that keep loopback and these hosts from the proxy, with what the user has exempted already.
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

/** Whether anything is sent to a proxy at all. */
export function usesProxy(env: Readonly<Record<string, string | undefined>>): boolean {
  return Object.entries(env).some(
    ([name, value]) => /^(https?|all|grpc)_proxy$/i.test(name) && Boolean(value),
  );
}

/** Lets this process, and every one that it starts from now on, reach loopback and these hosts without a proxy. */
export function bypassProxies(hosts: readonly string[] = []): void {
  Object.assign(process.env, proxyExemptions(process.env, hosts));
}

/** The host of a URL, as {@link bypassProxies} takes it. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

function listIn(value: string | undefined): string[] {
  return (value ?? "").split(/[\s,]+/).filter((entry) => entry !== "");
}
