/** Problems in a configuration, and their messages. */
import { UserError } from "../lib/errors";

/** Pulumi configuration namespace of this program: the part before the colon in `dynamo-sky:model`. */
export const CONFIG_NAMESPACE = "dynamo-sky";

/** Path of a setting: `["pools", 1, "tensorParallel"]`. Empty for the configuration as a whole. */
export type SettingPath = readonly (string | number)[];

/** One problem. */
export interface Problem {
  readonly path: SettingPath;
  /** Value found, allowed values, next step. Full sentences; the key is not repeated. */
  readonly message: string;
}

const PLAIN_KEY = /^[A-Za-z_][\w-]*$/;

/**
 * The key in the user's notation: `dynamo-sky:pools[1].tensorParallel`; unusual names are quoted:
 * `dynamo-sky:engineEnv["a b"]`.
 */
export function settingName(path: SettingPath): string {
  const [first, ...rest] = path;
  if (first === undefined) return CONFIG_NAMESPACE;
  const tail = rest.map((part) => {
    if (typeof part === "number") return `[${part}]`;
    return PLAIN_KEY.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`;
  });
  // An unusual key, such as one of spaces, would be invisible.
  const key = PLAIN_KEY.test(String(first)) ? first : JSON.stringify(first);
  return `${CONFIG_NAMESPACE}:${key}${tail.join("")}`;
}

/** Settings by their names, as a stack's file has them under `config`. */
export function namedSettings(config: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [settingName([key]), value]));
}

/** One line: the key, then the message. */
function formatProblem(problem: Problem): string {
  return `${settingName(problem.path)}: ${problem.message}`;
}

/** All problems, one per line. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join("\n");
}

/** An invalid configuration. The message lists every problem, one per line. */
export class ConfigError extends UserError {
  override readonly name = "ConfigError";

  constructor(readonly problems: readonly Problem[]) {
    super(formatProblems(problems));
  }
}
