import { expect, test } from "vitest";
import { eventually } from "../eventually";

test("a condition that throws at first is waited for", async () => {
  let asked = 0;
  await eventually(() => {
    asked++;
    if (asked < 3) throw new Error("it is not there");
    return asked >= 5;
  });
  expect(asked).toBe(5);
});

test("what a condition throws to the end is told", async () => {
  const waiting = eventually(() => Promise.reject(new Error("no such file")), 0.2);
  await expect(waiting).rejects.toThrow("no such file");
});

test("a condition that never holds is told with the time", async () => {
  await expect(eventually(() => false, 0.2)).rejects.toThrow("the condition did not come true within 0.2 s");
});
