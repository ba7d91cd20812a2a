/** Distribution of requests over the workers. */
import * as pulumi from "@pulumi/pulumi";

/** Arguments of {@link Router}. */
export interface RouterArgs {
  /** Dynamo's router mode: `kv`, `round-robin`, … */
  readonly mode: string;
}

/**
 * The router. In Dynamo it is part of the frontend's process; it is a component so that the resource graph
 * shows its mode, and a preview shows changes of it.
 */
export class Router extends pulumi.ComponentResource {
  /** Dynamo's router mode. */
  readonly mode: pulumi.Output<string>;

  constructor(name: string, args: RouterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("dynamo-sky:index:Router", name, { mode: args.mode }, opts);
    this.mode = pulumi.output(args.mode);
    this.registerOutputs({ mode: this.mode });
  }
}
