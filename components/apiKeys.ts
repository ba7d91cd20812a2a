/** API keys of the gateway. */

import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";
import type { DeploymentConfig } from "../config/deployment";
import { keepSecretsOutOfDebugMessages } from "./debugMessages";

/** Arguments of {@link ApiKeys}. */
export interface ApiKeysArgs {
  /** Names of the accepted keys; at least one. */
  readonly keys: DeploymentConfig["access"]["keys"];
  /** Keys accepted until a given time. */
  readonly retiredKeys: DeploymentConfig["access"]["retiredKeys"];
}

/**
 * Length of a key: 48 letters and digits, 36^48 is 2^248. Lower case, since nginx's map lookups are
 * case-insensitive.
 */
const KEY = { length: 48, upper: false, special: false } as const;

/** One generated password per key. A name that moves from `keys` to `retiredKeys` keeps its value. */
export class ApiKeys extends pulumi.ComponentResource {
  /** Value of the first key, a secret. */
  readonly first: pulumi.Output<string>;
  /** Values of all keys by name, including retired ones; a secret. */
  readonly values: pulumi.Output<Record<string, string>>;
  /** All keys in the gateway's format (`plan/programs/gateway.ts`), a secret. */
  readonly forGateway: pulumi.Output<string>;

  constructor(name: string, args: ApiKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("dynamo-sky:index:ApiKeys", name, {}, opts);
    keepSecretsOutOfDebugMessages();
    const all = [...args.keys.map((key) => ({ name: key, graceUntil: undefined })), ...args.retiredKeys];
    const made = all.map((key) => {
      const { result } = new RandomPassword(`${name}-${key.name}`, KEY, { parent: this });
      return { ...key, value: pulumi.secret(result) };
    });
    const [first] = made;
    if (first === undefined) throw new RangeError("no key is named");
    this.first = first.value;
    this.values = pulumi.secret(pulumi.all(Object.fromEntries(made.map((key) => [key.name, key.value]))));
    this.forGateway = pulumi.secret(
      pulumi
        .all(made.map(({ value }) => value))
        .apply((values) => values.map((value, index) => entry(value, made[index])).join(",")),
    );
    this.registerOutputs({});
  }
}

function entry(
  value: string,
  key: { readonly name: string; readonly graceUntil: string | undefined } | undefined,
) {
  const until = key?.graceUntil === undefined ? "" : `@${key.graceUntil}`;
  return `${key?.name}:${value}${until}`;
}
