/** `runtime.options` of Pulumi.yaml for Node: https://www.pulumi.com/docs/iac/languages-sdks/javascript/#pulumi-programming-model */
import type { ProgramInfo } from "@pulumi/pulumi/proto/language_pb";

export const PACKAGE_MANAGERS = ["npm", "yarn", "pnpm", "bun"] as const;
export type PackageManager = (typeof PACKAGE_MANAGERS)[number];

/** The validated options. */
export interface RuntimeOptions {
  /** Whether Pulumi's own ts-node compiles the program while loading. Default: yes. */
  readonly typescript: boolean;
  /** File in place of `tsconfig.json`. */
  readonly tsconfig: string | undefined;
  /** Arguments for Node, before the program's. */
  readonly nodeArguments: readonly string[];
  /** Undefined, or `auto`: from the lock file. */
  readonly packageManager: PackageManager | undefined;
  /** Whether to omit development dependencies. */
  readonly production: boolean;
}

/** @throws Error that names the option and the allowed values. */
export function runtimeOptions(info: ProgramInfo): RuntimeOptions {
  const options: Readonly<Record<string, unknown>> = info.getOptions()?.toJavaScript() ?? {};
  const wrong = (name: string, allowed: string) =>
    new Error(
      `Pulumi.yaml: runtime.options.${name} is ${JSON.stringify(options[name])}; allowed: ${allowed}`,
    );
  const flag = (name: string, usual: boolean): boolean => {
    const value = options[name] ?? usual;
    if (typeof value !== "boolean") throw wrong(name, "true or false");
    return value;
  };
  const text = (name: string): string | undefined => {
    const value = options[name];
    if (value !== undefined && typeof value !== "string") throw wrong(name, "a text");
    return value;
  };
  const manager = text("packagemanager") ?? "auto";
  const packageManager = PACKAGE_MANAGERS.find((known) => known === manager);
  if (packageManager === undefined && manager !== "auto")
    throw wrong("packagemanager", `auto, ${PACKAGE_MANAGERS.join(", ")}`);
  return {
    typescript: flag("typescript", true),
    tsconfig: text("tsconfig"),
    nodeArguments: words(text("nodeargs") ?? ""),
    packageManager,
    production: flag("production", false),
  };
}

/** The variables that pass the options to `@pulumi/pulumi/cmd/run`. */
export function optionVariables({ typescript, tsconfig }: RuntimeOptions): Record<string, string> {
  return {
    ...(typescript ? { PULUMI_NODEJS_TYPESCRIPT: "true" } : {}),
    ...(tsconfig === undefined ? {} : { PULUMI_NODEJS_TSCONFIG_PATH: tsconfig }),
  };
}

/** The words of a command line, which may be quoted. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replaceAll(/["']/g, ""));
}
