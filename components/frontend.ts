/** The OpenAI-compatible endpoint. */
import type * as pulumi from "@pulumi/pulumi";
import { byReplica, Role, type RoleArgs } from "./role";

/** Dynamo's frontends, each with an embedded router. */
export class Frontend extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Frontend", name, args, opts, (unit) => (unit.role === "frontend" ? byReplica(unit) : unit.name));
    this.registerOutputs({});
  }
}
