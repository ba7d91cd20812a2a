/**
 * Stand-in for the plugin of `@pulumi/command`: `command:local:Command`, with the inputs that this program
 * sets.
 *
 * What it has to do is given by
 * https://github.com/pulumi/pulumi-command/blob/v1.2.1/provider/pkg/provider/local/commandController.go and
 * by the framework that the official plugin is built on:
 * https://github.com/pulumi/pulumi-go-provider/blob/v1.3.0/infer/resource.go
 */
import { randomBytes } from "node:crypto";
import { version } from "@pulumi/command/package.json";
import { type Difference, difference, sameValue } from "../rpc/diff";
import { isUnknown, type PropertyMap, UNKNOWN } from "../rpc/properties";
import type { Call, DiffResult, Provider } from "../rpc/server";
import { checkInputs, FIELDS, NOT_HERE, readRunInputs, readText } from "./inputs";
import { run } from "./run";

const COMMAND = "command:local:Command";
/** Outputs that are not inputs as well. */
const OUTPUTS = ["stdout", "stderr"] as const;

/** What is said of that which this stand-in does not have. */
function notHere(what: string): Error {
  return new Error(
    `'${what}' is not available: this pulumi-resource-command is a stand-in for machines where the official ` +
      `plugin cannot be downloaded, and has only '${COMMAND}' without ${NOT_HERE.join(", ")}. ` +
      `Where it can be downloaded: pulumi plugin install resource command ${version}`,
  );
}

/** @throws for every type that this stand-in does not support. */
function refuseOthers(type: string): void {
  if (type !== COMMAND) throw notHere(type);
}

export const commandProvider: Provider = {
  version,

  check: (call, news) => {
    refuseOthers(call.type);
    const absent = NOT_HERE.find((name) => news[name] !== undefined);
    if (absent !== undefined) throw notHere(absent);
    return { inputs: news, failures: checkInputs(news) };
  },

  diff: (call, oldInputs, oldState, news, ignoreChanges): DiffResult => {
    refuseOthers(call.type);
    const inputs = withIgnored(oldState, news, ignoreChanges);
    const own = Object.entries(inputs).filter(([name]) => name !== "version" && !name.startsWith("__"));
    const changes = difference(oldInputs, Object.fromEntries(own));
    return { changes, replaces: replacesOf(changes), detailed: true };
  },

  create: async (call, inputs, preview) => {
    refuseOthers(call.type);
    const id = call.name + randomBytes(4).toString("hex");
    if (preview) return { id, properties: { ...inputs, stdout: UNKNOWN, stderr: UNKNOWN } };
    const outputs = { stdout: "", stderr: "" };
    const command = readText(inputs, "create");
    return { id, properties: { ...inputs, ...(await runFor(call, command, inputs, outputs)) } };
  },

  update: async (call, state, news, preview, ignoreChanges) => {
    refuseOthers(call.type);
    const inputs = withIgnored(state, news, ignoreChanges);
    const outputs = pick(state, OUTPUTS);
    if (preview) return { ...inputs, ...previewOutputs(state, inputs, outputs) };
    return { ...inputs, ...(await runFor(call, readText(inputs, "create"), inputs, outputs)) };
  },

  delete: async (call, state) => {
    refuseOthers(call.type);
    await runFor(call, readText(state, "delete"), state, pick(state, OUTPUTS));
  },

  invoke: async (call) => {
    throw notHere(call.type);
  },
};

/** Runs a command, if there is one, and returns the resource's outputs. */
async function runFor(
  call: Call,
  command: string | undefined,
  inputs: PropertyMap,
  outputs: PropertyMap,
): Promise<PropertyMap> {
  if (command === undefined) return outputs;
  const printed = await run(call, command, readRunInputs(inputs), {
    stdout: readText(outputs, "stdout") ?? "",
    stderr: readText(outputs, "stderr") ?? "",
  });
  return { ...outputs, ...printed };
}

/** Outputs may depend on any input, so they are all unknown in a preview once one input has changed. */
function previewOutputs(state: PropertyMap, inputs: PropertyMap, outputs: PropertyMap): PropertyMap {
  const changed = Object.keys(FIELDS).some(
    (name) => isUnknown(inputs[name]) || (state[name] !== undefined && !sameValue(inputs[name], state[name])),
  );
  if (!changed) return outputs;
  return Object.fromEntries(Object.keys(outputs).map((name) => [name, UNKNOWN]));
}

/**
 * Only added or removed `triggers` cause a replacement here; for changed ones the SDK makes the engine do it
 * (`replaceOnChanges: ["triggers[*]"]`).
 */
function replacesOf(changes: Difference): ReadonlySet<string> {
  return new Set([...changes.keys()].filter((path) => path === "triggers"));
}

/**
 * The engine has already reverted ignored changes; the official plugin does it again for whole properties.
 */
function withIgnored(state: PropertyMap, news: PropertyMap, ignoreChanges: readonly string[]): PropertyMap {
  return { ...news, ...pick(state, ignoreChanges) };
}

function pick(properties: PropertyMap, names: readonly string[]): PropertyMap {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = properties[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
