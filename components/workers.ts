/** The engine's processes: one component a role, one unit a replica. */
import type * as pulumi from "@pulumi/pulumi";
import { byReplica, Role, type RoleArgs } from "./role";

/** Workers that carry out whole requests (role `aggregated`). */
export class Workers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Workers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}

/** Workers that read prompts (role `prefill`) and hand the KV cache on to a decode worker. */
export class PrefillWorkers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("PrefillWorkers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}

/** Workers that generate tokens (role `decode`) from a KV cache that a prefill worker has filled. */
export class DecodeWorkers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("DecodeWorkers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}

/** Workers that turn pictures into embeddings (role `encode`) for the workers that read the prompt. */
export class EncodeWorkers extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("EncodeWorkers", name, args, opts, byReplica);
    this.registerOutputs({});
  }
}
