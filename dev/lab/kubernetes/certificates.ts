/** The certificates of the lab's Kubernetes, by openssl: an authority, the API server's, and clients'. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../lib/run";
import { KUBERNETES_LAB, KUBERNETES_NETWORK, KUBERNETES_NODES } from "../../../toolchain/kubernetesLabLayout";
import { CLIENTS } from "./files";

const { etc } = KUBERNETES_LAB;
const DAYS = "365";
const SECONDS = 60;

/** Makes those that are not there. */
export async function ensureCertificates(): Promise<void> {
  if (existsSync(join(etc, "service-accounts.key"))) return;
  await certificate("ca", "/CN=dynamo-sky-lab", []);
  const { control, apiService } = KUBERNETES_NETWORK;
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
  const alternatives = [
    ...names.map((name) => `DNS:${name}`),
    ...[control, apiService, "127.0.0.1"].map((address) => `IP:${address}`),
  ].join(",");
  const clients = [
    ...CLIENTS,
    ...KUBERNETES_NODES.map(({ name }) => ({
      user: name,
      name: `system:node:${name}`,
      group: "system:nodes",
    })),
  ];
  await Promise.all([
    certificate("apiserver", "/CN=kube-apiserver", signed("serverAuth", alternatives)),
    ...clients.map(({ user, name, group }) =>
      certificate(user, `${group === undefined ? "" : `/O=${group}`}/CN=${name}`, signed("clientAuth")),
    ),
  ]);
  // The last one, by which a later call sees that all are there.
  const key = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
  await run("openssl", [...key, "-out", join(etc, "service-accounts.key")], { timeoutSeconds: SECONDS });
}

/** Options of a certificate that the authority signs. */
function signed(usage: "serverAuth" | "clientAuth", alternatives?: string): string[] {
  const extensions = [
    `extendedKeyUsage=${usage}`,
    "basicConstraints=critical,CA:FALSE",
    ...(alternatives === undefined ? [] : [`subjectAltName=${alternatives}`]),
  ];
  return [
    "-CA",
    join(etc, "ca.pem"),
    "-CAkey",
    join(etc, "ca.key"),
    ...extensions.flatMap((extension) => ["-addext", extension]),
  ];
}

/** `NAME.pem` and `NAME.key`; signed by itself without an authority. */
async function certificate(name: string, subject: string, options: readonly string[]): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = ["-keyout", join(etc, `${name}.key`), "-out", join(etc, `${name}.pem`)];
  const args = ["req", "-x509", ...key, ...files, "-days", DAYS, "-subj", subject, ...options];
  await run("openssl", args, { timeoutSeconds: SECONDS });
}
