import { describe, expect, it } from "vitest";
import { type Deployed, deployedOf, nodesOf } from "../../cli/deployment/deployed";
import { drawStatus } from "../../cli/status/draw";
import type { NodeReport, ProgramReport } from "../../cli/status/report";
import { type Seen, statusOf } from "../../cli/status/status";
import { duration, latency, rate } from "../../cli/status/units";
import { FAILURES } from "../../sky/failureKinds";
import { stackOutputs } from "../outputs";

const NOW = Date.UTC(2026, 10, 24, 12) / 1000;

const OUTPUTS: Deployed = {
  endpoint: "http://127.0.0.1:8000",
  model: "Qwen/Qwen3-8B",
  engine: "mocker",
  topology: [
    {
      name: "main",
      cluster: "x-dev-main-abc123",
      nodes: [
        {
          rank: 0,
          programs: [
            { name: "etcd", role: "etcd", gpus: [], ports: { client: 2379, peer: 2380 } },
            { name: "frontend-0", role: "frontend", gpus: [], ports: { http: 8000 } },
            { name: "decode-0", role: "decode", gpus: [0, 1, 2, 3, 6], ports: { system: 9100, rpc: 9300 } },
          ],
        },
        { rank: 1, programs: [{ name: "decode-1", role: "decode", gpus: [0], ports: { system: 9100 } }] },
      ],
    },
  ],
  deployment: {
    target: "sky",
    infra: ["aws"],
    namespace: "dynamo",
    routerMode: "kv",
    task: "chat",
    workers: { aggregated: 0, prefill: 0, decode: 2, encode: 0 },
  },
  cost: { gpus: 16, dollarsPerHour: 98.32, mostDollarsPerHour: 98.32 },
  prices: { main: 98.32 },
};
const CLUSTERS: Seen["clusters"] = {
  "x-dev-main-abc123": {
    status: "UP",
    since: new Date((NOW - 9000) * 1000).toISOString(),
    resources: "2x(gpus=H100:8, p5.48xlarge)",
    job: { id: 3, status: "RUNNING" },
  },
};

function running(change: Partial<ProgramReport> = {}): ProgramReport {
  return {
    state: "RUNNING",
    start: NOW - 7300,
    history: { starts: 1, crashes: 0, at: NOW - 7260 },
    exits: [],
    lines: ["2026-11-24T10:00:00Z  INFO serving"],
    ...change,
  };
}

const metricsOf = (requests: number) => [
  `dynamo_frontend_requests_total{status="success"} ${requests}`,
  `dynamo_frontend_time_to_first_token_seconds_bucket{le="0.1"} ${requests}`,
  `dynamo_frontend_time_to_first_token_seconds_bucket{le="+Inf"} ${requests}`,
];
const readyWith = (decode: number) => ({
  namespaces: { dynamo: { worker_types: { decode: { workers: decode } } } },
});

function report(
  programs: Readonly<Record<string, ProgramReport>>,
  requests?: number,
  decode = 2,
): NodeReport {
  const frontend =
    requests === undefined
      ? {}
      : { "frontend-0": { metrics: metricsOf(requests), ready: readyWith(decode) } };
  return {
    at: NOW,
    exists: true,
    supervisor: true,
    crashSeconds: 10,
    notes: [],
    programs,
    frontends: frontend,
  };
}

const head = (change: Partial<Record<string, ProgramReport>> = {}, requests = 30, decode = 2): NodeReport =>
  report(
    { etcd: running(), "frontend-0": running(), "decode-0": running(), ...change } as Record<
      string,
      ProgramReport
    >,
    requests,
    decode,
  );

