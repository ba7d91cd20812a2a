/** Checks that no endpoint is open by accident. */

import { areUsualKeys, hasGateway } from "../access";
import type { Problem } from "../problems";
import { reservedFrontendFlag } from "../reserved";
import { reservedVariable } from "../reservedVariables";
import { show } from "../values";
import type { Known } from ".";
import { environments } from "./environments";

export function accessChecks(known: Known): Problem[] {
  return [
    ...openProblems(known),
    ...plainProblems(known),
    ...tlsProblems(known),
    ...idleProblems(known),
    ...nameProblems(known),
    ...bypassProblems(known),
  ];
}

function openProblems(known: Known): Problem[] {
  if (known.sky?.openEndpoint !== true || hasGateway(known) !== false) return [];
  const message =
    "true opens the endpoint's port to the internet, and without a gateway it asks for no key. Set access.gateway to true, or this to false.";
  return [{ path: ["sky", "openEndpoint"], message }];
}

/** Rejects plain HTTP on an endpoint that is open to the internet. */
function plainProblems(known: Known): Problem[] {
  const { access, sky } = known;
  if (sky?.openEndpoint !== true || access === undefined || hasGateway(known) !== true) return [];
  if (access.tls.mode !== "off" || access.allowPlainHttp) return [];
  const message =
    '"off" sends keys, prompts and answers readable over the internet, to which sky.openEndpoint opens the port. Remove it; or, where something in front of the gateway ends TLS and lets nobody else at it, set access.allowPlainHttp to true.';
  return [{ path: ["access", "tls", "mode"], message }];
}

/** A certificate needs a key and a gateway. */
function tlsProblems(known: Known): Problem[] {
  const { access, tlsKey } = known;
  if (access === undefined) return [];
  const isOff = hasGateway(known) === false;
  const { mode, certificate } = access.tls;
  const at = (key: string, message: string): Problem => ({ path: ["access", "tls", key], message });
  const problems: Problem[] = [];
  if (isOff && mode !== undefined && mode !== "off")
    problems.push(
      at(
        "mode",
        `${show(mode)} has no effect while access.gateway is false. Set that to true, or remove this.`,
      ),
    );
  if (isOff && certificate !== undefined)
    problems.push(
      at("certificate", "has no effect while access.gateway is false. Set that to true, or remove this."),
    );
  if (mode === "own" && certificate === undefined)
    problems.push(at("certificate", 'is required with access.tls.mode "own". Allowed: PEM.'));
  if (mode !== undefined && mode !== "own" && certificate !== undefined)
    problems.push(at("certificate", `is not used with access.tls.mode ${show(mode)}. Remove one of them.`));
  if (certificate !== undefined && tlsKey === false)
    problems.push({
      path: ["tlsKey"],
      message:
        "is required with access.tls.certificate: the key of it. Run: pulumi config set --secret dynamo-sky:tlsKey < key.pem",
    });
  if (certificate === undefined && tlsKey === true)
    problems.push({
      path: ["tlsKey"],
      message: "has no effect without access.tls.certificate. Give that too, or remove this.",
    });
  return problems;
}

/** Rejects keys that would not be required by any gateway. */
function idleProblems(known: Known): Problem[] {
  const { access } = known;
  if (access === undefined || hasGateway(known) !== false) return [];
  const idle = [
    ...(areUsualKeys(access.keys) ? [] : ["keys"]),
    ...(access.retiredKeys.length === 0 ? [] : ["retiredKeys"]),
  ];
  return idle.map((key) => ({
    path: ["access", key],
    message:
      "has no effect while access.gateway is false: no key is asked for. Set that to true, or remove this.",
  }));
}

function nameProblems({ access }: Known): Problem[] {
  if (access === undefined) return [];
  const named = [
    ...access.keys.map((name, index) => ({ name, path: ["access", "keys", index] })),
    ...access.retiredKeys.map(({ name }, index) => ({
      name,
      path: ["access", "retiredKeys", index, "name"],
    })),
  ];
  return named.flatMap(({ name, path }, index): Problem[] => {
    if (named.findIndex((other) => other.name === name) === index) return [];
    const message = `${show(name)} is named twice. Each key is named once, in access.keys or in access.retiredKeys.`;
    return [{ path, message }];
  });
}

/** Rejects arguments and variables that bypass the gateway, or make a process listen elsewhere. */
function bypassProblems(known: Known): Problem[] {
  const { frontend } = known;
  const flags = (frontend?.args ?? []).flatMap((argument, index): Problem[] => {
    const reserved = reservedFrontendFlag(argument);
    if (reserved === undefined) return [];
    return [{ path: ["frontend", "args", index], message: reservedMessage(reserved.flag, reserved.instead) }];
  });
  const variables = environments(known).flatMap(({ path, env }) =>
    Object.keys(env ?? {}).flatMap((name): Problem[] => {
      const reserved = reservedVariable(name);
      return reserved === undefined
        ? []
        : [{ path: [...path, name], message: reservedMessage(name, reserved.instead) }];
    }),
  );
  return [...flags, ...variables];
}

function reservedMessage(name: string, instead: string | undefined): string {
  const remedy = instead === undefined ? "" : ` Use ${instead} instead.`;
  return `${name} is set by the plan: another value could contradict it, or lead around the gateway or out of the cluster. Remove it.${remedy}`;
}
