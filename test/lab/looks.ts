/** What the verbs that look at a deployment say of a stack with two prefill and two decode workers. */
import { expect } from "vitest";
import type { LabStack } from "./labStack";

/** `verify`: the router uses caches, on distinct workers for prefill and decode. */
export async function expectVerified(stack: LabStack): Promise<void> {
  const { code, stderr, json } = await stack.verify();
  expect(code, stderr).toBe(0);
  expect(json).toMatchObject({ cacheAware: true, disaggregated: true });
  const programs = (of: "prefillProgram" | "decodeProgram") =>
    new Set(json.requests.map(({ [of]: name }) => name));
  // Which of them is the router's choice, by what each has to do.
  expect([...programs("prefillProgram")].join()).toMatch(/^prefill-[01](,prefill-[01])?$/);
  expect([...programs("decodeProgram")].join()).toMatch(/^decode-[01](,decode-[01])?$/);
  expect(Math.max(...json.requests.map(({ cachedBlocks = 0 }) => cachedBlocks))).toBeGreaterThan(10);
}

/** `status`: all workers are ready on both nodes. @param cluster Name of the SkyPilot cluster. */
export async function expectStatus(stack: LabStack, cluster: string): Promise<void> {
  const { code, stdout, stderr } = await stack.look("status");
  expect(code, `${stderr}${stdout}`).toBe(0);
  const status: unknown = JSON.parse(stdout);
  const running = { state: "running", restarts: 0 };
  expect(status).toMatchObject({
    healthy: true,
    roles: [
      { role: "prefill", ready: 2, wanted: 2 },
      { role: "decode", ready: 2, wanted: 2 },
    ],
    clusters: [
      { cluster, status: "UP", job: { status: "RUNNING" }, nodes: [{ problem: null }, { problem: null }] },
    ],
  });
  expect(status).toHaveProperty("clusters.0.nodes.1.programs.0", expect.objectContaining(running));
  expect(status).toHaveProperty("requests.total.requests", expect.any(Number));
}

/** `logs`: the last lines of both decode workers. */
export async function expectLogs(stack: LabStack): Promise<void> {
  const { code, stdout, stderr } = await stack.look("logs", "--role", "decode", "--tail", "3");
  expect(code, stderr).toBe(0);
  const lines: { readonly program: string }[] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(new Set(lines.map(({ program }) => program))).toEqual(new Set(["decode-0", "decode-1"]));
  expect(lines).toHaveLength(6);
}
