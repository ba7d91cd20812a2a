import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Line, merged, Timeline } from "../../cli/logs/merge";
import { type LogSource, sinceOf, sourcesOf } from "../../cli/logs/options";
import { printer } from "../../cli/logs/print";
import { Resume } from "../../cli/logs/resume";
import { timeOf } from "../../cli/logs/time";
import { UsageProblem } from "../../cli/pulumi/problem";

const NOON = Date.UTC(2026, 10, 24, 12);
const utc = { offsetSeconds: 0, now: NOON };

describe("the time of a line", () => {
  it.each([
    ["2026-11-24T22:16:45.230954Z  INFO main.worker: Created", "2026-11-24T22:16:45.230Z"],
    ['2026-11-24T22:32:06+00:00 127.0.0.1 key="team-a" "GET /v1/models" 200', "2026-11-24T22:32:06.000Z"],
    ["2026-11-24T22:32:06+0200 x", "2026-11-24T20:32:06.000Z"],
    ['{"level":"info","ts":"2026-11-24T22:16:41.201Z","caller":"x.go:1"}', "2026-11-24T22:16:41.201Z"],
    ['{"level":"info","ts":"2026-11-24T22:16:41.201+0100","caller":"x.go:1"}', "2026-11-24T21:16:41.201Z"],
    ["[24290] 2026/11/24 22:16:40.986387 [INF] Starting nats-server", "2026-11-24T22:16:40.986Z"],
    ["2026/11/24 22:16:40 [error] 12#12: *1 connect() failed", "2026-11-24T22:16:40.000Z"],
    ["2026-11-24 22:16:38,826 INFO supervisord started", "2026-11-24T22:16:38.826Z"],
    ["[2026-11-24 22:16:38 TP0] Load weight begin", "2026-11-24T22:16:38.000Z"],
    ["INFO 11-24 22:16:45 [api_server.py:1] vLLM", "2026-11-24T22:16:45.000Z"],
    ["(EngineCore pid=12) WARNING 11-24 22:16:45 [core.py:1] x", "2026-11-24T22:16:45.000Z"],
    ["INFO 12-31 23:59:59 [core.py:1] last year's", "2025-12-31T23:59:59.000Z"],
  ])("is read from %s", (line, expected) => {
    expect(new Date(timeOf(line, { offsetSeconds: 0, now: NOON }) ?? Number.NaN).toISOString()).toBe(
      expected,
    );
  });

  it.each([
    "Traceback (most recent call last):",
    '  File "x.py", line 1',
    "waiting for etcd at http://x",
    "",
    "2026-13-99T99:99:99Z x",
  ])("is not made up for %j", (line) => expect(timeOf(line, utc)).toBeUndefined());

  it("is the node's own where the line has no zone", () => {
    const line = "[1] 2026/11/24 22:16:40.5 [INF] x";
    expect(timeOf(line, { offsetSeconds: 3600, now: NOON })).toBe(Date.UTC(2026, 10, 24, 21, 16, 40, 500));
  });
});

describe("merging", () => {
  /** Lines of up to four programs; about a third have no timestamp, and clocks may be set back. */
  const batch = fc.array(
    fc.record({
      source: fc.nat({ max: 3 }),
      time: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined, freq: 3 }),
    }),
    { maxLength: 60 },
  );
  const numbered = (lines: readonly Omit<Line, "text">[]): Line[] =>
    lines.map((line, index) => ({ ...line, text: String(index) }));
  const of = (lines: readonly Line[], source: number) =>
    lines.filter((line) => line.source === source).map(({ text }) => text);

  it("keeps every line, the order of each program, and the order of time", () => {
    fc.assert(
      fc.property(batch, (written) => {
        const lines = numbered(written);
        const result = merged(new Timeline().add(lines));
        expect(result).toHaveLength(lines.length);
        for (const source of [0, 1, 2, 3]) expect(of(result, source)).toEqual(of(lines, source));
        const times = result.map(({ at }) => at ?? Number.NEGATIVE_INFINITY);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }),
    );
  });

  it("keeps a line without a time right behind the one before it", () => {
    fc.assert(
      fc.property(batch, (written) => {
        const lines = numbered(written);
        const result = merged(new Timeline().add(lines));
        for (const [index, line] of result.entries()) {
          const before = result[index - 1];
          const earlier = of(lines, line.source);
          const own = earlier.indexOf(line.text);
          if (line.time === undefined && own > 0) expect(before?.text).toBe(earlier[own - 1]);
        }
      }),
    );
  });

  it("goes on over several batches, as while following", () => {
    fc.assert(
      fc.property(batch, fc.nat({ max: 60 }), (written, cut) => {
        const lines = numbered(written);
        const timeline = new Timeline();
        const parts = [
          ...merged(timeline.add(lines.slice(0, cut))),
          ...merged(timeline.add(lines.slice(cut))),
        ];
        for (const source of [0, 1, 2, 3]) expect(of(parts, source)).toEqual(of(lines, source));
      }),
    );
  });

  it("keeps a stack trace together", () => {
    const line = (source: number, text: string, time?: number): Line => ({ source, text, time });
    const lines = [
      line(0, "error", 10),
      line(1, "other", 10),
      line(0, "Traceback"),
      line(0, "  File x"),
      line(1, "later", 11),
      line(2, "launcher, before its first time"),
      line(2, "first", 9),
    ];
    expect(merged(new Timeline().add(lines)).map(({ text }) => text)).toEqual([
      "launcher, before its first time",
      "first",
      "error",
      "Traceback",
      "  File x",
      "other",
      "later",
    ]);
  });
});

