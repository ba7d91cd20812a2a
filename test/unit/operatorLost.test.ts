/** What an operator takes for lost, by what SkyPilot and the nodes say. */
import { describe, expect, it } from "vitest";
import { lostOf } from "../../cli/operate/lost";

const CLUSTER = "x-dev-main-abc123";
const UP = { status: "UP", job: { id: 1, status: "RUNNING" } };
const PROGRAM = { name: "decode-0", unit: "decode-0", state: "RUNNING", pid: 7, unfinished: false };

/** What each node's agent says; undefined where it does not answer. */
type Answers = readonly (
  | { readonly supervisor: boolean; readonly programs: readonly unknown[] }
  | undefined
)[];

function lost(answers: Answers, state: object = UP): Promise<string[]> {
  const nodes = answers.map((_, rank) => ({
    rank,
    programs: rank === 0 ? [{ name: "decode-0", role: "decode" as const, gpus: [0], ports: {} }] : [],
  }));
  const says = (rank: number) =>
    answers[rank] === undefined ? "exit 1" : `cat > /dev/null; echo '${JSON.stringify(answers[rank])}'`;
  return lostOf(
    { deployment: { target: "sky" }, topology: [{ name: "main", cluster: CLUSTER, nodes }] },
    {
      clusters: async () => ({ [CLUSTER]: { status: "UP", ...state } }),
      shell: ({ rank }) => ({ command: "sh", args: () => ["-c", says(rank)], directory: "/nowhere" }),
    },
    new AbortController().signal,
  );
}

const WELL = { supervisor: true, programs: [PROGRAM] };
const IDLE = { supervisor: true, programs: [] };
const EMPTY = { supervisor: false, programs: [] };

describe("what is lost on SkyPilot", () => {
  it("is nothing where all that should run does, or a node does not answer", async () => {
    expect(await lost([WELL, IDLE])).toEqual([]);
    expect(await lost([undefined, IDLE])).toEqual([]);
  });

  it("is a program that its node does not have", async () => {
    expect(await lost([IDLE, IDLE])).toEqual([`${CLUSTER}: decode-0 does not run`]);
  });

  it("is a task whose supervisor is gone, whatever SkyPilot says of it", async () => {
    const why = "no supervisor runs on node 1, though SkyPilot says that the task does";
    expect(await lost([WELL, EMPTY])).toEqual([`${CLUSTER}: ${why}`]);
  });

  it("is a task that has ended, and nothing while one is set up", async () => {
    const job = (status: string) => ({ job: { id: 1, status } });
    expect(await lost([WELL], job("FAILED"))).toEqual([`${CLUSTER}: the cluster's task is FAILED`]);
    expect(await lost([{ ...EMPTY, programs: [PROGRAM] }], job("SETTING_UP"))).toEqual([]);
  });
});
