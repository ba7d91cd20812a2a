/**
 * `sky lease`: cheap checks before a launch. It exists for its counterpart, `sky down`: a failed or interrupted launch is
 * not in Pulumi's state, but the lease before it is, so that `destroy` always ends with nothing running.
 */
import { defineVerb } from "../driver/verb";
import { Sky } from "./cli";
import { type SkyLease, skyLeaseSchema } from "./spec";

export const verb = defineVerb({
  input: skyLeaseSchema,
  timeoutSeconds: ({ leaseTimeoutSeconds }) => leaseTimeoutSeconds,
  run: async ({ cluster, infra }: SkyLease, context) => {
    const sky = await Sky.find(infra, context);
    const known = await sky.cluster(cluster);
    context.progress.line(
      known === undefined
        ? `SkyPilot answers; the name ${cluster} is free`
        : `SkyPilot answers; ${cluster} is there already (${known.status})`,
    );
  },
});