function look(
  first: NodeReport | string,
  second: NodeReport | string,
  change: Partial<Seen> = {},
  deployed: Deployed = OUTPUTS,
) {
  const looks = [first, second].map((one) =>
    typeof one === "string"
      ? { unreachable: one }
      : { earlier: { ...one, at: NOW - 2, frontends: earlier(one) }, now: one },
  );
  const nodes = nodesOf(deployed).map((node, index) => ({
    ...node,
    answer: looks[index] ?? { unreachable: "?" },
  }));
  return statusOf(deployed, { at: new Date(NOW * 1000), clusters: CLUSTERS, nodes, ...change });
}

/** Two seconds earlier, with 10 requests fewer. */
function earlier({ frontends }: NodeReport): NodeReport["frontends"] {
  return Object.keys(frontends).length === 0 ? {} : { "frontend-0": { metrics: metricsOf(20), ready: {} } };
}

const tail = report({ "decode-1": running() });
const screen = (status: ReturnType<typeof look>, width = 100) =>
  drawStatus(status, { width, colour: false, title: "multi" });

describe("GPUs", () => {
  it.each([
    [["4", "5", "6", "7"], "4-7"],
    [["GPU-52dcce24", "MIG-0f1b"], "GPU-52dcce24, MIG-0f1b"],
    [[], "0"],
    [undefined, "0"],
  ])("are those that the node's programs were given: %j", (gpus, shown) => {
    const history = { starts: 1, crashes: 0, pid: 17, at: NOW - 7260, ...(gpus && { gpus }) };
    const status = look(head(), report({ "decode-1": running({ history }) }));
    const line = screen(status).find((one) => one.includes("decode-1"));
    expect(line?.split(/ {2,}/).at(5)).toBe(shown);
    const [listed] = status.clusters[0]?.nodes[1]?.programs ?? [];
    expect(listed?.gpus.map(String)).toEqual(gpus?.length ? gpus : ["0"]);
  });
});

describe("a deployment that is well", () => {
  const status = look(head(), tail);

  it("is healthy, with rates of the time between two looks", () => {
    expect(status).toMatchObject({
      healthy: true,
      problems: [],
      roles: [{ role: "decode", ready: 2, wanted: 2 }],
      requests: { total: { requests: 30 }, interval: { seconds: 2, requests: 10, requestsPerSecond: 5 } },
      cost: { dollarsPerHour: 98.32, dollarsSoFar: 245.8 },
    });
  });

  it("is drawn as one screen", () => {
    expect(screen(status).join("\n")).toMatchInlineSnapshot(`
      "multi  Qwen/Qwen3-8B, mocker, router kv                                                 12:00:00 UTC
      healthy  http://127.0.0.1:8000/v1

      Workers   decode      2 of 2 ready

                last 2.0 s                        since start
      Requests  5.0 /s, 0 tokens/s                30, none failed
                0 running, 0 queued
      TTFT      p50 50 ms, p95 95 ms              p50 50 ms, p95 95 ms
      ITL       –                                 –
      Cache hit –                                 –
      Cost      $98.32 an hour, $245.80 so far

      main      x-dev-main-abc123  UP for 2 h 30 min, job 3 RUNNING, 2x(gpus=H100:8, p5.48xlarge)
        node 0
          program     state    for        restarts  GPUs    ports
          etcd        running  2 h 1 min  0         –       client 2379, peer 2380
          frontend-0  running  2 h 1 min  0         –       http 8000
          decode-0    running  2 h 1 min  0         0-3, 6  system 9100, rpc 9300
        node 1
          decode-1    running  2 h 1 min  0         0       system 9100"
    `);
  });
});

