/** Who decides how many workers there are. */
import type * as pulumi from "@pulumi/pulumi";
import { Role, type RoleArgs } from "./role";

/** NVIDIA's planner. Nothing depends on it: without it the number of workers stays as it is. */
export class Planner extends Role {
  constructor(name: string, args: RoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Planner", name, args, opts, (unit) => unit.name);
    this.registerOutputs({});
  }
}
