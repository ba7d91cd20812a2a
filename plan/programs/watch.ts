/** Which programs are ended and started again when they hang. */
import type { DeploymentConfig } from "../../config/deployment";
import type { ProgramPlan } from "../types";

/**
 * The watch over a worker that serves the endpoint, or over a frontend; none if the configuration has none.
 */
export function watchOf({ health }: DeploymentConfig): Pick<ProgramPlan, "watch"> {
  const { everySeconds, timeoutSeconds, failures } = health;
  return failures === 0 ? {} : { watch: { everySeconds, timeoutSeconds, failures } };
}
