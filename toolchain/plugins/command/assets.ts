/** The files that a command leaves behind, as Pulumi assets and archives. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { type PropertyMap, SIGNATURE, SIGNATURES } from "../rpc/properties";
import { compileGlob } from "./globs";

/**
 * The files under a directory that the patterns choose, as assets by their relative path. A pattern that begins
 * with `!` takes out what the ones before it have chosen.
 *
 * @throws when a pattern is malformed, or the directory or a chosen file cannot be read.
 */
export function collectAssets(directory: string, patterns: readonly string[]): PropertyMap {
  const rules = patterns.map((pattern) => {
    const excludes = pattern.startsWith("!");
    return { excludes, matches: compileGlob(excludes ? pattern.slice(1) : pattern) };
  });
  const chosen = (path: string) => rules.findLast((rule) => rule.matches(path))?.excludes === false;
  const paths = filesUnder(directory, "").filter(chosen);
  return Object.fromEntries(paths.map((path) => [path, fileAsset(posix.join(directory, path))]));
}

/** An archive of assets. */
export function archiveOf(assets: PropertyMap): PropertyMap {
  return { [SIGNATURE]: SIGNATURES.archive, assets, hash: archiveHash(assets) };
}

function filesUnder(root: string, relative: string): string[] {
  const entries = readdirSync(posix.join(root, relative), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = posix.join(relative, entry.name);
    return entry.isDirectory() ? filesUnder(root, path) : [path];
  });
}

function fileAsset(path: string): PropertyMap {
  const hash = createHash("sha256").update(readFileSync(path)).digest("hex");
  return { [SIGNATURE]: SIGNATURES.asset, hash, path };
}

/**
 * The hash of an archive is that of a tar file of its assets, sorted by name, without owners and times:
 * https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/go/common/resource/archive/archive.go
 */
function archiveHash(assets: PropertyMap): string {
  const hash = createHash("sha256");
  for (const [name, asset] of Object.entries(assets).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path =
      typeof asset === "object" && asset !== null && !Array.isArray(asset) ? asset["path"] : undefined;
    const content = readFileSync(String(path));
    hash.update(tarHeader(name, content.length)).update(content);
    hash.update(Buffer.alloc((TAR_BLOCK - (content.length % TAR_BLOCK)) % TAR_BLOCK));
  }
  return hash.update(Buffer.alloc(2 * TAR_BLOCK)).digest("hex");
}

const TAR_BLOCK = 512;

/** A ustar header. A name that is too long for one is cut; that changes the hash and nothing else. */
function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  header.write(name, 0, 100, "utf8");
  header.write(octal(0o600, 7) + octal(0, 7) + octal(0, 7) + octal(size, 11) + octal(0, 11), 100, "latin1");
  // The checksum counts its own field as blanks.
  header.write(`${" ".repeat(8)}0`, 148, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  header.write(octal(0, 7) + octal(0, 7), 329, "latin1");
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${octal(checksum, 6)} `, 148, "latin1");
  return header;
}
