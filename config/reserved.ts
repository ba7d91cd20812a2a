/**
 * Flags set by the plan: another value would bypass the gateway, or leave the cluster. An engine's own are in
 * its file, variables in `reservedVariables.ts`.
 */

import { type FlagTable, FRONTEND_TABLE } from "./flags";
import { ROUTER_SETTINGS } from "./router";

/** The setting to use instead; undefined if it is derived from others. */
export type Instead = string | undefined;

/**
 * Flags of all Dynamo processes that would break or change how they find each other:
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/common/configuration/groups/runtime_args.py
 */
export const RUNTIME_FLAGS = {
  "--namespace": undefined,
  "--endpoint": undefined,
  "--kv-state-endpoint": undefined,
  "--discovery-backend": "controlPlane.discovery",
  "--event-plane": "controlPlane.events",
  "--request-plane": "controlPlane.requestPlane",
  "--response-plane": undefined,
} as const satisfies Readonly<Record<string, Instead>>;

/**
 * Flags of the router. A worker takes them too, and then overrides the frontend's for itself
 * (`parse_worker_router_config` of
 * https://github.com/ai-dynamo/dynamo/blob/v1.6.1/components/src/dynamo/common/configuration/groups/router_args.py).
 */
export const ROUTER_FLAGS: Readonly<Record<string, Instead>> = {
  "--router-mode": "router.mode",
  ...ROUTER_SETTINGS,
};

/** Those of a real engine's worker, besides. */
export const WORKER_FLAGS = {
  ...RUNTIME_FLAGS,
  ...ROUTER_FLAGS,
  "--dyn-reasoning-parser": "reasoningParser",
  "--dyn-tool-call-parser": "toolCallParser",
} as const satisfies Readonly<Record<string, Instead>>;

/** Arguments of `python -m dynamo.frontend` for its addresses, or for values that must match its workers. */
const FRONTEND_FLAGS: Readonly<Record<string, Instead>> = {
  ...RUNTIME_FLAGS,
  "--http-host": undefined,
  "--http-port": "frontend.port",
  "--tls-cert-path": undefined,
  "--tls-key-path": undefined,
  "--tls-client-ca-cert-path": undefined,
  "--kserve-grpc-server": undefined,
  "--grpc-metrics-port": undefined,
  "--interactive": undefined,
  "-i": undefined,
  "--namespace-prefix": undefined,
  "--router-mode": "router.mode",
  "--router-kv-events": "router.kvEvents",
  "--kv-cache-block-size": "router.blockSize",
  "--migration-limit": "frontend.migrationLimit",
};

/**
 * The frontend flag of an argument, and which setting to use instead; undefined if the plan does not set it.
 */
export function reservedFrontendFlag(argument: string) {
  return reservedFlag(FRONTEND_FLAGS, argument, FRONTEND_TABLE);
}

const NO_ALIASES = { aliases: {} };

/** A reserved flag, and which setting to use instead. */
export interface Reserved<V = Instead> {
  readonly flag: string;
  readonly instead: V | undefined;
}

/**
 * The reserved flag of an argument, in any notation, aliases of the program's table included; undefined for
 * all others.
 */
export function reservedFlag<V = Instead>(
  reserved: Readonly<Record<string, V>>,
  argument: string,
  { aliases }: Pick<FlagTable, "aliases"> = NO_ALIASES,
): Reserved<V> | undefined {
  if (!isFlag(argument)) return undefined;
  const flags = Object.keys(reserved);
  const exact = (written: string) => flags.find((flag) => spelling(flag) === written);
  const forms = formsOf(argument, flags);
  // `-tp` where only `--tp` is there, and `-tp8`: no parser takes them, and everybody means `--tp 8`.
  const meant = forms
    .flatMap((form) => [form, form.replace(/\d+$/, "")])
    .flatMap((form) => [form, `-${form}`]);
  const flag =
    meant
      .flatMap((form) => [form, aliases[form] ?? form])
      .map(exact)
      .find((found) => found !== undefined) ??
    flags.find((one) => forms.some((written) => standsFor(written, spelling(one))));
  return flag === undefined ? undefined : { flag, instead: reserved[flag] };
}

/** Whether an argument is a flag: a number below zero is a value, and `--` ends the flags. */
export const isFlag = (argument: string): boolean =>
  /^-[^-]|^--./.test(argument) && !/^-\d*\.?\d+$/.test(argument);

/** Parsers of engines accept `_` for `-`, and keys of their configuration use it. */
export const spelling = (name: string): string => name.replaceAll("_", "-");

/**
 * Names that an argument may have: without its value (`--flag=value`), as a negated switch (`--no-flag`), and
 * without a key inside a JSON value (`--flag.key`), unless the list names keys of that flag.
 */
function formsOf(argument: string, flags: readonly string[]): string[] {
  const written = spelling(argument.replace(/=.*/s, ""));
  const plain = written.replace(/\..*/s, "");
  const whole = flags.some((flag) => spelling(flag).startsWith(`${plain}.`)) ? written : plain;
  return whole.startsWith("--no-") ? [whole, whole.replace(/^--no-/, "--")] : [whole];
}

/**
 * Python's argument parsers accept any unambiguous prefix of a flag (`--http-h`, `-t` for `-tp`), and a value
 * right after a single letter (`-n2`): https://docs.python.org/3/library/argparse.html#allow-abbrev. No flag
 * left to the user is a prefix of a reserved one. A group of keys includes all its keys.
 */
function standsFor(written: string, flag: string): boolean {
  if (/^-[^-]$/.test(flag)) return written.startsWith(flag);
  return flag.startsWith(written) || (flag.includes(".") && written.startsWith(`${flag}.`));
}
