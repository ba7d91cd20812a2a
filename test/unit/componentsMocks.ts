/** Runs a Pulumi program with mocks and returns all registered resources, as seen by the engine. */
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import { vi } from "vitest";

/** The value of an unknown output in a preview; `runtime/rpc.ts` of the SDK. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** A resource as it was registered. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  /** Secrets are `{ secret: value }`. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Names of the resources that it depends on. */
  readonly dependsOn: readonly string[];
  /** Names of the resources of whose outputs this property depends. */
  readonly dependenciesOf: (property: string) => readonly string[];
  readonly ignoreChanges: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly deleteBeforeReplace: boolean;
  /** Names of the hooks that run before an update. */
  readonly beforeUpdate: readonly string[];
}

/** Standard input of a command, secret or not. */
export function stdinOf({ inputs }: Registered): Record<string, unknown> {
  const { stdin } = inputs;
  const isSecret = typeof stdin === "object" && stdin !== null && "secret" in stdin;
  return JSON.parse(String(isSecret ? stdin.secret : stdin));
}

export interface Run<T> {
  readonly result: T;
  readonly resources: readonly Registered[];
  /** The resource with that name. */
  readonly named: (name: string) => Registered;
}

/** The random suffix of the mocked provider. */
export const SUFFIX = "x7k2m9";

/** The mocked driver's result for a launched SkyPilot cluster. */
export const LAUNCHED = {
  headAddress: "10.0.0.1",
  endpoint: "http://203.0.113.7:8000",
  clusterHash: "b3f1",
};

/** The same for its nodes. */
export const GIVEN = {
  certificate: { authority: "PEM of the authority", fingerprint: "AB:CD", publicKeyPin: "sha256//pin" },
};

const RESULTS: readonly (readonly [verb: string, result: object])[] = [
  ["sky launch", LAUNCHED],
  ["sky nodes", GIVEN],
];

function stdoutOf(inputs: Readonly<Record<string, unknown>>): string {
  const [, result] = RESULTS.find(([verb]) => String(inputs["create"]).endsWith(verb)) ?? [];
  return result === undefined ? "" : `${JSON.stringify(result)}\n`;
}

/** Mocks of the providers, as far as the components use them. Anything else throws. */
export function mocks(preview: boolean): pulumi.runtime.Mocks {
  return {
    newResource({ type, name, inputs, custom }) {
      if (custom === false) return { id: undefined, state: inputs };
      const id = preview ? undefined : `${name}-id`;
      if (type === "random:index/randomString:RandomString") {
        return { id, state: preview ? inputs : { ...inputs, result: SUFFIX } };
      }
      if (type === "command:local:Command") {
        const done = {
          ...inputs,
          stdout: stdoutOf(inputs),
          stderr: "",
        };
        return { id, state: preview ? inputs : done };
      }
      if (type === "random:index/randomPassword:RandomPassword") {
        return { id, state: preview ? inputs : { ...inputs, result: `value-of-${name}` } };
      }
      throw new Error(`resource ${name} is of type ${type}, which is not mocked`);
    },
    call({ token }) {
      throw new Error(`function ${token} is called, which is not mocked`);
    },
  };
}

/**
 * Runs `program` as an update, or as a preview in which nothing exists yet. Resolves when all resources are
 * registered.
 */
export async function runOnMocks<T>(
  mode: "preview" | "update",
  program: () => T | Promise<T>,
): Promise<Run<T>> {
  const preview = mode === "preview";
  await pulumi.runtime.setMocks(mocks(preview), "dynamo-sky", "dev", preview);
  // The SDK's mocks do not support hooks.
  Object.assign(MockMonitor.prototype, {
    registerResourceHook: (_request: unknown, done: (error: null, response: unknown) => void) =>
      done(null, {}),
  });
  const spy = vi.spyOn(MockMonitor.prototype, "registerResource");
  try {
    const result = await program();
    await pulumi.runtime.disconnect();
    const resources = spy.mock.calls.map(([request]) => registered(request));
    const named = (name: string): Registered => {
      const [found, ...more] = resources.filter((resource) => resource.name === name);
      if (found !== undefined && more.length === 0) return found;
      throw new Error(`not one resource is called ${name}: ${resources.map((r) => r.name).join(", ")}`);
    };
    return { result, resources, named };
  } finally {
    spy.mockRestore();
  }
}

/** The fields read of the request message of `registerResource`. */
interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getObject(): { toJavaScript(): Record<string, unknown> };
  getDependenciesList(): string[];
  getPropertydependenciesMap(): { get(key: string): { getUrnsList(): string[] } | undefined };
  getIgnorechangesList(): string[];
  getAdditionalsecretoutputsList(): string[];
  getDeletebeforereplace(): boolean;
  getHooks(): { getBeforeUpdateList(): string[] } | undefined;
}

function registered(request: RegisterRequest): Registered {
  return {
    type: request.getType(),
    name: request.getName(),
    parent: nameOf(request.getParent()),
    inputs: unwrapped(request.getObject().toJavaScript()) as Record<string, unknown>,
    dependsOn: request.getDependenciesList().map(nameOf).toSorted(),
    dependenciesOf: (property) =>
      (request.getPropertydependenciesMap().get(property)?.getUrnsList() ?? []).map(nameOf).toSorted(),
    ignoreChanges: request.getIgnorechangesList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    deleteBeforeReplace: request.getDeletebeforereplace(),
    beforeUpdate: request.getHooks()?.getBeforeUpdateList() ?? [],
  };
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

function unwrapped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrapped);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value);
  if (entries.some(([key, part]) => key === SECRET_SIGNATURE && part === SECRET)) {
    return { secret: unwrapped(entries.find(([key]) => key === "value")?.[1]) };
  }
  return Object.fromEntries(entries.map(([key, part]) => [key, unwrapped(part)]));
}

/** The value of an output; fails if it is unknown. */
export function known<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the output did not become known within 5 s")), 5000);
    output.apply((value) => {
      clearTimeout(timer);
      resolve(value as T);
    });
  });
}
