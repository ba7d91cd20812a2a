/** The gateway's certificate, and how it is deployed. */

import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";
import type { DeploymentConfig } from "../config/deployment";
import { problemOfPair, type ServedCertificate, servedCertificate } from "../lib/tls/served";
import { ProgramError } from "./problems";

/** Input for the host, which knows the addresses of its gateway. */
export type HostCertificate =
  | {
      readonly kind: "own";
      /** Key and certificate, PEM: a secret. */
      readonly bundle: pulumi.Output<string>;
      readonly served: ServedCertificate;
    }
  | {
      readonly kind: "generated";
      /** Seed of the certificate: a secret. */
      readonly seed: pulumi.Output<string>;
      /** Further names besides the gateway's own address. */
      readonly names: readonly string[];
    };

/** Names of a gateway behind a tunnel. */
const LOCAL_NAMES = ["localhost", "127.0.0.1"];

/** Length of a seed: 48 letters and digits, 62^48 is 2^285. */
const SEED = { length: 48, special: false } as const;

/**
 * The configured certificate; undefined with plain HTTP, or without a gateway.
 *
 * @param key Key of the user's own certificate.
 * @throws ProgramError if certificate and key do not match.
 */
export function gatewayCertificate(
  name: string,
  { mode, certificate, names }: DeploymentConfig["access"]["tls"],
  key: pulumi.Input<string> | undefined,
  opts: pulumi.CustomResourceOptions,
): HostCertificate | undefined {
  if (mode === "off") return undefined;
  if (mode === "generated") {
    const { result } = new RandomPassword(name, SEED, opts);
    return { kind: "generated", seed: pulumi.secret(result), names: [...names, ...LOCAL_NAMES] };
  }
  if (certificate === undefined || key === undefined) throw new RangeError("the own certificate is missing");
  const bundle = pulumi.secret(key).apply((text) => bundleOf(certificate, text));
  return { kind: "own", bundle: pulumi.secret(bundle), served: servedCertificate(certificate) };
}

/**
 * Key and certificate in one PEM text.
 * @throws ProgramError if they do not match.
 */
export function bundleOf(certificate: string, key: string): string {
  const problem = problemOfPair(certificate, key);
  if (problem !== undefined) throw new ProgramError(`dynamo-sky:tlsKey: ${problem}.`);
  return `${key.trim()}\n${certificate.trim()}\n`;
}
