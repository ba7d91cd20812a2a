/** Secrets in what Pulumi prints. */

/**
 * Key that marks a value as a secret in the engine: sdk/go/common/resource/sig of github.com/pulumi/pulumi.
 */
const MARK = "4dabf18193072939515e22adb298388d";

/** In place of a secret. */
export const HIDDEN = "[secret]";

function withSecrets(value: unknown, secret: (sealed: object) => unknown): unknown {
  const within = (part: unknown) => withSecrets(part, secret);
  if (Array.isArray(value)) return value.map(within);
  if (typeof value !== "object" || value === null) return value;
  if (MARK in value) return secret(value);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, within(part)]));
}

/** The value with `[secret]` for each secret. */
export function masked(value: unknown): unknown {
  return withSecrets(value, () => HIDDEN);
}

/** The value with its secrets as they are, where `--show-secrets` has them; else `[secret]`. */
export function revealed(value: unknown): unknown {
  return withSecrets(value, (sealed) =>
    "plaintext" in sealed && typeof sealed.plaintext === "string" ? JSON.parse(sealed.plaintext) : HIDDEN,
  );
}
