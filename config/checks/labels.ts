/**
 * Labels by the rules of the clouds that they come to, which SkyPilot tells when the launch is under way: `is_label_valid` of
 * https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky/clouds
 */
import { cloudOf, infraKind } from "../infra";
import { notPlain } from "../plainYaml";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";

interface Rule {
  readonly name: RegExp;
  readonly names: string;
  readonly value: RegExp;
  readonly values: string;
}

const RULES: Readonly<Record<string, Rule>> = {
  aws: {
    name: /^(?!aws:)\S{1,127}$/,
    names: "at most 127 characters without spaces, not starting with aws:",
    value: /^\S{0,255}$/,
    values: "at most 255 characters without spaces",
  },
  gcp: {
    name: /^[a-z][a-z0-9_-]{0,62}$/,
    names: "small letters, digits, _ and -, starting with a letter, at most 63",
    value: /^[a-z0-9_-]{0,63}$/,
    values: "small letters, digits, _ and -, at most 63",
  },
  Kubernetes: {
    name: /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?$/,
    names: "small letters, digits, - _ and ., at most 63, with a domain and / before it where it has one",
    value: /^([a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?)?$/,
    values: "letters, digits, - _ and ., starting and ending with a letter or digit, at most 63",
  },
};

export function labelChecks({ sky, target }: Known): Problem[] {
  if (sky === undefined || target === "local") return [];
  const clouds = [...new Set(sky.infra.map((infra) => infraKind(infra) ?? cloudOf(infra)))];
  return Object.entries(sky.labels).flatMap(([name, value]): Problem[] => {
    const path = ["sky", "labels", name];
    const why = notPlain(name);
    if (why !== undefined) return [{ path, message: `${show(name)} ${why}. Give it another name.` }];
    return clouds.flatMap((cloud): Problem[] => {
      const rule = RULES[cloud];
      if (rule === undefined) return [];
      if (!rule.name.test(name))
        return [{ path, message: `${show(name)} is no label's name on ${cloud}. Allowed: ${rule.names}.` }];
      if (!rule.value.test(value))
        return [
          { path, message: `${show(value)} is no label's value on ${cloud}. Allowed: ${rule.values}.` },
        ];
      return [];
    });
  });
}
