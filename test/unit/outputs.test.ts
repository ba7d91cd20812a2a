/** The outputs of a stack: one screen for users, one text for commands. */
import { describe, expect, it } from "vitest";
import { detailsText, outputsSchema } from "../../plan/outputs";
import { stackOutputs } from "../outputs";

const shown = { endpoint: "http://x", model: "m", chat: "curl" };

describe("the text for commands", () => {
  it("comes back as it went", () => {
    const topology = [{ name: "main", cluster: "c-1", nodes: [{ rank: 0, programs: [] }] }];
    const { deployment } = outputsSchema.parse(stackOutputs(shown, { engine: "vllm", topology }));
    expect(deployment).toMatchObject({ engine: "vllm", topology, logs: {}, prices: {} });
  });

  it("is one line, and no JSON: Pulumi would print that over a hundred lines", () => {
    const { deployment } = stackOutputs(shown);
    expect(String(deployment)).not.toContain("\n");
    expect(() => JSON.parse(String(deployment))).toThrow();
  });

  it.each([
    ["", undefined],
    ["another form", "dynamo-sky/2 {}"],
    ["something that is not whole", `${detailsText({} as never).slice(0, -1)}`],
    ["something else", { target: "local" }],
  ])("is refused when it is %s", (_, deployment) => {
    expect(outputsSchema.safeParse({ ...shown, deployment }).success).toBe(false);
  });
});

it("what cannot be read of the cost is not known", () => {
  expect(outputsSchema.parse({ ...stackOutputs(shown), cost: "much" }).cost).toBeUndefined();
});
