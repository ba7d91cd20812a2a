/** What would make a launch fail, found out before there is one: refused or told, by whether anything has to be launched. */
import { runtime } from "@pulumi/pulumi";
import { ConfigError } from "../config/problems";
import type { DeploymentConfig } from "../plan/config";
import { hubCautions, hubProblems } from "../plan/hub";
import { obstacleCautions, obstacleProblems } from "../plan/obstacles";
import type { SkyObservation } from "./skyRepair";

/**
 * @returns what a person should know.
 * @throws ConfigError where nothing runs yet, and nodes could not fetch the model, or (but for a preview, in which a plan and its price can be
 *   looked at) no infra can be had. What runs already may be changed in ways that need neither.
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
