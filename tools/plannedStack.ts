/** A stack's configuration and plan, read from its file without Pulumi: what the tools that only look need. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type DeploymentConfig, parseConfig } from "../plan/config";
import { factsOf } from "../plan/facts";
import { plan } from "../plan/plan";
import { CONFIG_NAMESPACE } from "../plan/problems";
import type { DeploymentPlan } from "../plan/types";
import { UsageProblem } from "./pulumi/problem";
import { checkStackName, readProject, stackFile, stacksWithFiles } from "./pulumi/project";
import { locateTools } from "./toolchain/index";

/** The settings of this program's namespace in a stack's file, without the namespace. */
function writtenConfig(file: string): Record<string, unknown> {
  const content: unknown = parse(readFileSync(file, "utf8"));
  const config = asRecord(asRecord(content)["config"]);
  const prefix = `${CONFIG_NAMESPACE}:`;
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), withoutSecret(value)]] : [],
    ),
  );
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** An encrypted value stays encrypted: that there is one is all that a plan needs. */
function withoutSecret(value: unknown): unknown {
  return asRecord(value)["secure"] === undefined ? value : true;
}

/** A stack's checked configuration, and its plan. */
export interface PlannedStack {
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
}

/**
 * Plans a stack from its file.
 * @throws UsageProblem when there is no such stack, ConfigError when its configuration cannot be planned.
 */
export function planStack(stack: string, directory: string): PlannedStack {
  checkStackName(stack);
  const project = readProject(directory);
  const file = stackFile(project, stack);
  if (file === undefined) {
    const known = stacksWithFiles(project);
    throw new UsageProblem(
      `${project.directory} has no Pulumi.${stack}.yaml. Stacks there: ${known.length > 0 ? known.join(", ") : "none"}.`,
    );
  }
  const config = parseConfig(writtenConfig(file));
  const facts = factsOf(config, () => locateTools().servicesObtainable);
  return { config, plan: plan(config, facts) };
}
