/** Who gets in: nobody by accident. */
import type { Problem } from "../../problems";
import { show } from "../values";
import type { Known } from ".";

export function accessChecks(known: Known): Problem[] {
  return [...openProblems(known), ...idleProblems(known), ...nameProblems(known), ...bypassProblems(known)];
}

function openProblems({ access, sky }: Known): Problem[] {
  if (sky?.openEndpoint !== true || access === undefined || access.gateway) return [];
  const message =
    "true opens the endpoint's port to the internet, and without a gateway it asks for no key. Set access.gateway to true, or this to false.";
  return [{ path: ["sky", "openEndpoint"], message }];
}

/** Somebody who names keys believes that they are asked for. */
function idleProblems({ access }: Known): Problem[] {
  if (access === undefined || access.gateway) return [];
  const isUsual = access.keys.length === 1 && access.keys[0] === "default";
  const idle = [...(isUsual ? [] : ["keys"]), ...(access.retiredKeys.length === 0 ? [] : ["retiredKeys"])];
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

/** Arguments of a frontend that lead around the gateway, or away from it. */
const ADDRESS_FLAGS = ["--http-host", "--http-port", "--tls-cert-path", "--tls-key-path"];

function bypassProblems({ access, frontend }: Known): Problem[] {
  if (access?.gateway !== true || frontend === undefined) return [];
  return frontend.args.flatMap((argument, index): Problem[] => {
    const flag = argument.replace(/=.*/s, "");
    if (!ADDRESS_FLAGS.includes(flag)) return [];
    const message = `${flag} leads around the gateway, which is on (access.gateway). Remove it; clients connect to frontend.port.`;
    return [{ path: ["frontend", "args", index], message }];
  });
}
