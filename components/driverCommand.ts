/** The only place that makes a `command.local.Command`: every trap of that resource is handled here, once. */
import { AsyncResource } from "node:async_hooks";
import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
// Not the package's index, which would also load the remote commands.
import { Command, Logging } from "@pulumi/command/local";
import * as pulumi from "@pulumi/pulumi";
import { packageRoot } from "../lib/root";
import { stableJson } from "../lib/stableJson";
import { keepSecretsOutOfDebugMessages } from "./debugMessages";
import { relayProgress } from "./progressRelay";

/** A verb of the driver, as `bin/dynamo-sky` takes it. */
export type DriverVerb =
  | "local lease"
  | "local release"
  | "local apply"
  | "local remove"
  | "ready"
  | "sky lease"
  | "sky launch"
  | "sky down";

/** Why something must be carried out again although nothing has changed. */
export interface Repair {
  /** What is lost, and when that was seen. */
  readonly reason: string;
  /** Whether it is lost itself, which is told; else something is lost on which it depends. */
  readonly isCause: boolean;
}

export interface DriverCommandArgs {
  /** Carried out on creation, and again whenever anything of these arguments has changed. */
  readonly apply: DriverVerb;
  /** Carried out on deletion, with the input of the last successful {@link apply}. Default: nothing to undo. */
  readonly remove?: DriverVerb;
  /** What the verbs read from standard input, as JSON. Never part of the command's text, so that no secret shows in `ps`. */
  readonly input: pulumi.Input<Readonly<Record<string, unknown>>>;
  /** Whether {@link input} holds a secret: then the output of the command is treated as one too. Default: false. */
  readonly secretInput?: boolean;
  /** What cannot be changed in place: another value of any part makes a new thing and deletes the old one. Default: none. */
  readonly identity?: readonly pulumi.Input<string>[];
  /** Makes the new thing before the old one is deleted; it must bear another name then. Default: the old one goes first. */
  readonly createFirst?: boolean;
  /** What must have happened anew for this to be carried out again although its input is the same. Default: nothing. */
  readonly basis?: pulumi.Input<string>;
  /** Why it must be carried out again although nothing has changed; see `repair.ts`. Default: it need not be. */
  readonly repair?: Repair | undefined;
}

/** Environment entry that holds the reason of a repair. Only its change matters, the driver does not read it. */
export const OBSERVED = "DYNAMO_SKY_OBSERVED";
/** Environment entry that holds {@link DriverCommandArgs.basis}. */
export const BASIS = "DYNAMO_SKY_BASIS";
const HEALTHY = "healthy";
const TYPE = "command:local:Command";

/** A command resource that calls the driver, and the digest of what it was given. */
export class DriverCommand {
  readonly resource: Command;
  /** Changes whenever the driver was called again because of its input or its basis, or because the resource was replaced. */
  readonly digest: pulumi.Output<string>;
  /** Another value for each instance: a replacement has a new one, an update keeps it. */
  readonly instance: pulumi.Output<string>;

  constructor(name: string, args: DriverCommandArgs, opts: pulumi.CustomResourceOptions) {
    keepSecretsOutOfDebugMessages();
    const urn = pulumi.createUrn(name, TYPE, opts.parent);
    let endRelay: () => void = () => undefined;
    // While its input is being made, the command cannot have started.
    const stdin = pulumi.output(args.input).apply((input) => {
      const text = stableJson(input);
      endRelay = relayProgress({ verb: args.apply, input: text, urn });
      return text;
    });
    const basis = pulumi.output(args.basis ?? "");
    this.resource = new Command(
      name,
      {
        create: driverText(args.apply),
        ...(args.remove === undefined ? {} : { delete: driverText(args.remove) }),
        stdin: args.secretInput ? pulumi.secret(stdin) : stdin,
        environment: {
          // The entry is always there, so that `ignoreChanges` has something to put the old value in the place of.
          [OBSERVED]: args.repair?.reason ?? HEALTHY,
          ...(args.basis === undefined ? {} : { [BASIS]: args.basis }),
        },
        // `triggers` always replace; anything else updates in place.
        ...(args.identity === undefined ? {} : { triggers: [...args.identity] }),
        // What it prints is its result, and in a failure the cause: Pulumi shows that by itself. `lib/progressRelay.ts` has the rest.
        logging: Logging.Stderr,
        // On by default: the whole output of the last run would become environment of the next, and a long one breaks it.
        addPreviousOutputInEnv: false,
      },
      pulumi.mergeOptions(opts, {
        // The old one's deletion must not hit the new one, which usually has the same name.
        deleteBeforeReplace: args.createFirst !== true,
        ignoreChanges: args.repair === undefined ? [`environment.${OBSERVED}`] : [],
        additionalSecretOutputs: args.secretInput ? ["stdout", "stderr"] : [],
        ...(args.repair?.isCause === true ? { hooks: { beforeUpdate: [warning(name, args.repair)] } } : {}),
      }),
    );
    this.resource.urn.apply(() => endRelay());
    this.instance = this.resource.id;
    // `up --replace` makes a new one with the same input.
    this.digest = pulumi.all([stdin, basis, this.instance]).apply(digestOf);
  }
}

/**
 * Says why a resource is changed, since a preview shows its environment only with `--diff`. As a hook of updates, because at the first one
 * nothing is there yet and nothing was lost.
 */
function warning(name: string, { reason }: Repair): pulumi.ResourceHook {
  const warn = ({ urn }: pulumi.ResourceHookArgs) => {
    // The resource itself is known by its URN only when the engine is through with it, which waits for this hook.
    void pulumi.log.warn(`${reason}: an update repairs it.`, { urn: pulumi.output(urn) } as pulumi.Resource);
  };
  // Hooks are called from elsewhere, where the SDK does not know which engine an inline program belongs to.
  return new pulumi.ResourceHook(`${name}-repair`, AsyncResource.bind(warn), { onDryRun: true });
}

/** A short text that differs when any of the parts does. */
export function digestOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/**
 * The shell text that calls the driver. It is the same in every clone and on every machine, because it names the
 * package relative to the project's directory, in which Pulumi runs commands; `DYNAMO_SKY_ROOT` overrides that.
 */
export function driverText(verb: DriverVerb, project = process.cwd(), root = packageRoot()): string {
  const path = relativePackageRoot(project, root).replace(/[\\"$`}]/g, "\\$&");
  return `"\${DYNAMO_SKY_ROOT:-${path}}/bin/dynamo-sky" ${verb}`;
}

/**
 * How to reach the package's directory from a project: by the name under which it is installed where there is one
 * (a package manager may keep the files elsewhere, under a path that holds the version), else by the relative path.
 */
export function relativePackageRoot(project: string, root: string): string {
  const target = realpathSync(root);
  for (let directory = realpathSync(project); ; directory = dirname(directory)) {
    const installed = join(directory, "node_modules", "dynamo-sky");
    if (existsSync(installed) && realpathSync(installed) === target) return relative(project, installed);
    if (directory === dirname(directory)) break;
  }
  return relative(realpathSync(project), target) || ".";
}
