/** KV transfer between workers: what an engine says of its own. */
import type { DeploymentConfig } from "../config/deployment";

/**
 * A connector transfers blocks from prefill to decode workers, or caches them, in addition to one that
 * transfers.
 */
export type ConnectorKind = "transfer" | "cache";

/**
 * Dynamo's own keeper of blocks. Deprecated since Dynamo 1.5
 * (https://github.com/ai-dynamo/dynamo/pull/15113); its authors advise the engines' own offload:
 * https://github.com/ai-dynamo/dynamo/issues/13755
 */
export const KVBM = "KVBM, which Dynamo has deprecated and is about to remove";

export interface TransferRules {
  /** The engine's own names. */
  readonly connectors: Readonly<Record<string, ConnectorKind>>;
  /** The default transfer connector. */
  readonly usual: string;
  /** Connectors that use NIXL, and so have a NIXL backend. */
  readonly byNixl: readonly string[];
  /** NIXL's backends that the engine takes. Default: all. */
  readonly nixlBackends?: readonly string[];
  /** What `kvTransfer.extra` cannot say, and why. */
  readonly extraProblems?: (
    connector: string,
    extra: Readonly<Record<string, unknown>> | undefined,
  ) => readonly { readonly key?: string; readonly message: string }[];
  /** Connectors that somebody may ask for, and that the plan cannot give. */
  readonly refused?: Readonly<Record<string, string>>;
  /** Why the chosen connector does not go with the rest of the configuration, to follow its name. */
  readonly unfit?: (config: DeploymentConfig) => string | undefined;
  /** Connectors that accept `kvTransfer.extra`. */
  readonly takesExtra: readonly string[];
  /** Alternative to `kvTransfer.extra` if it is not supported. */
  readonly insteadOfExtra?: string;
  /** Whether `kvOffload` is a connector too. Default: it is not. */
  readonly offloadIsConnector?: boolean;
}

type Transfer = DeploymentConfig["kvTransfer"];

/** The connector that transfers blocks. */
export function connectorOf({ usual, connectors }: TransferRules, { connector }: Transfer): string {
  return connector !== undefined && connectors[connector] === "transfer" ? connector : usual;
}

/** What an engine's NIXL takes, unless `kvTransfer` says another one. */
const USUAL_NIXL_BACKEND = "UCX";

/** NIXL's backend by which blocks are handed over; undefined if it is not NIXL, or not known. */
export function nixlBackend(rules: TransferRules, transfer: Transfer): string | undefined {
  const { backend, extra } = transfer;
  if (!rules.byNixl.includes(connectorOf(rules, transfer)) || extra?.["backends"] !== undefined)
    return undefined;
  return backend ?? USUAL_NIXL_BACKEND;
}
