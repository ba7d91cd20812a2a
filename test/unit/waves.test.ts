/** The numbers of the autoscaling benchmark. */
import { expect, it } from "vitest";
import { valueIn } from "../../dev/benchmarks/observer";
import { percentile } from "../../dev/benchmarks/timing";
import { rowOf } from "../../dev/benchmarks/waves";

const samples = [2, 2, 3, 3, 4, 2].map((workers, at) => ({ at, workers, queued: 10 - at }));

it("tells requests before the workers were as many as they became from those after it", () => {
  const requests = [900, 800, 700, 600, 50, 40].map((ttftMs, at) => ({ at, ttftMs }));
  const wave = { name: "noon", clients: 4, requests, errors: 1, from: 0, to: 5 };
  expect(rowOf(wave, samples)).toEqual({
    wave: "noon",
    clients: 4,
    requests: 6,
    lost: 1,
    workersAtFirst: 2,
    workersAtMost: 4,
    workersInTheEnd: 2,
    queuedAtMost: 10,
    grownAfterSeconds: 4,
    ttftP95BeforeMs: 900,
    ttftP95AfterMs: 50,
  });
});

it("has no time after it where they became no more", () => {
  const requests = [
    { at: 0, ttftMs: 5 },
    { at: 1, ttftMs: undefined },
  ];
  const wave = { name: "morning", clients: 1, requests, errors: 0, from: 0, to: 1 };
  expect(rowOf(wave, samples)).toMatchObject({
    ttftP95BeforeMs: 5,
    ttftP95AfterMs: undefined,
    grownAfterSeconds: undefined,
  });
});

it("takes the value that a share of all does not exceed", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentile(hundred, 0.95)).toBe(95);
  expect(percentile([7], 0.95)).toBe(7);
  expect(percentile([], 0.95)).toBeUndefined();
});

it("adds a series up over its labels", () => {
  const page = '# TYPE q gauge\nq{model="a"} 3\nq{model="b"} 4\nq_other 9\n';
  expect(valueIn(page, "q")).toBe(7);
});
