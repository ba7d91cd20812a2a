/** When an operator takes a stack down, or its workers, and brings them back. */
import { describe, expect, it, vi } from "vitest";
import type { Action } from "../../cli/operate/journal";
import type { ConfigInput } from "../../config/schema";
import { stackOutputs } from "../outputs";
import {
  byOwnClock,
  DECODE,
  decided,
  fails,
  operate,
  ScriptedStack,
  START,
  texts,
  UP,
} from "./operatorScene";

byOwnClock();

describe("going down at night", () => {
  const night: ConfigInput = {
    ...DECODE,
    schedule: [
      { at: "0 9 * * *", zone: "UTC" },
      { at: "0 10 * * *", zone: "UTC", down: true },
    ],
  };

  it("is tried until it has worked, also where it has stopped half-way", async () => {
    const stack = new ScriptedStack();
    stack.note("update", "before the night");
    vi.setSystemTime(START + 1000);
    let tries = 0;
    stack.onUpdate = () => {
      tries += 1;
      // Half-way, Pulumi has the outputs of before and after.
      stack.outputsNow = { ...UP, asleep: "2026-11-25T10:00:01Z" };
      if (tries < 8) fails("the cloud does not answer")();
      const { endpoint: _, ...gone } = stack.outputsNow;
      stack.outputsNow = gone;
    };
    // The person's update was before ten o'clock.
    stack.past = stack.past.map((one) => ({ ...one, started: new Date(START - 1000) }));
    const told = await operate(stack, { looks: 600, config: () => night });
    expect(texts(told, "sleep")).toEqual(["schedule: 0 10 * * * UTC takes it down"]);
    expect(texts(told, "failed")).toHaveLength(7);
    expect(stack.updates).toHaveLength(8);
    expect(stack.updates[7]?.env).toHaveProperty("DYNAMO_SKY_ASLEEP");
  });

  it("is left alone by a repair: what is lost half-way was meant to go", async () => {
    const stack = new ScriptedStack();
    stack.past = [{ kind: "update", message: "", started: new Date(START - 1000) }];
    stack.onUpdate = () => {
      stack.outputsNow = { ...UP, asleep: "2026-11-25T10:00:01Z" };
      fails("the cloud does not answer")();
    };
    const told = await operate(stack, {
      looks: 40,
      config: () => night,
      nodes: { lost: async () => ["main: the cluster is GONE"] },
    });
    expect(texts(told, "repair")).toEqual([]);
    expect(stack.updates.every(({ env }) => "DYNAMO_SKY_ASLEEP" in env)).toBe(true);
  });
});

