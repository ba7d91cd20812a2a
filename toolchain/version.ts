/** Three numbers of the first version in a text: `etcd Version: 3.4.23` → [3, 4, 23]. */
export function parseVersion(text: string): readonly [number, number, number] | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (!match) return undefined;
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** Whether version `found` is `wanted` or newer. False for unparsable versions. */
export function isAtLeast(found: string, wanted: string): boolean {
  const a = parseVersion(found);
  const b = parseVersion(wanted);
  if (!a || !b) return false;
  for (const i of [0, 1, 2] as const) {
    if (a[i] !== b[i]) return a[i] > b[i];
  }
  return true;
}

/** Whether version `found` is compatible with `wanted`: the same major version, and not older. */
export function isCompatible(found: string, wanted: string): boolean {
  return parseVersion(found)?.[0] === parseVersion(wanted)?.[0] && isAtLeast(found, wanted);
}

/**
 * Usable versions of etcd. 3.5.0 to 3.5.2 can corrupt data:
 * https://etcd.io/blog/2023/how_to_debug_large_db_size_issue
 */
export function isUsableEtcd(version: string): boolean {
  return isAtLeast(version, "3.4.0") && !(isAtLeast(version, "3.5.0") && !isAtLeast(version, "3.5.3"));
}

/**
 * Usable versions of nginx: the gateway's configuration was tested with Debian's, and all its directives are
 * older than this.
 */
export function isUsableNginx(version: string): boolean {
  return isAtLeast(version, "1.18.0");
}

/** Usable versions of Prometheus: all flags and all functions of the rules are older than this. */
export function isUsablePrometheus(version: string): boolean {
  return isAtLeast(version, "2.31.0");
}

/** Usable versions of NATS server: the tested one, and newer. */
export function isUsableNats(version: string): boolean {
  return isAtLeast(version, "2.9.0");
}
