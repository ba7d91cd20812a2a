/** What the state of a stack tells the commands. */
import { describe, expect, it } from "vitest";
import { isExported, outputsIn } from "../../cli/pulumi/exported";
import { DEPLOYMENT_TYPE, outputsSchema, stateMark } from "../../plan/outputs";
import { exported, stackOutputs } from "../outputs";

const shown = { endpoint: "http://x", model: "m" };
const STACK = { type: "pulumi:pulumi:Stack", urn: "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev" };
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

const cluster = (name: string, outputs: object) => ({
  type: DEPLOYMENT_TYPE,
  urn: `urn:pulumi:dev::p::${DEPLOYMENT_TYPE}::${name}`,
  outputs,
});
const state = (...resources: object[]) => ({ version: 3, deployment: { resources } });

describe("the outputs in a state", () => {
  it("are those of the DynamoCluster, with a program that exports none", () => {
    const topology = [{ name: "main", cluster: "c-1", nodes: [{ rank: 0, programs: [] }] }];
    const outputs = outputsIn(exported(stackOutputs(shown, { engine: "vllm", topology })));
    const { deployment, endpoint, model } = outputsSchema.parse(outputs);
    expect({ endpoint, model }).toEqual(shown);
    expect(deployment).toMatchObject({ engine: "vllm", topology, logs: {}, prices: {} });
  });

  it("and of the stack, which says what operates it", () => {
    const replicas = { decode: 2 };
    const outputs = outputsIn(
      state({ ...STACK, outputs: { replicas, model: "other" } }, cluster("chat", { model: "m" })),
    );
    expect(outputs).toEqual({ replicas, model: "m" });
  });

  it("have the endpoint of before where it fell asleep in part, and none where it is asleep", () => {
    const asleep = cluster("chat", { address: "" });
    expect(outputsIn(state({ ...STACK, outputs: { endpoint: "http://x" } }, asleep))).toEqual({
      endpoint: "http://x",
    });
    expect(outputsIn(state({ ...STACK, outputs: { asleep: "2027" } }, asleep))).toEqual({ asleep: "2027" });
  });

  it("hold a secret only if it was asked for", () => {
    const hidden = { ...SECRET, ciphertext: "v1:abc" };
    const known = { ...SECRET, plaintext: JSON.stringify({ default: "key" }) };
    expect(outputsIn(state(cluster("chat", { apiKey: hidden, apiKeys: known })))).toEqual({
      apiKey: "[secret]",
      apiKeys: { default: "key" },
    });
  });

  it("are none of a stack of which nothing is left, nor of what is to be deleted", () => {
    expect(outputsIn({ version: 3, deployment: {} })).toEqual({});
    expect(outputsIn({ version: 3, deployment: { resources: null } })).toEqual({});
    expect(outputsIn(state({ ...cluster("chat", shown), delete: true }))).toEqual({});
  });

  it("are not told of one of several deployments", () => {
    expect(() => outputsIn(state(cluster("chat", {}), cluster("code", {})))).toThrow(
      "The stack has several deployments: chat, code.",
    );
  });
});

it.each([null, [], {}, { deployment: 1 }, stackOutputs(shown)])("a state is not %j", (value) => {
  expect(isExported(value)).toBe(false);
});

it.each([undefined, "dynamo-sky/1 {}", { target: "local" }])(
  "a deployment of another version is refused: %j",
  (deployment) => {
    expect(outputsSchema.safeParse({ ...shown, deployment }).success).toBe(false);
  },
);

describe("the mark by which an operator decides", () => {
  const up = { endpoint: "http://x", look: "status", replicas: { decode: 2, prefill: 1 } };

  it.each([
    {},
    { ...up, look: undefined },
    { ...up, asleep: "2027-03-01T00:00:00Z" },
    { ...up, workersDown: "2027-03-01T00:00:00Z" },
    { ...up, replicas: { decode: 3, prefill: 1 } },
  ])("is another one of %j", (outputs) => {
    expect(stateMark(outputs)).not.toBe(stateMark(up));
  });

  it("is that of the stack's own outputs: what its DynamoCluster has told since does not count", () => {
    const replicas = { prefill: 1, decode: 2 };
    expect(stateMark({ look: "status", replicas })).toBe(stateMark({ ...up, apiKey: "other" }));
  });
});

it("what cannot be read of the cost is not known", () => {
  expect(outputsSchema.parse({ ...stackOutputs(shown), cost: "much" }).cost).toBeUndefined();
});
