import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse, YAMLParseError } from "yaml";
import { messageOf } from "../../lib/run";
import { UsageProblem } from "./problem";

/** The relevant fields of Pulumi.yaml. */
export interface Project {
  /** Absolute directory of Pulumi.yaml. */
  readonly directory: string;
  readonly name: string;
  /** `backend.url`, if the project sets one. */
  readonly backendUrl: string | undefined;
  /** Absolute path of Pulumi.yaml. */
  readonly file: string;
}

const extensions = ["yaml", "yml"];
/** Directory of a project's example stacks; the user's own are next to Pulumi.yaml. */
const EXAMPLES = "examples/stacks";
const stackName = /^(?:[A-Za-z0-9_][\w.-]*\/){0,2}[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * Parses a YAML file. @throws UsageProblem with its name if it is not valid; without the line, which may hold
 * a secret.
 */
export function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new UsageProblem(`${file} is not valid YAML: ${error.message.split(/:?\n/)[0]}`);
  }
}

/** Reads Pulumi.yaml. @throws UsageProblem if it is missing or has no name. */
export function readProject(directory: string): Project {
  const root = resolve(directory);
  const file = extensions
    .map((extension) => join(root, `Pulumi.${extension}`))
    .find((path) => existsSync(path));
  if (file === undefined)
    throw new UsageProblem(`${root} has no Pulumi.yaml: name the project's directory with --cwd`);
  const { name, backend } = record(readYaml(file));
  if (typeof name !== "string") throw new UsageProblem(`${file} has no name of the project`);
  const url = record(backend)["url"];
  return {
    directory: root,
    name,
    backendUrl: typeof url === "string" ? url : undefined,
    file,
  };
}

/** The last part of `organisation/project/stack`, used in the name of the stack's file. */
export function shortName(stack: string): string {
  return stack.split("/").at(-1) ?? stack;
}

/** Validates a stack's name. */
export function checkStackName(stack: string): void {
  if (stackName.test(stack)) return;
  throw new UsageProblem(
    `${JSON.stringify(stack)} is not a stack's name: use letters, digits, "-", "_" and ".", at most 100 of them (dev)`,
  );
}

/** Directories with stack files, in order of precedence: a copy next to Pulumi.yaml overrides an example. */
function stackDirectories({ directory }: Project): string[] {
  return [directory, join(directory, EXAMPLES)].filter((path) => existsSync(path));
}

/** The project's file `Pulumi.<stack>.yaml`, if it exists: next to Pulumi.yaml, else in `examples/stacks`. */
export function stackFile(project: Project, stack: string): string | undefined {
  return stackDirectories(project)
    .flatMap((path) => extensions.map((extension) => join(path, `Pulumi.${shortName(stack)}.${extension}`)))
    .find((path) => existsSync(path));
}

/** Whether Pulumi finds the stack's file itself: it only looks next to Pulumi.yaml. */
export function isWherePulumiLooks(project: Project, file: string): boolean {
  return dirname(file) === project.directory;
}

/** Names of all stacks that have a file in the project, sorted. */
export function stacksWithFiles(project: Project): string[] {
  const files = stackDirectories(project).flatMap((path) => readdirSync(path));
  const names = files.flatMap((file) => /^Pulumi\.(.+)\.ya?ml$/.exec(file)?.[1] ?? []);
  return [...new Set(names)].sort();
}

/** The error if no stack is named. @param directory Of the project. */
export function missingStack(directory: string): string {
  const missing = "--stack NAME is missing.";
  try {
    const project = readProject(directory);
    const names = stacksWithFiles(project);
    const example = names.includes("dev") ? "dev" : names[0];
    return example === undefined
      ? `${missing} ${project.directory} has no stack's file yet: Pulumi.NAME.yaml.`
      : `${missing} Stacks in ${project.directory}: ${names.join(", ")}. For example: --stack ${example}`;
  } catch (error) {
    return `${missing} ${messageOf(error)}`;
  }
}

/** Whether a stack's file has encryption settings. */
export function hasEncryptionSettings(text: string): boolean {
  const settings = record(parse(text));
  return ["encryptionsalt", "secretsprovider", "encryptedkey"].some((key) => settings[key] !== undefined);
}
