/**
 * Finds values of secrets: in files, in command lines and environments of processes, in texts. A test lists
 * the allowed places; that the search finds the values there proves that it works.
 */

import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { processIds, readProc } from "../lib/procfs";
import { uniqueBy } from "../lib/uniqueBy";

/** Values by name. */
export type Secrets = Readonly<Record<string, string>>;

/** A file that holds a secret. */
export interface HoldingFile {
  readonly secret: string;
  readonly path: string;
  /** Permissions, as `600`. */
  readonly mode: string;
}

/** Shorter values would be found by chance. */
const SHORTEST = 12;
/** A gigabyte takes seconds. */
const SEARCH_MS = 180_000;
const BASE64_OFFSETS = [0, 1, 2];

/**
 * The searched parts of a secret: for a key in PEM each line, also if the PEM is in base64, since a file may
 * have it in another form; for API keys with names (`name:key@time`, …) each key; otherwise the whole value.
 */
export function tellingParts(secret: string): string[] {
  const decoded = Buffer.from(secret, "base64").toString("latin1");
  const pem = [secret, decoded].find((text) => text.includes("-----BEGIN"));
  if (pem === undefined) return secret.split(",").map((part) => part.replace(/@.*$/, "").replace(/^.*:/, ""));
  const key = /-----BEGIN (?:EC |RSA )?PRIVATE KEY-----\n([\s\S]*?)-----END/.exec(pem)?.[1] ?? "";
  return key.split("\n").filter((line) => line.length > 30);
}

/**
 * Possible encodings of a text: plain, and in base64 at any offset, once or twice. SkyPilot's API server
 * stores its requests like that.
 */
function formsOf(text: string): string[] {
  const once = encodings(text);
  return [text, ...once, ...once.flatMap(encodings)];
}

/** The characters that only depend on the text, for each offset in a group of three bytes. */
function encodings(text: string): string[] {
  return BASE64_OFFSETS.map((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]);
    return bytes.toString("base64").slice(Math.ceil((offset * 8) / 6), Math.floor((bytes.length * 8) / 6));
  });
}

function formsByName(secrets: Secrets): [string, string[]][] {
  return Object.entries(secrets).map(([name, value]) => {
    const parts = tellingParts(value);
    if (parts.length === 0 || parts.some((part) => part.length < SHORTEST))
      throw new RangeError(`${name} has no part that could be looked for`);
    return [name, parts.flatMap(formsOf)];
  });
}

/** Names of the secrets in a text. */
export function secretsIn(text: string, secrets: Secrets): string[] {
  return formsByName(secrets)
    .filter(([, forms]) => forms.some((form) => text.includes(form)))
    .map(([name]) => name);
}

/**
 * Files in some paths that hold a secret, sorted. Links are not followed, and installed Python packages are
 * skipped.
 */
export function filesHolding(secrets: Secrets, paths: readonly string[]): HoldingFile[] {
  const forms = formsByName(secrets).flatMap(([, all]) => all);
  const there = paths.filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
  if (there.length === 0 || forms.length === 0) return [];
  const options = ["-rlaFs", "--null", "--devices=skip", "--exclude-dir=site-packages", "-f", "-"];
  const { status, stdout, stderr } = spawnSync("grep", [...options, "--", ...there], {
    input: forms.join("\n"),
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
    maxBuffer: 64 << 20,
    timeout: SEARCH_MS,
  });
  // 2 means that a file has disappeared meanwhile; matches are reported all the same.
  if (status === null || status > 2) throw new Error(`grep failed: ${stderr}`);
  const found = stdout.split("\0").filter((path) => path !== "");
  return found.toSorted().flatMap((path) => holding(path, secrets));
}

function holding(path: string, secrets: Secrets): HoldingFile[] {
  try {
    const mode = (statSync(path).mode & 0o777).toString(8);
    return secretsIn(readFileSync(path, "latin1"), secrets).map((secret) => ({ secret, path, mode }));
  } catch {
    return []; // It has disappeared meanwhile.
  }
}

/** The program of a stack under plain Pulumi, and the compiler that it starts. */
const PULUMI_PROGRAM = /\/@pulumi\/pulumi\/cmd\/run\b|\/esbuild --service=/;

/** All processes of this machine seen by repeated scans: their command lines and environments. */
export class SeenProcesses {
  private readonly seen = new Map<string, { readonly command: string; readonly environment: string }>();
  private timer: NodeJS.Timeout | undefined;

  /** The current processes. */
  static now(): SeenProcesses {
    const processes = new SeenProcesses();
    processes.look();
    return processes;
  }

  /** Scans repeatedly until it is stopped. */
  static watch(everyMs = 250): SeenProcesses {
    const processes = SeenProcesses.now();
    processes.timer = setInterval(() => processes.look(), everyMs).unref();
    return processes;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  get count(): number {
    return this.seen.size;
  }

  look(): void {
    for (const pid of processIds()) {
      const command = readProc(`${pid}/cmdline`, "latin1").replaceAll("\0", " ");
      // After an exec, a process has another command line.
      const key = `${pid} ${command}`;
      if (!this.seen.has(key))
        this.seen.set(key, { command, environment: readProc(`${pid}/environ`, "latin1") });
    }
  }

  /** Secrets in command lines, with the beginnings of those. */
  inCommands(secrets: Secrets): string[] {
    return this.each(secrets, ({ command }) => command).map(
      ([secret, { command }]) => `${secret}: ${command.slice(0, 60)}`,
    );
  }

  /** Secrets in environments, with the planned program, else the beginning of the command line. */
  inEnvironments(secrets: Secrets): { readonly secret: string; readonly program: string }[] {
    const all = this.each(secrets, ({ environment }) => environment).map(
      ([secret, { command, environment }]) => {
        const program = /(?:^|\0)DYNAMO_SKY_PROGRAM=([^\0]*)/.exec(environment)?.[1];
        const other = PULUMI_PROGRAM.test(command) ? "Pulumi's program" : command.slice(0, 60);
        return { secret, program: program === undefined ? other : basename(program) };
      },
    );
    return uniqueBy(all, (found) => JSON.stringify(found));
  }

  private each(
    secrets: Secrets,
    textOf: (process: { readonly command: string; readonly environment: string }) => string,
  ) {
    const names = formsByName(secrets);
    return [...this.seen.values()].flatMap((process) => {
      const text = textOf(process);
      return names
        .filter(([, forms]) => forms.some((form) => text.includes(form)))
        .map(([name]) => [name, process] as const);
    });
  }
}
