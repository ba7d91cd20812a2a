/** Common parts of all verbs of `dynamo-sky`: descriptions and shared options. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, Help, Option } from "@commander-js/extra-typings";
import { packageRoot } from "../lib/root";
import { fromCaller, seconds } from "./commandLine";
import { type PolicyPackChoice, policyPackChoices } from "./pulumi/policyPacks";
import { missingStack } from "./pulumi/project";

/**
 * A verb.
 * @param description What it does, printed before its options.
 * @param exits Its exit codes, from `exitCodes`, and further notes, printed after its options.
 */
export function verb(name: string, description: string, exits: string) {
  const command = new Command(name);
  return (
    command
      .description(description)
      .configureOutput({
        outputError: (text, write) => write(NO_STACK.test(text) ? `${missingStackOf(command)}\n` : text),
      })
      .helpOption("-h, --help", "print this")
      .configureHelp({ helpWidth: HELP_WIDTH, optionDescription: aboutOption })
      .addHelpText("after", `\n${exits}`)
      // The caller exits the process, with the exit codes of all commands.
      .exitOverride()
  );
}

export const HELP_WIDTH = 130;

/** Commander's error for {@link NEEDED_STACK}, which does not say what stacks there are. */
const NO_STACK = /^error: required option '-s, --stack <name>' not specified/;

function missingStackOf(command: { readonly opts: () => object }): string {
  const { cwd } = command.opts() as { readonly cwd?: string };
  return missingStack(cwd ?? usualProject());
}

/** As Commander has it, but for flags, of which everybody knows that they are off by default. */
function aboutOption(option: Option): string {
  return new Help().optionDescription(option).replace(/ ?\(default: false\)$/, "");
}

/** Default directory of Pulumi.yaml: the working directory if it has one, else this package's. */
function usualProject(): string {
  const here = fromCaller(".");
  return existsSync(join(here, "Pulumi.yaml")) ? here : packageRoot();
}

const stack = (which: string) =>
  new Option("-s, --stack <name>", `${which}; its configuration is Pulumi.NAME.yaml`);

/** The stack, for verbs that require one. */
export const NEEDED_STACK = stack("the stack, required").makeOptionMandatory();

/** The stack, for verbs that also accept {@link STATE}. */
export const STACK = stack("the stack");

export const CWD = new Option("-C, --cwd <dir>", "directory of Pulumi.yaml")
  .default(usualProject(), "here")
  .argParser(fromCaller);

export const STATE = new Option(
  "--state <file>",
  "instead of --stack: the stack's state, as 'pulumi stack export' prints it; - is standard input",
);

/** `--json`, with the shape of the output. */
export function json(shape: string) {
  return new Option("--json", `print JSON: ${shape}`).default(false);
}

/** `--timeout`, in seconds. */
export function timeout(usual: number, about = "give up after this many seconds") {
  return new Option("--timeout <s>", about)
    .default(usual)
    .argParser((written: string) => seconds("--timeout", written));
}

/** For an option that may be repeated. */
export function collect(written: string, before: string[] | undefined): string[] {
  return [...(before ?? []), written];
}

export const POLICY_PACK = new Option(
  "--policy-pack <dir>",
  "what the stack has to keep to; this repository's is observability/policy; repeatable",
).argParser<string[] | undefined>(collect);

export const POLICY_PACK_CONFIG = new Option(
  "--policy-pack-config <file>",
  "settings of the policies as JSON, one file for each pack, in the same order; repeatable",
).argParser<string[] | undefined>(collect);

/** The packs that these options name. @throws UsageProblem if there is one that cannot be read. */
export function policiesOf(given: {
  readonly policyPack?: string[] | undefined;
  readonly policyPackConfig?: string[] | undefined;
}): PolicyPackChoice[] {
  return policyPackChoices(given.policyPack ?? [], given.policyPackConfig ?? []);
}
