/** What an operator does when something fails. */
import { describe, expect, it } from "vitest";
import { TRIES } from "../../cli/operate/updates";
import { OperationFailed, UsageProblem } from "../../cli/pulumi/problem";
import { CHANGED_SINCE, DECIDED_BY_VARIABLE } from "../../components/operated";
import type { ConfigInput } from "../../config/schema";
import { stateMark } from "../../plan/outputs";
import { byOwnClock, DECODE, decided, fails, operate, ScriptedStack, texts, UP } from "./operatorScene";

byOwnClock();

const FALLS_BACK: ConfigInput = {
  model: "Qwen/Qwen3-8B",
  placement: "dedicated",
  pools: [
    { role: "prefill", tensorParallel: 8 },
    { role: "decode", tensorParallel: 8, replicas: 2, spot: { use: true, fallback: true } },
  ],
  sky: { infra: "aws" },
};

describe("an operator", () => {
  it("carries a decision out once, within the bounds", async () => {
    const stack = new ScriptedStack();
    const replicas = { decode: 4 };
    stack.onUpdate = () => {
      stack.outputsNow = { ...UP, replicas };
    };
    const told = await operate(stack, { looks: 4, every: 90, nodes: { decision: decided(9) } });
    expect(texts(told, "scale")).toEqual(["the schedule asks for decode 2 → 4"]);
    expect(stack.updates).toMatchObject([{ env: { DYNAMO_SKY_REPLICAS: JSON.stringify(replicas) } }]);
  });

  it("goes on with what the stack's file said before while that is not valid, and says so once", async () => {
    const stack = new ScriptedStack();
    const invalid = { ...DECODE, modle: "x" } as ConfigInput;
    const told = await operate(stack, {
      looks: 4,
      config: (look) => (look === 0 ? DECODE : invalid),
      nodes: { lost: async () => ["main: node 0 does not run"] },
    });
    const [first, ...others] = texts(told, "failed");
    expect(first).toMatch(/^what the stack's file said before counts: .*modle/);
    // Told again after each action only.
    expect(others.length).toBeLessThanOrEqual(texts(told, "repair").length);
    expect(texts(told, "repair")[0]).toBe("main: node 0 does not run");
  });

  it("goes on when the stack's outputs could not be read, and says so once", async () => {
    const stack = new ScriptedStack();
    let reads = 0;
    const read = stack.outputs;
    stack.outputs = async () => {
      reads += 1;
      // The first one is before the first look.
      if (reads > 1 && reads < 4) throw new Error("no route to the bucket");
      return read();
    };
    const told = await operate(stack, { looks: 1 });
    expect(texts(told, "failed")).toEqual(["the stack's outputs cannot be read: no route to the bucket"]);
    expect(told.at(-1)?.text).toBe("cancelled; the stack stays as it is");
  });

  it("does not tell of what it could not find out, and knows at its next look", async () => {
    const stack = new ScriptedStack();
    const read = stack.outputs;
    let reads = 0;
    stack.outputs = async () => {
      reads += 1;
      if (reads === 2) throw new Error("the state is being written");
      return read();
    };
    let looks = 0;
    const busy = async <T>(answer: T): Promise<T> => {
      if (looks % 2 === 1) throw new Error("no answer within 30 s");
      return answer;
    };
    const told = await operate(stack, {
      looks: 6,
      before: (look) => (looks = look),
      config: (look) => (look % 2 === 1 ? ({ ...DECODE, modle: "x" } as ConfigInput) : DECODE),
      nodes: {
        lost: () => busy(looks === 4 ? ["main: node 0 does not run"] : []),
        decision: () => busy(undefined),
      },
    });
    expect(texts(told, "failed")).toEqual([]);
    expect(texts(told, "repair")).toEqual(["main: node 0 does not run"]);
  });

  it.each<[string, Parameters<typeof operate>[1], string]>([
    [
      "whether requests come",
      {
        looks: 8,
        config: () => ({ ...DECODE, idle: { afterMinutes: 30 } }),
        nodes: { count: async () => Promise.reject(new Error("no route to host")) },
      },
      "whether requests come cannot be found out: no route to host",
    ],
    [
      "which replicas are on demand",
      {
        looks: 8,
        config: () => FALLS_BACK,
        nodes: { onDemand: async () => Promise.reject(new Error("no route to host")) },
      },
      "which replicas are on demand cannot be found out: no route to host",
    ],
    [
      "what runs",
      { looks: 8, nodes: { lost: async () => Promise.reject(new Error("no route to host")) } },
      "what runs cannot be found out: no route to host",
    ],
  ])("tells that it never finds out %s, which not every look asks", async (_, scene, text) => {
    const told = await operate(new ScriptedStack(), { ...scene, driftEvery: 30 });
    expect(texts(told, "failed")).toEqual([text]);
  });

  it("tells that the stack's history can never be read before a repair, which not every look tries", async () => {
    const stack = new ScriptedStack();
    const history = async () => Promise.reject(new Error("no route to the bucket"));
    const nodes = { lost: async () => ["main: node 0 does not run"] };
    const told = await operate(Object.assign(stack, { history }), { looks: 8, driftEvery: 30, nodes });
    expect(texts(told, "failed")).toEqual([
      "whether somebody else has changed the stack cannot be found out: no route to the bucket",
    ]);
    expect(stack.updates).toEqual([]);
  });

  it("tells again of what it could find out meanwhile", async () => {
    let looks = 0;
    const lost = async () => {
      if (looks !== 4) throw new Error("no route to host");
      return [];
    };
    const told = await operate(new ScriptedStack(), {
      looks: 8,
      before: (look) => (looks = look),
      nodes: { lost },
    });
    const text = "what runs cannot be found out: no route to host";
    expect(texts(told, "failed")).toEqual([text, text]);
  });

  it("tells at once that a replica on demand cannot be given back", async () => {
    const told = await operate(new ScriptedStack(), {
      looks: 9,
      every: 3600,
      config: () => FALLS_BACK,
      nodes: {
        onDemand: async () => [{ name: "decode-1", cluster: "x-decode-1" }],
        giveBack: async () => Promise.reject(new Error("no such cluster")),
      },
    });
    const text = "decode-1, which is on demand, cannot be given back: no such cluster";
    // After one hour, then two, then four.
    expect(texts(told, "failed")).toEqual([text, text, text]);
  });

  it.each(["destroyed", "removed"])("ends when the stack is %s", async (how) => {
    const stack = new ScriptedStack();
    const told = await operate(stack, {
      looks: 9,
      before: (look) => {
        if (look !== 2) return;
        if (how === "destroyed") stack.outputsNow = {};
        else stack.outputs = async () => Promise.reject(new Error("error: no stack named 'scripted' found"));
      },
    });
    expect(told.at(-1)).toMatchObject({ kind: "stopped", text: "scripted was destroyed" });
    expect(texts(told, "failed")).toEqual([]);
  });

  it.each([
    ["never up", async () => Promise.reject(new Error("error: no stack named 'scripted' found"))],
    ["destroyed", async () => ({})],
  ])("does not start for a stack that is %s, and says how it comes up", async (_, outputs) => {
    const stack = new ScriptedStack();
    stack.outputs = outputs;
    await expect(operate(stack, { looks: 1 })).rejects.toThrow(
      "Stack scripted is not up. Start it with: pulumi up --stack scripted",
    );
  });
});

describe("what is lost", () => {
  const lost = { lost: async () => ["main: decode-0 is gone"] };

  it("is not repaired in a stack that was destroyed meanwhile, and that counts as no failure", async () => {
    const stack = new ScriptedStack();
    stack.onUpdate = () => {
      stack.outputsNow = {};
      throw new OperationFailed(CHANGED_SINCE);
    };
    const told = await operate(stack, { looks: 9, nodes: lost });
    expect(stack.updates).toMatchObject([{ env: { [DECIDED_BY_VARIABLE]: stateMark(UP) } }]);
    expect(told.map(({ kind }) => kind)).toEqual(["started", "hold", "stopped"]);
    expect(told.at(-1)?.text).toBe("scripted was destroyed");
  });

  it("is not repaired after a destroy that failed, until somebody has run up", async () => {
    const stack = new ScriptedStack();
    stack.note("update", "");
    stack.note("destroy", "");
    const told = await operate(stack, {
      looks: 6,
      nodes: lost,
      before: (look) => {
        if (look === 5) stack.note("update", "");
      },
    });
    expect(texts(told, "hold")).toEqual([
      "the last operation was `destroy`: nothing is done until it has ended, or `up` has",
    ]);
    expect(stack.updates).toMatchObject([{ at: 40, message: "operate: main: decode-0 is gone" }]);
  });

  it("is left to a person who has changed the stack since it was seen", async () => {
    const stack = new ScriptedStack();
    const seen = async () => {
      stack.outputsNow = { ...UP, replicas: { decode: 3 } };
      return ["main: decode-0 is gone"];
    };
    await operate(stack, { looks: 1, nodes: { lost: seen } });
    expect(stack.updates).toEqual([]);
  });

  it("is tried less and less often, then not at all until somebody has run up", async () => {
    const stack = new ScriptedStack();
    stack.onUpdate = fails("no H100 is free");
    const told = await operate(stack, {
      looks: 120,
      nodes: lost,
      before: (look) => {
        if (look === 100) stack.note("update", "A person's");
      },
    });
    const [first, second, ...rest] = stack.updates.map(({ at }) => at);
    const tries = [first ?? 0, second ?? 0, ...rest];
    const [last = 0, ...before] = tries.toReversed();
    expect(tries.slice(0, TRIES)).toEqual([0, 20, 50, 110, 230]);
    // After the person's update, at 990 s.
    expect(tries.length).toBeGreaterThan(TRIES);
    expect(before.filter((at) => at > 230 && at < 990)).toEqual([]);
    expect(last).toBeGreaterThan(990);
    const failed = texts(told, "failed");
    expect(failed[0]).toBe("main: decode-0 is gone: no H100 is free (tried again in 15 s)");
    expect(failed[TRIES - 1]).toContain("nothing is tried again until somebody has run `up`");
  });

  it("is not started again and again at full price when it is lost again at once", async () => {
    const stack = new ScriptedStack();
    await operate(stack, { looks: 90, nodes: lost });
    expect(stack.updates).toHaveLength(TRIES);
  });

  it("waits for an update that holds the lock, says so once, and counts no failure", async () => {
    const stack = new ScriptedStack();
    let isLocked = true;
    stack.onUpdate = () => {
      if (isLocked) fails("error: the stack is currently locked by 1 lock(s)")();
    };
    const told = await operate(stack, {
      looks: 12,
      nodes: lost,
      before: (look) => {
        isLocked = look < 11;
      },
    });
    expect(texts(told, "hold")).toHaveLength(1);
    expect(texts(told, "hold")[0]).toContain("`pulumi cancel`");
    expect(texts(told, "failed")).toEqual([]);
    expect(texts(told, "repair")).toHaveLength(1);
  });
});

describe("a decision beyond a limit", () => {
  it("is told, not carried out, and not asked for again before the pause is over", async () => {
    const stack = new ScriptedStack();
    stack.onUpdate = () => {
      throw new UsageProblem("dynamo-sky:limits.gpus: 6 GPUs, 4 are allowed");
    };
    const told = await operate(stack, { looks: 8, nodes: { decision: decided(4) } });
    expect(stack.updates.map(({ at }) => at)).toEqual([0, 60]);
    expect(texts(told, "hold")[0]).toBe(
      "the planner decides decode 2 → 4: refused. dynamo-sky:limits.gpus: 6 GPUs, 4 are allowed",
    );
    expect(texts(told, "failed")).toEqual([]);
  });

  it("is no failed repair: it is tried for ever, ever more rarely, and made when it is allowed", async () => {
    const stack = new ScriptedStack();
    let isDear = true;
    let lost = ["main: the cluster is GONE"];
    stack.onUpdate = () => {
      if (isDear) throw new UsageProblem("dynamo-sky:limits.dollarsPerHour: 30 is less than the $31.25");
      lost = [];
    };
    const told = await operate(stack, {
      looks: 100,
      nodes: { lost: async () => lost },
      before: (look) => (isDear = look < 80),
    });
    const tries = stack.updates.map(({ at }) => at);
    expect(tries.slice(0, 7)).toEqual([0, 20, 50, 110, 230, 470, 950]);
    expect(texts(told, "hold")[0]).toContain("main: the cluster is GONE: refused. dynamo-sky:limits");
    expect(texts(told, "failed")).toEqual([]);
    expect(texts(told, "repair")).toHaveLength(1);
  });
});
