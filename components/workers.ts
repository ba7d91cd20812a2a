/** The engine's processes: one component per role, one unit per replica. */
import type * as pulumi from "@pulumi/pulumi";
import { byReplica, Role, type RoleArgs } from "./role";

/** Workers that serve whole requests (role `aggregated`). */
export class Workers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Workers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}

/** Workers that process prompts (role `prefill`) and transfer the KV cache to a decode worker. */
export class PrefillWorkers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("PrefillWorkers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}

/** Workers that generate tokens (role `decode`) from a prefill worker's KV cache. */
export class DecodeWorkers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("DecodeWorkers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}

/** Workers that encode images (role `encode`) for the workers that process the prompt. */
export class EncodeWorkers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("EncodeWorkers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}
