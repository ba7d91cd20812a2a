/**
 * Checks before a launch: what would make it fail is an error if there is something to launch, and a warning
 * if the deployment already runs.
 */

import { runtime } from "@pulumi/pulumi";
import type { DeploymentConfig } from "../config/deployment";
import { ConfigError } from "../config/problems";
import { hubCautions, hubProblems } from "../plan/hub";
import { obstacleCautions, obstacleProblems } from "../plan/obstacles";
import type { SkyObservation } from "./skyRepair";

/**
 * @returns Warnings.
 * @throws ConfigError if nothing runs yet, and nodes could not fetch the model or, except in a preview, no
 *   infra is usable. A running deployment can be changed in ways that need neither.
 */
export function beforeLaunch(
  config: DeploymentConfig,
  { clusters, obstacles = [], hub }: SkyObservation,
): string[] {
  const cautions = [
    ...obstacleCautions(obstacles),
    ...(hub === undefined ? [] : hubCautions(config, hub, hub.answers)),
  ];
  const unfetched = hub === undefined ? [] : hubProblems(config, hub, hub.answers);
  if (Object.values(clusters).some(({ status }) => status === "UP"))
    return [...cautions, ...(unfetched.length === 0 ? [] : new ConfigError(unfetched).message.split("\n"))];
  const problems = [...unfetched, ...(runtime.isDryRun() ? [] : obstacleProblems(config, obstacles))];
  if (problems.length > 0) throw new ConfigError(problems);
  return cautions;
}
