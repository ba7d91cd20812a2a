/** Settings of the KV transfer that the engine does not support. */

import type { DeploymentConfig } from "../config/deployment";
import { NIXL_BACKENDS } from "../config/kvTransfer";
import type { Problem } from "../config/problems";
import { show } from "../config/values";
import { type ConnectorKind, connectorOf, type TransferRules } from "../engines/transfer";

/**
 * Requests of `kvTransfer` that the engine does not support. `rules` is undefined for an engine without KV
 * transfer.
 */
export function transferProblems(config: DeploymentConfig, rules: TransferRules | undefined): Problem[] {
  const { kvTransfer, engine, pools } = config;
  const asked = Object.entries(kvTransfer).filter(([, value]) => value !== undefined);
  const refuse = (why: (value: unknown) => string, keys = asked) =>
    keys.map(([key, value]) => ({ path: ["kvTransfer", key], message: why(value) }));
  if (rules === undefined)
    return refuse(
      (value) =>
        `${show(value)} has no meaning for engine ${engine}, which hands over no KV blocks. Remove it, or use a real engine.`,
    );
  const unknown = unknownConnector(config, rules);
  if (unknown !== undefined) return [unknown];
  const unfit = rules.unfit?.(config);
  const misfits =
    unfit === undefined
      ? []
      : [{ path: ["kvTransfer", "connector"], message: `${show(kvTransfer.connector)} ${unfit}` }];
  const kind = rules.connectors[kvTransfer.connector ?? rules.usual];
  const transfers = pools.some(({ role }) => role === "prefill" || role === "decode");
  const idle = transfers ? [] : asked.filter(([key]) => kind === "transfer" || key === "backend");
  if (idle.length > 0)
    return refuse(
      (value) =>
        `${show(value)} has no effect: there are no prefill and decode pools, so nothing is handed over. Remove it, or use such pools.`,
      idle,
    );
  return [
    ...misfits,
    ...backendProblems(config, rules),
    ...extraProblems(config, rules),
    ...offloadProblems(config, rules, kind),
  ];
}

function unknownConnector(
  { kvTransfer, engine }: DeploymentConfig,
  rules: TransferRules,
): Problem | undefined {
  const { connector } = kvTransfer;
  if (connector === undefined || Object.hasOwn(rules.connectors, connector)) return undefined;
  const why = rules.refused?.[connector];
  if (why !== undefined) return { path: ["kvTransfer", "connector"], message: `${show(connector)} ${why}` };
  const names = Object.keys(rules.connectors);
  const same = names.find((name) => name.toLowerCase().startsWith(connector.toLowerCase()));
  const backend = NIXL_BACKENDS.find((name) => name.toLowerCase() === connector.toLowerCase());
  const hint =
    same !== undefined
      ? ` Did you mean ${show(same)}?`
      : backend === undefined
        ? ""
        : ` For NIXL's backend of that name use kvTransfer.backend.`;
  const message = `${show(connector)} is no connector of engine ${engine}. Allowed: ${names.join(", ")}.${hint}`;
  return { path: ["kvTransfer", "connector"], message };
}

function backendProblems({ kvTransfer, engine }: DeploymentConfig, rules: TransferRules): Problem[] {
  const { backend, extra } = kvTransfer;
  if (backend === undefined) return [];
  const path = ["kvTransfer", "backend"];
  const by = connectorOf(rules, kvTransfer);
  if (!rules.byNixl.includes(by)) {
    const message = `${show(backend)} has no effect with the connector ${by}, which is not NIXL. Remove it, or set kvTransfer.connector to one of: ${rules.byNixl.join(", ")}.`;
    return [{ path, message }];
  }
  if (rules.nixlBackends?.includes(backend) === false) {
    const message = `${show(backend)} is no backend of NIXL that engine ${engine} takes. Allowed: ${rules.nixlBackends.join(", ")}.`;
    return [{ path, message }];
  }
  if (extra?.["backends"] === undefined) return [];
  const message = `${show(backend)} and kvTransfer.extra.backends say the same. Remove one of the two.`;
  return [{ path, message }];
}

function extraProblems({ kvTransfer, engine }: DeploymentConfig, rules: TransferRules): Problem[] {
  const connector = kvTransfer.connector ?? rules.usual;
  if (kvTransfer.extra === undefined || rules.takesExtra.includes(connector))
    return (rules.extraProblems?.(connector, kvTransfer.extra) ?? []).map(({ key, message }) => ({
      path: ["kvTransfer", "extra", ...(key === undefined ? [] : [key])],
      message,
    }));
  const remedy = rules.insteadOfExtra === undefined ? "Remove it" : `Use ${rules.insteadOfExtra} instead`;
  const message = `is not possible with engine ${engine} and the connector ${connector}. ${remedy}.`;
  return [{ path: ["kvTransfer", "extra"], message }];
}

/** Where `kvOffload` is a connector itself, it can be combined with one that hands over. */
function offloadProblems(
  { kvTransfer, kvOffload }: DeploymentConfig,
  { offloadIsConnector = false }: TransferRules,
  kind: ConnectorKind | undefined,
): Problem[] {
  const { connector } = kvTransfer;
  if (!offloadIsConnector || connector === undefined || kvOffload.hostMemoryGB === undefined) return [];
  if (kind === "transfer") return [];
  const message = `${show(connector)} does not go with kvOffload: both keep blocks that leave the GPU. Remove one of the two.`;
  return [{ path: ["kvTransfer", "connector"], message }];
}
