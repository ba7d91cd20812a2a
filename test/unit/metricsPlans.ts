/** Plans of deployments with monitoring, for the tests of metrics. */

import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { programsOf } from "../../plan/types";
import { type Deployment, SERVICES, SHAPES } from "./planShapes";

export const ON = { metrics: { prometheus: true } } as const;

export function planned(input: Deployment) {
  const config = parseConfig(input);
  const made = plan(config, SERVICES);
  const [cluster] = made.clusters;
  if (cluster === undefined) throw new Error("no cluster");
  return { config, made, cluster };
}

export const programsFor = (input: Deployment) => programsOf(planned(input).made);

export const GUARDED = { ...SHAPES.dev, access: { gateway: true }, ...ON } as const;