describe("a stack whose workers are taken away when nobody asks", () => {
  const DOZES: ConfigInput = {
    ...DECODE,
    access: { gateway: true },
    idle: { afterMinutes: 1, then: "workers-down" },
  };
  const workers = { aggregated: 0, prefill: 1, decode: 2 };
  const none = { aggregated: 0, prefill: 0, decode: 0 };
  const place = {
    target: "local",
    infra: [] as string[],
    namespace: "dynamo",
    routerMode: "kv",
    task: "chat",
  } as const;
  const outputs = { endpoint: "http://127.0.0.1:8000", model: "m", replicas: { decode: 2 } };
  const awake = stackOutputs(outputs, { deployment: { ...place, workers } });
  const dozing = (since: string) =>
    stackOutputs({ ...outputs, workersDown: since }, { deployment: { ...place, workers: none } });

  /** As Pulumi has it after an update with these variables. */
  const carriedOut = (stack: ScriptedStack) => () => {
    const since = stack.updates.at(-1)?.env["DYNAMO_SKY_WORKERS_DOWN"];
    stack.outputsNow = since === undefined ? awake : dozing(since);
  };
  const told = (actions: readonly Action[]) =>
    actions.filter(({ kind }) => kind === "sleep" || kind === "wake").map(({ kind, text }) => [kind, text]);

  it("rests, is woken by the next request, and rests again", async () => {
    const stack = new ScriptedStack();
    stack.outputsNow = awake;
    stack.onUpdate = carriedOut(stack);
    let asked: Date | undefined;
    const actions = await operate(stack, {
      looks: 24,
      config: () => DOZES,
      nodes: { asked: async () => asked },
      before: (look) => {
        // One from before it rested wakes nobody.
        if (look === 3) asked = new Date();
        if (look === 12) asked = new Date();
      },
    });
    expect(told(actions)).toEqual([
      ["sleep", "no request for 1 minutes (idle.afterMinutes)"],
      ["wake", "a request came at 10:01:50"],
      ["sleep", "no request for 1 minutes (idle.afterMinutes)"],
    ]);
    expect(stack.updates.map(({ at }) => at)).toEqual([60, 110, 180]);
    expect(stack.updates[0]?.env).toMatchObject({
      DYNAMO_SKY_WORKERS_DOWN: "2026-11-25T10:01:00.000Z",
      DYNAMO_SKY_REPLICAS: JSON.stringify({ decode: 2 }),
    });
    expect(stack.updates[1]?.env).not.toHaveProperty("DYNAMO_SKY_WORKERS_DOWN");
  });

  it("is repaired as it rests, and not scaled", async () => {
    const stack = new ScriptedStack();
    const since = "2026-11-25T09:00:00.000Z";
    stack.outputsNow = dozing(since);
    const actions = await operate(stack, {
      looks: 3,
      config: () => DOZES,
      nodes: { lost: async () => ["main: frontend-0 is gone"], decision: decided(4) },
    });
    const repair = stack.updates.filter(({ message }) => message.includes("frontend-0"));
    expect(repair.length).toBeGreaterThan(0);
    expect(stack.updates.map(({ env }) => env["DYNAMO_SKY_WORKERS_DOWN"])).toEqual(
      stack.updates.map(() => since),
    );
    expect(texts(actions, "scale")).toEqual([]);
  });

  it("goes down altogether at the time of its schedule", async () => {
    const stack = new ScriptedStack();
    stack.past = [{ kind: "update", message: "", started: new Date(START - 3_600_000) }];
    stack.outputsNow = dozing("2026-11-25T09:30:00.000Z");
    const schedule = [{ at: "0 10 * * *", zone: "UTC", down: true }];
    await operate(stack, { looks: 1, config: () => ({ ...DOZES, schedule }) });
    expect(stack.updates).toMatchObject([{ env: { DYNAMO_SKY_ASLEEP: expect.any(String) } }]);
  });

  it.each([
    ["its workers", dozing("2026-11-25T09:00:00.000Z"), "DYNAMO_SKY_WORKERS_DOWN"],
    ["all of it", { asleep: "2026-11-25T09:00:00.000Z", replicas: { decode: 2 } }, "DYNAMO_SKY_ASLEEP"],
  ])("is taken down to its end by the next operator when one was killed: %s", async (_, now, variable) => {
    const stack = new ScriptedStack();
    stack.outputsNow = now;
    await operate(stack, { looks: 4, config: () => DOZES });
    // Once, and since the same time: who asked in between is not forgotten.
    expect(stack.updates).toMatchObject([{ env: { [variable]: "2026-11-25T09:00:00.000Z" } }]);
  });

  it("is brought up to its end after a failure, also when nobody asks again", async () => {
    const stack = new ScriptedStack();
    let isBroken = true;
    stack.outputsNow = dozing("2026-11-25T09:00:00.000Z");
    stack.onUpdate = () => {
      const { workersDown } = stack.outputsNow;
      stack.outputsNow = isBroken ? { ...awake, workersDown } : awake;
      if (isBroken) fails("no H100 is free")();
    };
    let asked: Date | undefined = new Date(START - 1000);
    const actions = await operate(stack, {
      looks: 8,
      config: () => DOZES,
      nodes: { asked: async () => asked },
      before: (look) => {
        if (look === 2) asked = undefined;
        if (look === 4) isBroken = false;
      },
    });
    expect(texts(actions, "wake")).toEqual(["a request came at 09:59:59"]);
    expect(stack.outputsNow).toBe(awake);
  });

  it("is brought up to its end by the next operator when one was killed", async () => {
    const stack = new ScriptedStack();
    stack.outputsNow = { ...awake, workersDown: "2026-11-25T09:00:00.000Z" };
    stack.onUpdate = carriedOut(stack);
    const actions = await operate(stack, { looks: 4, config: () => DOZES });
    expect(told(actions)).toEqual([["wake", "its workers have come back in part"]]);
    expect(stack.updates).toHaveLength(1);
  });

  it("says once that the gateway's node does not answer", async () => {
    const stack = new ScriptedStack();
    stack.outputsNow = dozing("2026-11-25T09:00:00.000Z");
    const asked = async () => {
      throw new Error("no route to host");
    };
    const actions = await operate(stack, { looks: 5, config: () => DOZES, nodes: { asked } });
    expect(texts(actions, "failed")).toEqual([
      "whether somebody has asked cannot be found out: no route to host",
    ]);
  });
});
