/** etcd and NATS. */
import type * as pulumi from "@pulumi/pulumi";
import { Role, type RoleArgs } from "./role";

/**
 * The services through which frontends and workers find each other (etcd) and workers publish the state of their KV
 * caches (NATS). Without units where discovery is by file.
 */
export class ControlPlane extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("ControlPlane", name, args, opts, (unit) => unit.name);
    this.registerOutputs({});
  }
}