const program = (name: string, role: "etcd" | "prefill" | "decode") => ({ name, role, gpus: [], ports: {} });
const topology = [
  {
    name: "main",
    cluster: "x-main-1",
    nodes: [
      { rank: 0, programs: [program("etcd", "etcd"), program("prefill-0", "prefill")] },
      { rank: 1, programs: [program("decode-0", "decode"), program("decode-1", "decode")] },
    ],
  },
];
const all = { roles: [], programs: [], node: undefined };
const names = (filter: Partial<Parameters<typeof sourcesOf>[1]>) =>
  sourcesOf({ topology }, { ...all, ...filter }).map(({ name }) => name);

describe("after a lost connection", () => {
  /** Repeated lines that have not been printed yet. */
  const anew = (resume: Resume, times: readonly (number | undefined)[]) => {
    const isNew = resume.filter();
    return times.map(isNew);
  };
  const told = (times: readonly (number | undefined)[], begun = 0) => {
    const resume = new Resume(begun);
    for (const time of times) resume.note(time);
    return resume;
  };

  it("goes on behind the last line, also where many have the same time or none", () => {
    const before = [1000, 2000, 2000, undefined];
    expect(anew(told(before), [...before, 2000, undefined, 3000])).toEqual([
      ...[false, false, false, false],
      ...[true, true, true],
    ]);
  });

  it("tells all that is later where the last line was rotated away", () => {
    expect(anew(told([1000, 1000]), [undefined, 2000, 2000])).toEqual([false, true, true]);
  });

  it("tells nothing from before it began, of a program that had written nothing", () => {
    const resume = told([], 5000);
    expect(resume.since).toBe(5000);
    expect(anew(resume, [1000, undefined, 5000, undefined])).toEqual([false, false, true, true]);
  });

  it("takes old lines that were told first for what they are", () => {
    expect(anew(told([1000, 2000], 5000), [1000, 2000, 2000])).toEqual([false, false, true]);
  });

  it("never tells a line twice nor leaves one out, wherever it is cut", () => {
    const line = fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 4 });
    fc.assert(
      fc.property(fc.array(line), fc.array(line), (first, second) => {
        // A monotonic clock, as programs have one; a log starts with a timestamp.
        let now = 1000;
        const all = [0, ...first, ...second].map((step) => {
          now += step ?? 0;
          return step === undefined ? undefined : now;
        });
        const seen = all.slice(0, first.length + 1);
        const expected = all.map((_, index) => index >= seen.length);
        expect(anew(told(seen), all)).toEqual(expected);
      }),
    );
  });
});

describe("the choice of logs", () => {
  it("is everything, or what all options say", () => {
    expect(names({})).toEqual(["etcd", "prefill-0", "decode-0", "decode-1"]);
    expect(names({ roles: ["decode", "etcd"] })).toEqual(["etcd", "decode-0", "decode-1"]);
    expect(names({ programs: ["decode-1"] })).toEqual(["decode-1"]);
    expect(names({ node: "0" })).toEqual(["etcd", "prefill-0"]);
    expect(names({ node: "main/1", roles: ["decode"] })).toEqual(["decode-0", "decode-1"]);
  });

  it.each([
    [{ roles: ["decoder"] }, "--role decoder: the deployment has none. It has etcd, prefill, decode."],
    [{ programs: ["decode-7"] }, "It has etcd, prefill-0, decode-0, decode-1."],
    [{ node: "2" }, "--node 2: the deployment has none. It has 0, main/0, 1, main/1."],
    [{ node: "0", roles: ["decode"] }, "No program is all of what the options say"],
  ])("is refused with what there is: %j", (filter, message) => {
    expect(() => names(filter)).toThrow(UsageProblem);
    expect(() => names(filter)).toThrow(message);
  });

  it("begins at a time ago, or at a date", () => {
    expect(sinceOf("10m", NOON)).toBe(NOON - 600_000);
    expect(sinceOf("1.5h", NOON)).toBe(NOON - 5_400_000);
    expect(sinceOf("2026-11-24T11:00:00Z", NOON)).toBe(NOON - 3_600_000);
    for (const wrong of ["10", "soon", "10 m", "-5m", "2026-99-99"])
      expect(() => sinceOf(wrong, NOON), wrong).toThrow(UsageProblem);
  });
});

describe("a printed line", () => {
  const sources: LogSource[] = sourcesOf({ topology }, all);
  const line = { source: 2, text: "\u001b[31mred\u001b[0m\u0007 text", time: NOON, at: NOON };

  it("has its program in front, aligned, and nothing that could steer a terminal", () => {
    expect(printer(sources, { json: false, colour: false })(line)).toBe("decode-0  │ red  text");
    expect(printer(sources, { json: false, colour: true })(line)).toBe(
      "\u001b[32mdecode-0  │ \u001b[0mred  text",
    );
  });

  it("is an object with where it came from", () => {
    expect(JSON.parse(printer(sources, { json: true, colour: false })(line))).toEqual({
      time: "2026-11-24T12:00:00.000Z",
      cluster: "x-main-1",
      node: 1,
      program: "decode-0",
      role: "decode",
      line: "red  text",
    });
  });
});
