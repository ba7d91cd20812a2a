/** A stack's configuration and plan, read from its file without Pulumi: for read-only tools. */

import { relative } from "node:path";
import type { DeploymentConfig } from "../config/deployment";
import { parseConfig } from "../plan/config";
import { factsOf } from "../plan/facts";
import { plan } from "../plan/plan";
import type { DeploymentPlan } from "../plan/types";
import { poolsNote } from "../plan/usualPools";
import { locateTools } from "../toolchain/index";
import { UsageProblem } from "./pulumi/problem";
import { checkStackName, readProject, stackFile, stacksWithFiles } from "./pulumi/project";
import { writtenConfig } from "./pulumi/writtenConfig";

/** A stack's validated configuration, and its plan. */
export interface PlannedStack {
  /** The stack's file, relative to the project's directory. */
  readonly file: string;
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
  /** Which pools it has, if it says none. */
  readonly poolsNote: string | undefined;
}

/**
 * Plans a stack from its file.
 * @throws UsageProblem if there is no such stack, ConfigError if its configuration cannot be planned.
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
  const written = writtenConfig(file);
  const config = parseConfig(written);
  const facts = factsOf(config, () => locateTools().servicesObtainable);
  return {
    file: relative(project.directory, file),
    config,
    plan: plan(config, facts),
    poolsNote: poolsNote(written, config),
  };
}
