/**
 * Stacks that live as long as their pull request: created from another stack's file, removed when it is
 * closed, and by age otherwise. The expiry time is a tag of the stack, set before any resource is created.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMap, isScalar, parse, parseDocument } from "yaml";
import { CONFIG_NAMESPACE } from "../../config/problems";
import { messageOf } from "../../lib/run";
import { EXIT } from "../commandLine";
import { type OpenStack, UsageProblem } from "../pulumi/openStack";
import type { PolicyPackChoice } from "../pulumi/policyPacks";
import { hasEncryptionSettings, readProject, stackFile, stacksWithFiles } from "../pulumi/project";
import { deploy } from "./deploy";
import { code, failureBlock, markerOf, page, plainText, table } from "./markdown";
import type { Report, Run } from "./report";

/** Name of the tag with a stack's expiry time, as ISO 8601. */
const EXPIRES = `${CONFIG_NAMESPACE}:expires`;
const HOUR_MS = 3_600_000;
const PREFIX = "pr-";

/** Name of the stack of a pull request. @throws UsageProblem if it is not a number. */
export function ephemeralName(id: string): string {
  if (/^[1-9]\d{0,9}$/.test(id)) return `${PREFIX}${id}`;
  throw new UsageProblem(`--id ${JSON.stringify(id)} is not the number of a pull request. Allowed: 1, 2, …`);
}

/** Template of an ephemeral stack. */
export interface EphemeralSource {
  /** Directory of Pulumi.yaml. */
  readonly directory: string;
  /** Stack whose file is copied. */
  readonly base: string;
  /** `key=value`: settings that differ, the value as YAML, the key with dots: `cluster.nodes=1`. */
  readonly overrides: readonly string[];
}

/**
 * Writes the stack's file from its base. Git ignores the file: it can be written again at any time.
 * @throws UsageProblem if there is no such base, an override cannot be parsed, or the base has secrets that
 * only it can decrypt.
 */
export function writeStackFile(name: string, source: EphemeralSource): void {
  const project = readProject(source.directory);
  const file = stackFile(project, source.base);
  if (file === undefined) {
    const known = stacksWithFiles(project).join(", ");
    throw new UsageProblem(
      `--base ${source.base}: there is no Pulumi.${source.base}.yaml. Stacks there: ${known}`,
    );
  }
  const text = readFileSync(file, "utf8");
  if (/^\s+secure:/m.test(text) && !hasEncryptionSettings(text)) {
    throw new UsageProblem(
      `${file} has secrets that only stack ${source.base} can read. Give the base an encryptionsalt or a secretsprovider, or set them in the environment.`,
    );
  }
  const document = parseDocument(text);
  for (const override of source.overrides) {
    const { path, value } = parsedOverride(override);
    // `config:` may be empty, and a parent setting may be absent.
    for (let depth = 1; depth < path.length; depth++) {
      const above = path.slice(0, depth);
      if (!isMap(document.getIn(above, true))) document.setIn(above, document.createNode({}));
    }
    document.setIn(path, isScalar(value) ? value : document.createNode(value));
  }
  writeFileSync(join(project.directory, `Pulumi.${name}.yaml`), document.toString());
}

function parsedOverride(override: string): { readonly path: string[]; readonly value: unknown } {
  const [, key, text] = /^([A-Za-z][\w.]*)=([\s\S]*)$/.exec(override) ?? [];
  if (key === undefined || text === undefined) {
    throw new UsageProblem(`--set ${JSON.stringify(override)} is not key=value, such as cluster.nodes=1`);
  }
  const [first = "", ...rest] = key.split(".");
  try {
    return { path: ["config", `${CONFIG_NAMESPACE}:${first}`, ...rest], value: parse(text) };
  } catch (error) {
    throw new UsageProblem(`--set ${key}: the value is no YAML: ${messageOf(error)}`);
  }
}

