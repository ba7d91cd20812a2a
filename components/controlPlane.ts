/** etcd and NATS. */
import type * as pulumi from "@pulumi/pulumi";
import { Role, type RoleArgs } from "./role";

/**
 * Service discovery for frontends and workers (etcd) and the KV cache events of workers (NATS). Has no units
 * with file discovery.
 */
export class ControlPlane extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("ControlPlane", name, args, opts, (unit) => unit.name);
    this.registerOutputs({});
  }
}
