import { describe, expect, it } from "vitest";
import { asName, clusterBaseName } from "../../components/names";
import type { Observation } from "../../components/observation";
import { localRepairs } from "../../components/repair";
import { chatCommand } from "../../components/topology";
import type { ObservedNode } from "../../lib/observedNode";
import type { ClusterPlan, ProgramPlan, WorkerRole } from "../../plan/types";
import { unitsOf } from "../../plan/units";

function program(role: WorkerRole, replica: number, rank = 0): ProgramPlan {
  const name = rank === 0 ? `${role}-${replica}` : `${role}-${replica}-rank${rank}`;
  const health = { kind: "tcp", host: "{{NODE_IP}}", port: 1 } as const;
  const nothing = { command: ["true"], env: {}, secretEnv: [], gpus: [], ports: {}, waitsFor: [] };
  return { name, role, replica, rank, ...nothing, health, stopSeconds: 1 };
}

/** Two nodes: a prefill worker on the first, and a decode worker over both. */
const PLAN: ClusterPlan = {
  name: "main",
  nodes: [
    { rank: 0, gpus: 2, idleGpus: [], programs: [program("prefill", 0), program("decode", 0)] },
    { rank: 1, gpus: 2, idleGpus: [], programs: [program("decode", 0, 1)] },
  ],
};
const AT = "2026-11-23T12:00:00.000Z";

function node(rank: number, states: Readonly<Record<string, string>>, supervisor = true): ObservedNode {
  const programs = Object.entries(states).map(([name, state]) => ({ name, unit: name, state }));
  return { rank, supervisor, programs };
}

const WELL = [
  node(0, { "prefill-0": "RUNNING", "decode-0": "STARTING" }),
  node(1, { "decode-0-rank1": "RUNNING" }),
];

function seen(clusters: Readonly<Record<string, readonly ObservedNode[]>>, unproven = false): Observation {
  const entries = Object.entries(clusters).map(([name, nodes]) => [name, { nodes, unproven }] as const);
  return { at: AT, clusters: new Map(entries) };
}

const repairs = (observation: Observation) => {
  const { units, ...others } = localRepairs(PLAN, "p-s-main", observation);
  return { ...others, units: Object.fromEntries(units) };
};

describe("unitsOf", () => {
  it("takes a replica that spans nodes for one unit", () => {
    const units = unitsOf(PLAN).map(({ name, nodes }) => ({
      name,
      nodes: nodes.map(({ rank, programs }) => [rank, ...programs.map((each) => each.name)]),
    }));
    expect(units).toEqual([
      { name: "prefill-0", nodes: [[0, "prefill-0"]] },
      {
        name: "decode-0",
        nodes: [
          [0, "decode-0"],
          [1, "decode-0-rank1"],
        ],
      },
    ]);
  });
});

describe("localRepairs", () => {
  it("finds nothing where all is well", () => {
    expect(repairs(seen({ "p-s-main-abc123": WELL }))).toEqual({ units: {} });
  });

  it("repairs everything when there is no such cluster", () => {
    const all = {
      lease: `node 0 does not run, seen ${AT}`,
      units: {
        "prefill-0": `prefill-0 does not run, seen ${AT}`,
        "decode-0": `decode-0 does not run, seen ${AT}`,
      },
    };
    expect(repairs(seen({}))).toEqual(all);
    // Clusters of other deployments: another stack, another cluster of the plan, a name with the same prefix.
    expect(
      repairs(seen({ "p-s2-main-abc123": WELL, "p-s-main2-abc123": WELL, "p-s-main-abc1234": WELL })),
    ).toEqual(all);
  });

  it("repairs the unit whose program does not run, on whichever node that is", () => {
    const [first] = WELL;
    const lost = node(1, { "decode-0-rank1": "BACKOFF" });
    expect(repairs(seen({ "p-s-main-abc123": first ? [first, lost] : [] }))).toEqual({
      units: { "decode-0": `decode-0-rank1 does not run (BACKOFF), seen ${AT}` },
    });
  });

  it("repairs a unit whose last change failed, though it runs", () => {
    const half = [node(0, { "prefill-0": "UNFINISHED", "decode-0": "RUNNING" }), ...WELL.slice(1)];
    expect(repairs(seen({ "p-s-main-abc123": half }))).toEqual({
      units: { "prefill-0": `the last change of prefill-0 failed, seen ${AT}` },
    });
  });

  it("repairs a node without its supervisor", () => {
    const [first] = WELL;
    const lost = node(1, { "decode-0-rank1": "MISSING" }, false);
    expect(repairs(seen({ "p-s-main-abc123": first ? [first, lost] : [] }))).toMatchObject({
      lease: `node 1 does not run, seen ${AT}`,
    });
  });

  it("has readiness proven again when it was not", () => {
    expect(repairs(seen({ "p-s-main-abc123": WELL }, true))).toEqual({
      units: {},
      readiness: `not ready at the end of the last update, seen ${AT}`,
    });
  });

  it("takes the healthiest of several clusters of the name for the deployment's own", () => {
    const lost = [node(0, {}, false), node(1, {}, false)];
    expect(repairs(seen({ "p-s-main-abc123": lost, "p-s-main-def456": WELL }))).toEqual({ units: {} });
  });
});

describe("names", () => {
  it("have nothing that a cloud or a shell could choke on", () => {
    expect(asName("My_Project.v2--x")).toBe("my-project-v2-x");
    expect(clusterBaseName("dynamo-sky-dev", "main")).toBe("dynamo-sky-dev-main");
  });

  it.each(["2048", "_private", "ümläut", "-", "Dev", "a.b", "p".repeat(100)])(
    "begin with a letter and are short enough, whatever the project is called: %s",
    (prefix) => {
      const base = clusterBaseName(prefix, "decode-10");
      expect(base).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*-decode-10$/);
      expect(base.length).toBeLessThanOrEqual("-decode-10".length + 40);
    },
  );

  it.each([
    ["dev_1", "dev-1"],
    ["Dev", "dev"],
    [`${"p".repeat(60)}-dev`, `${"p".repeat(60)}-prod`],
  ])("of %s are never those of %s", (one, other) => {
    expect(clusterBaseName(one, "main")).not.toBe(clusterBaseName(other, "main"));
  });
});

describe("chatCommand", () => {
  it("can be pasted into a shell, whatever the model is called", () => {
    expect(chatCommand("http://127.0.0.1:8000", { model: "it's; $(model)", task: "chat" })).toBe(
      "curl -s http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d " +
        `'{"model":"it'\\''s; $(model)","messages":[{"role":"user","content":"Say hello in one sentence."}],"max_tokens":64}'`,
    );
  });
});