describe("what is wrong", () => {
  const crash = (at: number) => ({ at, how: "exit status 1" });

  it("is a worker that crashes: since its first crash in a row, how often, how, and its own last line", () => {
    const crashing = running({
      state: "BACKOFF",
      start: NOW - 5,
      history: { starts: 8, crashes: 3, at: NOW - 6 },
      exits: [NOW - 5000, NOW - 40, NOW - 20, NOW - 5].map(crash),
      lines: ["CUDA error: out of memory", "ended soon after its start 3 times; starting again in 2 s"],
    });
    const status = look(head({ "decode-0": crashing }, 30, 1), tail);
    expect(status.healthy).toBe(false);
    expect(status.problems).toEqual([
      "decode-0 is crashing: started again 7 times, last with exit status 1",
      "decode: 1 of 2 workers registered",
    ]);
    expect(status.clusters[0]?.nodes[0]?.programs[2]).toMatchObject({
      state: "crashing",
      since: new Date((NOW - 40) * 1000).toISOString(),
      restarts: 7,
      lastExit: { how: "exit status 1" },
      lastLine: "CUDA error: out of memory",
    });
    const drawn = screen(status).join("\n");
    expect(drawn).toContain("      exit status 1: CUDA error: out of memory");
    const { title, advice } = FAILURES.memory;
    expect(status.causes).toEqual([
      { program: "decode-0", title, advice, said: "CUDA error: out of memory" },
    ]);
    expect(drawn).toContain(`    decode-0: ${title}: CUDA error: out of memory\n    Next: `);
    // Over several lines, and whole.
    expect(drawn.replaceAll(/\n +/g, " ")).toContain(`Next: ${advice}`);
  });

  it("is named where it is known, of workers that run and are not registered too, and of no others", () => {
    const frontend = ["2026-01-01T10:00:30Z ERROR chat_template field is required in the file"];
    const run = { "decode-0": running({ lines: ["torch.OutOfMemoryError: CUDA out of memory."] }) };
    const both = { ...run, "frontend-0": running({ lines: frontend }) };
    expect(look(head(both), tail)).toMatchObject({ healthy: true, causes: [] });
    const short = look(head(both, 30, 1), tail);
    expect(short.causes.map(({ program, title }) => [program, title])).toEqual([
      ["frontend-0", FAILURES.template.title],
      ["decode-0", FAILURES.memory.title],
    ]);
  });

  it("is a worker that runs again, but not yet for longer than those before it", () => {
    const history = { starts: 4, crashes: 2, pid: 17, at: NOW - 3 };
    const young = look(head({ "decode-0": running({ history, exits: [crash(NOW - 4)] }) }), tail);
    expect(young.clusters[0]?.nodes[0]?.programs[2]?.state).toBe("crashing");
    const old = look(head({ "decode-0": running({ history: { ...history, at: NOW - 11 } }) }), tail);
    expect(old.healthy).toBe(true);
  });

  it("is a program that ends again and again after a while", () => {
    const exits = [NOW - 120, NOW - 80, NOW - 40].map(crash);
    const history = { starts: 4, crashes: 0, pid: 17, at: NOW - 39 };
    const status = look(head({ etcd: running({ history, exits }) }), tail);
    expect(status.problems).toEqual(["etcd is crashing: started again 3 times, last with exit status 1"]);
  });

  it("is a node that does not answer, with its programs unknown", () => {
    const status = look(head({}, 30, 1), "Connection timed out");
    expect(status.problems).toEqual([
      "node 1 of main: Connection timed out",
      "decode: 1 of 2 workers registered",
    ]);
    expect(status.clusters[0]?.nodes[1]?.programs[0]?.state).toBe("unknown");
  });

  it("is not what a node's check has found and may be harmless: that is shown beside it", () => {
    const status = look(head(), { ...tail, notes: ["no RDMA: KV blocks and collectives go over TCP"] });
    expect(status).toMatchObject({ healthy: true, problems: [] });
    expect(screen(status)).toContain(
      `  ! node 1 of ${status.clusters[0]?.cluster}: no RDMA: KV blocks and collectives go over TCP`,
    );
  });

  it("is a node without its supervisor, a program that it does not know, a frontend that is silent", () => {
    expect(look({ ...head(), supervisor: false }, tail).problems).toEqual([
      "node 0 of main: its supervisor does not answer",
    ]);
    expect(look(head({ etcd: running({ state: "MISSING", start: null }) }), tail).problems).toEqual([
      "etcd is missing",
    ]);
    const silent = { ...head(), frontends: { "frontend-0": { error: "Connection refused" } } };
    expect(look(silent, tail)).toMatchObject({
      problems: ["frontend-0 does not answer: Connection refused"],
      requests: null,
      roles: [{ ready: null, wanted: 2 }],
    });
  });

  it.each([
    [{}, "cluster main: SkyPilot knows no such cluster"],
    [{ status: "INIT" }, "cluster main: it is INIT"],
    [{ status: "UP", job: { id: 4, status: "FAILED" } }, "cluster main: its job is FAILED"],
    [{ status: "UP" }, "cluster main: its job is gone"],
  ])("is a cluster: %j", (state, problem) => {
    const clusters = "status" in state ? { "x-dev-main-abc123": state } : {};
    expect(look(head(), tail, { clusters }).problems[0]).toBe(problem);
  });
});