/** Creates or updates a pull request's stack; sets its expiry time first. */
export async function ephemeralUp(
  run: Run,
  hours: number,
  policyPacks: readonly PolicyPackChoice[],
  now: Date,
): Promise<Report> {
  const expires = new Date(now.getTime() + hours * HOUR_MS).toISOString();
  await run.stack.init();
  await run.stack.setTag(EXPIRES, expires);
  const notes = [
    `It is destroyed when the pull request is closed, or after ${expires.slice(0, 16).replace("T", " ")} UTC.`,
  ];
  return deploy(run, { policyPacks, wake: true }, { notes, json: { expires } });
}

/** Removes a stack with all its resources and its file. Idempotent. */
export async function ephemeralDown({ stack, signal }: Run): Promise<Report> {
  const name = stack.stack;
  const about = { verb: "ephemeral-down", stack: name };
  const marker = markerOf("deploy", name);
  try {
    const isThere = (await stack.siblings()).includes(name);
    if (isThere) await removeStack(stack, signal);
    removeStackFile(stack);
    const said = isThere ? "is destroyed: nothing of it is left." : "was gone already.";
    const markdown = page(marker, [`${plainText(name)} ${said}`]);
    return { markdown, json: { ...about, ok: true, removed: isThere }, exitCode: EXIT.ok };
  } catch (error) {
    const failure = messageOf(error);
    const heading = `### ${plainText(name)} could not be destroyed: something may be running`;
    const markdown = page(marker, [heading, failureBlock(failure)]);
    return { markdown, json: { ...about, ok: false, failure }, exitCode: EXIT.failed };
  }
}

async function removeStack(stack: OpenStack, signal: AbortSignal): Promise<void> {
  await stack.destroy({ signal });
  await stack.remove();
}

function removeStackFile({ project, stack }: OpenStack): void {
  const file = join(project.directory, `Pulumi.${stack}.yaml`);
  if (existsSync(file)) rmSync(file);
}

/** Result of a sweep for one stack. */
interface Swept {
  readonly stack: string;
  readonly expires: string | null;
  readonly outcome: "kept" | "removed" | "failed";
  readonly failure?: string;
}

/**
 * Removes all expired stacks. Only stacks with a pull request's name and an expiry time are touched.
 * @param open Opens a stack of the same project.
 */
export async function ephemeralSweep(
  { stack, signal }: Run,
  open: (name: string) => Promise<OpenStack>,
  now: Date,
): Promise<Report> {
  const names = (await stack.siblings()).filter((name) => name.startsWith(PREFIX));
  const swept: Swept[] = [];
  for (const name of names) swept.push(await sweep(await open(name), signal, now));
  const failed = swept.filter(({ outcome }) => outcome === "failed");
  const removed = swept.filter(({ outcome }) => outcome === "removed");
  const heading = `### Stacks of pull requests: ${removed.length} removed, ${swept.length - removed.length - failed.length} kept, ${failed.length} failed`;
  const rows = swept.map(({ stack: name, expires, outcome }) => [
    code(name),
    expires ?? "never (no tag)",
    outcome,
  ]);
  const failures = failed.map(
    ({ stack: name, failure = "" }) => `${plainText(name)}:\n\n${failureBlock(failure)}`,
  );
  return {
    markdown: page(markerOf("sweep", "all"), [heading, table(["stack", "ends", ""], rows), ...failures]),
    json: { verb: "ephemeral-sweep", ok: failed.length === 0, stacks: swept },
    exitCode: failed.length === 0 ? EXIT.ok : EXIT.failed,
  };
}

async function sweep(stack: OpenStack, signal: AbortSignal, now: Date): Promise<Swept> {
  const name = stack.stack;
  let expires: string | null = null;
  try {
    expires = (await stack.tags())[EXPIRES] ?? null;
    // An unparsable time never expires: NaN compares as false.
    if (expires === null || !(Date.parse(expires) <= now.getTime()))
      return { stack: name, expires, outcome: "kept" };
    await removeStack(stack, signal);
    removeStackFile(stack);
    return { stack: name, expires, outcome: "removed" };
  } catch (error) {
    return { stack: name, expires, outcome: "failed", failure: messageOf(error) };
  }
}
