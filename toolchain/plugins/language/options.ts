/** `runtime.options` of Pulumi.yaml for Node: https://www.pulumi.com/docs/iac/languages-sdks/javascript/#pulumi-programming-model */
import type { ProgramInfo } from "@pulumi/pulumi/proto/language_pb";

export const PACKAGE_MANAGERS = ["npm", "yarn", "pnpm", "bun"] as const;
export type PackageManager = (typeof PACKAGE_MANAGERS)[number];

/** The options, checked. */
export interface RuntimeOptions {
  /** Whether Pulumi's own ts-node compiles the program as it is loaded. Default: yes. */
  readonly typescript: boolean;
  /** File in place of `tsconfig.json`. */
  readonly tsconfig: string | undefined;
  /** Arguments for Node, before the program's. */
  readonly nodeArguments: readonly string[];
  /** Undefined, or `auto`: by the lock file that is there. */
  readonly packageManager: PackageManager | undefined;
  /** Whether development dependencies are left out when dependencies are installed. */
  readonly production: boolean;
}

/** @throws Error that names the option and what is allowed. */
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

/** The variables by which `@pulumi/pulumi/cmd/run` knows of the options. */
export function optionVariables({ typescript, tsconfig }: RuntimeOptions): Record<string, string> {
  return {
    ...(typescript ? { PULUMI_NODEJS_TYPESCRIPT: "true" } : {}),
    ...(tsconfig === undefined ? {} : { PULUMI_NODEJS_TSCONFIG_PATH: tsconfig }),
  };
}

/** The words of a command line, of which some may be quoted. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replaceAll(/["']/g, ""));
}