describe("the cost", () => {
  it("prefers what SkyPilot says of what runs, and is not made up where there is no price", () => {
    const own = {
      "x-dev-main-abc123": {
        status: "UP",
        since: new Date((NOW - 3600) * 1000).toISOString(),
        dollarsPerHour: 10,
      },
    };
    expect(look(head(), tail, { clusters: own }).cost).toEqual({ dollarsPerHour: 10, dollarsSoFar: 10 });
    const unpriced = { ...OUTPUTS, cost: undefined, prices: {} };
    const status = look(head(), tail, {}, unpriced);
    expect(status.cost).toEqual({ dollarsPerHour: null, dollarsSoFar: null });
    expect(screen(status)).toContain("Cost      not known: SkyPilot has no price for it");
  });

  it("is nothing on this machine, and nothing for a cluster that is gone", () => {
    const local = { ...OUTPUTS, deployment: { ...OUTPUTS.deployment, target: "local" as const } };
    expect(look(head(), tail, {}, local).cost.dollarsPerHour).toBe(0);
    expect(look(head(), tail, { clusters: {} }).cost.dollarsPerHour).toBe(0);
  });
});

describe("the screen", () => {
  it("is cut to the terminal's width, with and without colours", () => {
    const status = look(head(), "a very long reason ".repeat(20));
    const width = 60;
    const plain = screen(status, width);
    for (const line of plain) expect(line.length).toBeLessThanOrEqual(width);
    const coloured = drawStatus(status, { width, colour: true, title: "multi" });
    const colours = new RegExp(`${String.fromCodePoint(27)}\\[\\d+m`, "g");
    expect(coloured.map((line) => line.replace(colours, ""))).toEqual(plain);
  });

  it("has units that a person reads", () => {
    expect([5, 65, 3600, 5400, 90_000, 86_400].map(duration)).toEqual([
      "5 s",
      "1 min",
      "1 h",
      "1 h 30 min",
      "1 d 1 h",
      "1 d",
    ]);
    expect([0.0084, 0.135, 2.14, 31].map(latency)).toEqual(["8.4 ms", "135 ms", "2.1 s", "31 s"]);
    expect([0, 0.25, 12.4].map(rate)).toEqual(["0", "0.3", "12"]);
  });
});

it("outputs tell where a deployment runs", () => {
  const { endpoint, model, cost, ...details } = OUTPUTS;
  const told = stackOutputs({ endpoint, model, cost, chat: "curl", more: [1] }, details as never);
  expect(deployedOf(told)).toEqual({ ...OUTPUTS, logs: {} });
});

describe("outputs that tell nothing", () => {
  it.each([
    [{}, "it is not up, or its `up` has not ended"],
    [{ endpoint: "http://x", model: "m", deployment: {} }, "run `up` once with this one"],
  ])("are refused with what to do: %j", (outputs, message) => {
    expect(() => deployedOf(outputs)).toThrow(message);
  });
});
