/** Monitoring of the deployment. */
import type * as pulumi from "@pulumi/pulumi";
import { Role, type RoleArgs } from "./role";

/** An exporter on every node, and Prometheus. Nothing depends on them: requests are served without them. */
export class Metrics extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Metrics", name, args, opts, (unit) => unit.name);
    this.registerOutputs({});
  }
}
