/** Whether a passphrase is that of a stack, found out as the CLI does: `pkg/secrets/passphrase` of github.com/pulumi/pulumi. */
import { createDecipheriv, pbkdf2Sync } from "node:crypto";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { Environment } from "../../lib/dirs";

const ITERATIONS = 1_000_000;
const KEY_BYTES = 32;
const TAG_BYTES = 16;

/** `v1:<salt>:v1:<nonce>:<sealed>`: text that is sealed with the passphrase, to try one on. */
function opens(salt: string, passphrase: string): boolean {
  const [, saltText = "", , nonce = "", sealed = ""] = salt.split(":");
  const key = pbkdf2Sync(passphrase, Buffer.from(saltText, "base64"), ITERATIONS, KEY_BYTES, "sha256");
  const bytes = Buffer.from(sealed, "base64");
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  decipher.update(bytes.subarray(0, -TAG_BYTES));
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  }
}

function passphraseIn(env: Environment): string | undefined {
  const { PULUMI_CONFIG_PASSPHRASE: value, PULUMI_CONFIG_PASSPHRASE_FILE: file } = env;
  if (value !== undefined) return value;
  return file === undefined ? undefined : readFileSync(file, "utf8").trim();
}

/** The salt in a stack's file, or in its state: JSON is YAML too. */
function saltIn(text: string): string | undefined {
  const found: unknown = parse(text);
  const salts = [
    (found as { encryptionsalt?: unknown } | null)?.encryptionsalt,
    (found as { checkpoint?: { latest?: { secrets_providers?: { state?: { salt?: unknown } } } } } | null)
      ?.checkpoint?.latest?.secrets_providers?.state?.salt,
  ];
  return salts.find((salt) => typeof salt === "string");
}

/**
 * What to say of a passphrase that does not open a stack's secrets; undefined where it does, or where that cannot be told.
 * @param texts The stack's file and its state, as far as they can be read.
 */
export function wrongPassphrase(
  stack: string,
  texts: readonly string[],
  env: Environment,
): string | undefined {
  try {
    const passphrase = passphraseIn(env);
    const salt = texts.map(saltIn).find((found) => found !== undefined);
    if (passphrase === undefined || salt === undefined || opens(salt, passphrase)) return undefined;
    const variable =
      env["PULUMI_CONFIG_PASSPHRASE"] === undefined
        ? "PULUMI_CONFIG_PASSPHRASE_FILE"
        : "PULUMI_CONFIG_PASSPHRASE";
    return passphraseHelp(stack, variable);
  } catch {
    return undefined;
  }
}

/** Whether the CLI has failed for that. */
export function isPassphraseProblem(printed: string): boolean {
  return /\bincorrect passphrase\b/.test(printed);
}

/** What to do about it. */
export function passphraseHelp(stack: string, variable = "PULUMI_CONFIG_PASSPHRASE"): string {
  return (
    `${variable} is not the passphrase that stack ${stack} was made with, so its secrets cannot be read. Set it to that one; ` +
    "unset it where the stack is one of this machine's own, whose passphrase this program keeps."
  );
}
