/** The only place that creates a `command.local.Command`; handles all pitfalls of that resource. */
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

/** A verb of the driver, as an argument of `bin/dynamo-sky`. */
export type DriverVerb =
  | "local lease"
  | "local release"
  | "local apply"
  | "local remove"
  | "ready"
  | "sky lease"
  | "sky launch"
  | "sky nodes"
  | "sky apply"
  | "sky remove"
  | "sky down";

/** Why a command must run again although nothing has changed. */
export interface Repair {
  /** What is missing, and when that was observed. */
  readonly reason: string;
  /** Whether this resource itself is affected, which is reported; otherwise one of its dependencies is. */
  readonly isCause: boolean;
}

/** Arguments of {@link DriverCommand}. */
export interface DriverCommandArgs {
  /** Runs on creation, and again whenever any of these arguments changes. */
  readonly apply: DriverVerb;
  /** Runs on deletion, with the input of the last successful {@link apply}. Default: nothing to undo. */
  readonly remove?: DriverVerb;
  /** Standard input of the verbs, as JSON. Never part of the command line, so that `ps` shows no secret. */
  readonly input: pulumi.Input<Readonly<Record<string, unknown>>>;
  /**
   * Whether {@link input} holds a secret: then the command's output is treated as a secret too. Default:
   * false.
   */
  readonly secretInput?: boolean;
  /** Values that cannot change in place: a change replaces the resource. Default: none. */
  readonly identity?: readonly pulumi.Input<string>[];
  /**
   * Creates the replacement before deleting the old resource; it must have another name then. Default: delete
   * first.
   */
  readonly createFirst?: boolean;
  /** The command runs again if this changes, even if its input is the same. Default: nothing. */
  readonly basis?: pulumi.Input<string>;
  /** Why the command must run again although nothing has changed; see `repair.ts`. Default: no repair. */
  readonly repair?: Repair | undefined;
}

/** Environment variable with the reason of a repair. Only its change matters; the driver does not read it. */
export const OBSERVED = "DYNAMO_SKY_OBSERVED";
/** Environment variable with {@link DriverCommandArgs.basis}. */
const BASIS = "DYNAMO_SKY_BASIS";
const HEALTHY = "healthy";
const TYPE = "command:local:Command";

/** A command resource that calls the driver, and a digest of its input. */
export class DriverCommand {
  readonly resource: Command;
  /**
   * Changes whenever the driver was called again because of its input or basis, or because the resource was
   * replaced.
   */
  readonly digest: pulumi.Output<string>;
  /** Unique to the resource instance: changes on a replacement, not on an update. */
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
          // Always set, so that `ignoreChanges` has an entry to replace with the old value.
          [OBSERVED]: args.repair?.reason ?? HEALTHY,
          ...(args.basis === undefined ? {} : { [BASIS]: args.basis }),
        },
        // `triggers` always replace; all other changes update in place.
        ...(args.identity === undefined ? {} : { triggers: [...args.identity] }),
        // Progress goes through `lib/progressRelay.ts`. Standard output has the result, or the cause of a
        // failure, which Pulumi shows by itself.
        logging: Logging.Stderr,
        // On by default: the whole output of the last run would become an environment variable of the next
        // run, which fails if it is long.
        addPreviousOutputInEnv: false,
      },
      pulumi.mergeOptions(opts, {
        // Deleting the old resource must not affect the new one, which usually has the same name.
        deleteBeforeReplace: args.createFirst !== true,
        ignoreChanges: args.repair === undefined ? [`environment.${OBSERVED}`] : [],
        additionalSecretOutputs: args.secretInput ? ["stdout", "stderr"] : [],
        ...(args.repair?.isCause === true ? { hooks: { beforeUpdate: [warning(name, args.repair)] } } : {}),
      }),
    );
    this.resource.urn.apply(() => endRelay());
    this.instance = this.resource.id;
    // `up --replace` creates a new instance with the same input.
    this.digest = pulumi.all([stdin, basis, this.instance]).apply(digestOf);
  }
}

/**
 * Warns why a resource is updated, since a preview shows its environment only with `--diff`. A hook of
 * updates only, because there is nothing to repair at creation.
 */
function warning(name: string, { reason }: Repair): pulumi.ResourceHook {
  const warn = ({ urn }: pulumi.ResourceHookArgs) => {
    // The resource's URN is only known after the engine has finished with it, which waits for this hook.
    void pulumi.log.warn(`${reason}: an update repairs it.`, { urn: pulumi.output(urn) } as pulumi.Resource);
  };
  // The SDK calls hooks outside the async context that identifies the engine of an inline program.
  return new pulumi.ResourceHook(`${name}-repair`, AsyncResource.bind(warn), { onDryRun: true });
}

/** A short digest of the parts. */
export function digestOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/**
 * The shell command that calls the driver. Identical in every clone and on every machine, because it names
 * the package relative to the project's directory, where Pulumi runs commands; `DYNAMO_SKY_ROOT` overrides
 * that.
 */
export function driverText(verb: DriverVerb, project = process.cwd(), root = packageRoot()): string {
  const path = relativePackageRoot(project, root).replace(/[\\"$`}]/g, "\\$&");
  return `"\${DYNAMO_SKY_ROOT:-${path}}/bin/dynamo-sky" ${verb}`;
}

/**
 * Path of the package's directory from a project: by its installed name if there is one (a package manager
 * may keep the files elsewhere, in a path with the version), else the relative path.
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
