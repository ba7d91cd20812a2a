/** The certificate of a gateway, and how it gets there. */
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random/randomPassword";
import { problemOfPair, type ServedCertificate, servedCertificate } from "../lib/tls/served";
import type { DeploymentConfig } from "../plan/config";
import { ProgramError } from "./problems";

/** What a host makes of it, which alone knows under which addresses its gateway is reached. */
export type HostCertificate =
  | {
      readonly kind: "own";
      /** Key and certificate, PEM: a secret. */
      readonly bundle: pulumi.Output<string>;
      readonly served: ServedCertificate;
    }
  | {
      readonly kind: "generated";
      /** What the certificate is made from: a secret. */
      readonly seed: pulumi.Output<string>;
      /** Names that it is for besides the gateway's own address. */
      readonly names: readonly string[];
    };

/** Names under which a gateway is reached through a tunnel. */
const LOCAL_NAMES = ["localhost", "127.0.0.1"];

/** Letters and digits of a seed: 62^48 is 2^285. */
const SEED = { length: 48, special: false } as const;

/**
 * The certificate that the configuration asks for; undefined where the gateway speaks plain HTTP, or there is none.
 *
 * @param key Key of the user's own certificate.
 * @throws ProgramError when certificate and key do not belong together.
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
 * Key and certificate in one text, PEM.
 * @throws ProgramError when they do not belong together.
 */
export function bundleOf(certificate: string, key: string): string {
  const problem = problemOfPair(certificate, key);
  if (problem !== undefined) throw new ProgramError(`dynamo-sky:tlsKey: ${problem}.`);
  return `${key.trim()}\n${certificate.trim()}\n`;
}
